import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { nativeDirectory, readManifest } from "../../../extension/native/cache.ts";
import { installNative, removeNative } from "../../../extension/native/install/install.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import type { InstallProgress } from "../../../extension/protocol/native.ts";
import { failure, FakeMachine, INSTALLED, WHEEL_FILES } from "./fakes.ts";

/** Units compiled before the binding is linked: the fake machine's sources, and a stub of TensorFlow's library. */
const UNITS = 4;
const WHEEL = "downloads/tensorflow-cpu-2.21.0-linux-x64.whl";

function workingMachine(): FakeMachine {
  const machine = new FakeMachine();
  machine.python({ kind: "serves", wheel: {} });
  machine.compiler();
  return machine;
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !fs.readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
};

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !condition(); i++) await delay(50);
  expect(condition()).toBe(true);
}

describe.skipIf(process.platform === "win32")("installNative", () => {
  test("leaves the libraries, the binding and a manifest, and nothing else", async () => {
    const machine = workingMachine();
    const progress: InstallProgress[] = [];
    const result = await installNative(machine.options(progress));
    expect(result).toEqual({ directory: nativeDirectory(machine.host), installed: true });
    expect(machine.files()).toEqual(INSTALLED);
    const manifest = readManifest(result.directory);
    expect(manifest).toMatchObject({ version: 1, tensorflow: "2.21.0", tfjsNode: "4.22.0" });
    const library = fs.readFileSync(path.join(result.directory, "libtensorflow_cc.so.2"), "utf8");
    expect(library).toBe(WHEEL_FILES["tensorflow/libtensorflow_cc.so.2"]);
    expect(nativeStatus(machine.host)).toMatchObject({
      backend: "tensorflow",
      state: "installed",
      version: "2.21.0",
    });
    expect(progress.map(({ fraction }) => fraction)).toEqual(
      progress.map(({ fraction }) => fraction).toSorted((a, b) => a - b),
    );
    expect(new Set(progress.map(({ phase }) => phase))).toEqual(
      new Set(["download", "unpack", "compile", "verify"]),
    );
    expect(progress.at(-1)?.fraction).toBe(1);
  });

  test("does nothing when it is installed", async () => {
    const machine = workingMachine();
    await installNative(machine.options());
    const { installed } = await installNative(machine.options());
    expect(installed).toBe(false);
    expect(machine.calls("python3")).toBe(1);
  });

  test("works once when two start together", async () => {
    const machine = workingMachine();
    const progress: InstallProgress[] = [];
    const results = await Promise.all([
      installNative(machine.options(progress)),
      installNative(machine.options(progress)),
    ]);
    expect(new Set(results.map(({ installed }) => installed))).toEqual(new Set([false, true]));
    expect(progress.some(({ phase }) => phase === "wait")).toBe(true);
    expect(machine.calls("python3")).toBe(1);
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("takes over what a killed installer left", async () => {
    const machine = workingMachine();
    const directory = nativeDirectory(machine.host);
    fs.mkdirSync(`${directory}.partial/include`, { recursive: true });
    fs.mkdirSync(path.join(machine.cache, `${WHEEL}.partial/tmp`), { recursive: true });
    fs.writeFileSync(`${directory}.lock`, JSON.stringify({ token: "x", pid: 2 ** 22 + 1, host: "gone" }));
    const old = new Date(Date.now() - 60_000);
    fs.utimesSync(`${directory}.lock`, old, old);
    await installNative(machine.options());
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("unpacks a wheel while it is downloaded", async () => {
    const machine = workingMachine();
    machine.python({ kind: "serves-in-parts" });
    await installNative(machine.options());
    expect(fs.existsSync(path.join(machine.root, "early"))).toBe(true);
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("removes what a killed installer unpacked of a wheel that it has kept", async () => {
    const machine = workingMachine();
    machine.compiler("no space for the object file");
    await failure(installNative(machine.options()));
    expect(machine.files()).toEqual([WHEEL]);
    const unpacking = path.join(machine.cache, `${WHEEL}.unpacking`);
    fs.mkdirSync(unpacking);
    fs.writeFileSync(path.join(unpacking, "libtensorflow_cc.so.2"), "a part");
    machine.compiler();
    await installNative(machine.options());
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("fetches the wheel of another Python when this one has none", async () => {
    const machine = workingMachine();
    machine.python({ kind: "serves-to-python-3.12" });
    await installNative(machine.options());
    expect(machine.calls("python3")).toBe(2);
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("leaves the download to pip itself if it isn't made of the expected parts", async () => {
    const machine = workingMachine();
    machine.python({ kind: "serves-by-pip-alone" });
    await installNative(machine.options());
    expect(machine.calls("python3")).toBe(2);
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("repairs an installation that lost a file or changed one", async () => {
    const machine = workingMachine();
    const { directory } = await installNative(machine.options());
    const library = path.join(directory, "libtensorflow_framework.so.2");
    fs.truncateSync(library, 3);
    expect(nativeStatus(machine.host)).toMatchObject({
      backend: "wasm",
      state: "broken",
      reason:
        "The native engine is damaged (libtensorflow_framework.so.2 has 3 bytes instead of 17). " +
        'Install it with "layerwise engine install".',
    });
    expect((await installNative(machine.options())).installed).toBe(true);
    fs.writeFileSync(library, "THE SMALL LIBRARY");
    expect(() => loadNative(machine.host)).toThrow(
      'The native engine is damaged (libtensorflow_framework.so.2 was changed). Install it again with "layerwise engine install".',
    );
    expect((await installNative(machine.options())).installed).toBe(true);
    expect(nativeStatus(machine.host).state).toBe("installed");
  });

  test("accepts files whose time alone changed, and remembers it", async () => {
    const machine = workingMachine();
    const { directory } = await installNative(machine.options());
    const library = path.join(directory, "libtensorflow_cc.so.2");
    const time = new Date(1_700_000_000_000);
    fs.utimesSync(library, time, time);
    expect((await installNative(machine.options())).installed).toBe(false);
    expect(readManifest(directory)?.files["libtensorflow_cc.so.2"]?.mtimeMs).toBe(1_700_000_000_000);
  });
});

describe.skipIf(process.platform === "win32")("installNative says what is missing", () => {
  test("Python and compiler", async () => {
    const machine = new FakeMachine();
    const error = await failure(installNative(machine.options()));
    expect(error.code).toBe("no-python");
    expect(error.message).toBe(
      "Installing the native engine needs Python 3 with pip (packages python3 and python3-pip), or uv; and a C++ compiler (package g++).",
    );
    expect(machine.files()).toEqual([]);
    expect(nativeStatus(machine.host).missing).toHaveLength(2);
  });

  test("the compiler, before anything is downloaded", async () => {
    const machine = new FakeMachine();
    machine.python({ kind: "serves", wheel: {} });
    const error = await failure(installNative(machine.options()));
    expect(error.code).toBe("no-compiler");
    expect(machine.calls("python3")).toBe(0);
  });

  test("pip", async () => {
    const machine = workingMachine();
    machine.python({ kind: "no-pip" });
    const error = await failure(installNative(machine.options()));
    expect(error.code).toBe("no-pip");
    expect(error.message).toBe("Python has no pip: install the package python3-pip.");
  });

  test.each([
    [
      "WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching distribution found for x",
      "no-network",
      "pip can't reach its package index to download tensorflow-cpu==2.21.0.",
    ],
    [
      "ERROR: No matching distribution found for x",
      "no-wheel",
      "pip's package index has no tensorflow-cpu==2.21.0 for linux-x64.",
    ],
    [
      "OSError: [Errno 28] No space left on device",
      "no-space",
      "The disk is full: tensorflow-cpu==2.21.0 can't be downloaded.",
    ],
    ["ERROR: something else", "download-failed", "pip can't download tensorflow-cpu==2.21.0: something else"],
  ])("from pip's output: %s", async (output, code, message) => {
    const machine = workingMachine();
    machine.python({ kind: "fails", output });
    const error = await failure(installNative(machine.options()));
    expect(error).toMatchObject({ code, message });
    expect(error.detail).toContain(output.split("\n")[0]);
    expect(machine.files()).toEqual([]);
  });

  test("the platform", async () => {
    const machine = workingMachine();
    const host = { ...machine.host, platform: "darwin" as const };
    const error = await failure(installNative({ ...machine.options(), host }));
    expect(error).toMatchObject({
      code: "unsupported-platform",
      message: "There is no native engine for darwin-x64.",
    });
    expect(nativeStatus(host)).toMatchObject({
      backend: "wasm",
      state: "unsupported",
      reason: error.message,
    });
  });

  test.each([
    [
      { glibc: undefined },
      "TensorFlow has no build for this Linux's C library. Use a distribution with glibc 2.27 or newer, such as Debian.",
    ],
    [{ glibc: "2.9" }, "TensorFlow needs glibc 2.27 or newer; this Linux has 2.9. Upgrade the distribution."],
    [
      { avx: false },
      "TensorFlow needs a processor with AVX; this one has none. In a virtual machine, pass on the host's processor type.",
    ],
  ])("the machine: %o", async (properties, message) => {
    const machine = workingMachine();
    machine.host.machine = { ...machine.host.machine!, ...properties };
    const error = await failure(installNative(machine.options()));
    expect(error).toMatchObject({ code: "unsupported-machine", message });
    expect(machine.calls("python3")).toBe(0);
    expect(nativeStatus(machine.host)).toMatchObject({ state: "unsupported", reason: message });
  });

  test.skipIf(process.getuid?.() === 0)("the permission to write the cache", async () => {
    const machine = workingMachine();
    fs.mkdirSync(machine.cache, { mode: 0o500 });
    const error = await failure(installNative(machine.options()));
    expect(error.code).toBe("no-permission");
  });
});

describe.skipIf(process.platform === "win32")("installNative after a failed step", () => {
  test("refuses a wheel that differs from its RECORD, and forgets it", async () => {
    const machine = workingMachine();
    machine.python({ kind: "serves", wheel: { misrecorded: ["tensorflow/libtensorflow_cc.so.2"] } });
    const error = await failure(installNative(machine.options()));
    expect(error.code).toBe("corrupt-download");
    expect(error.message).toContain("tensorflow/libtensorflow_cc.so.2 differs from its hash in RECORD");
    expect(machine.files()).toEqual([]);
  });

  test("keeps the wheel when compiling fails, and continues from it", async () => {
    const machine = workingMachine();
    machine.compiler("binding.cc:1: error: no such thing");
    const error = await failure(installNative(machine.options()));
    expect(error).toMatchObject({
      code: "compile-failed",
      message: "g++ can't compile the binding: binding.cc:1: error: no such thing",
    });
    expect(machine.files()).toEqual([WHEEL]);
    machine.compiler();
    await installNative(machine.options());
    expect(machine.calls("python3")).toBe(1);
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("fetches a kept wheel again when it is damaged", async () => {
    const machine = workingMachine();
    fs.mkdirSync(path.join(machine.cache, "downloads"), { recursive: true });
    fs.writeFileSync(path.join(machine.cache, WHEEL), "half a wheel");
    await installNative(machine.options());
    expect(machine.calls("python3")).toBe(1);
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("installs nothing that does not load", async () => {
    const machine = workingMachine();
    const { tryBinding: _, ...options } = machine.options();
    const error = await failure(installNative(options));
    expect(error.code).toBe("load-failed");
    expect(error.message).toMatch(/^TensorFlow 2\.21\.0 can't be loaded here: /);
    const version = await failure(installNative({ ...options, tryBinding: () => Promise.resolve("2.20.0") }));
    expect(version.message).toBe("The new engine is TensorFlow 2.20.0; expected 2.21.0.");
    expect(machine.files()).toEqual([WHEEL]);
  });

  test.each(["pip", "the compilers"])("ends %s and all they started when cancelled", async (program) => {
    const machine = workingMachine();
    if (program === "pip") machine.python({ kind: "hangs" });
    else machine.hangingCompiler();
    const controller = new AbortController();
    const installation = installNative({ ...machine.options(), signal: controller.signal });
    const running = program === "pip" ? 1 : Math.min(UNITS, os.availableParallelism());
    await until(() => machine.pids().length === 2 * running);
    controller.abort(new Error("enough"));
    await expect(installation).rejects.toThrow("enough");
    await until(() => !machine.pids().some(isAlive));
    // A wheel that is whole serves the next attempt.
    expect(machine.files()).toEqual(program === "pip" ? [] : [WHEEL]);
    expect(fs.existsSync(`${nativeDirectory(machine.host)}.partial`)).toBe(false);
  });

  test("ends the other compilers when one fails", async () => {
    const machine = workingMachine();
    machine.partlyFailingCompiler();
    const error = await failure(installNative(machine.options()));
    expect(error.message).toBe("g++ can't compile the binding: error: no such kernel");
    expect(machine.pids().some(isAlive)).toBe(false);
    expect(machine.files()).toEqual([WHEEL]);
  });

  test("can be cancelled while it unpacks", async () => {
    const machine = workingMachine();
    const controller = new AbortController();
    const installation = installNative({
      ...machine.options(),
      signal: controller.signal,
      onProgress: ({ phase }) => {
        if (phase === "unpack") controller.abort();
      },
    });
    await expect(installation).rejects.toMatchObject({ name: "AbortError" });
    expect(machine.files()).toEqual([WHEEL]);
  });
});

describe.skipIf(process.platform === "win32")("removeNative", () => {
  test("removes the engine, downloads and leftovers", async () => {
    const machine = workingMachine();
    expect(await removeNative({ host: machine.host })).toBe(false);
    await installNative(machine.options());
    fs.mkdirSync(path.join(machine.cache, "downloads"), { recursive: true });
    fs.writeFileSync(path.join(machine.cache, WHEEL), "");
    expect(await removeNative({ host: machine.host })).toBe(true);
    expect(fs.readdirSync(machine.cache)).toEqual([]);
    expect(nativeStatus(machine.host).state).toBe("not-installed");
  });
});
