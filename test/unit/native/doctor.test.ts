import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { describeChecks, describeStatus } from "../../../extension/cli/engineCommand.ts";
import { nativeDirectory } from "../../../extension/native/cache.ts";
import { diagnose, loadingFix } from "../../../extension/native/install/doctor.ts";
import { installNative } from "../../../extension/native/install/install.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import type { EngineCheck } from "../../../extension/protocol/native.ts";
import { FakeMachine } from "./fakes.ts";

const VERSIONS = 'echo "Available versions: 2.21.0, 2.20.0"';

/** A machine with a pip whose index answers with a script, and a compiler. */
function machineWith(index: string): FakeMachine {
  const machine = new FakeMachine();
  machine.program(
    "python3",
    `case "$*" in *--version|*"import pip") exit 0;; *"index versions"*) ${index};; esac`,
  );
  machine.compiler();
  return machine;
}

const diagnosed = async (machine: FakeMachine): Promise<EngineCheck[]> =>
  diagnose({ host: machine.host, binding: machine.options().binding! });

const find = (checks: readonly EngineCheck[], name: string) => checks.find((check) => check.name === name);

describe.skipIf(process.platform === "win32")("the doctor", () => {
  test("finds nothing wrong where an installation would succeed, and changes nothing", async () => {
    const machine = machineWith(VERSIONS);
    const checks = await diagnosed(machine);
    expect(checks.map(({ name, state }) => `${name}: ${state}`)).toEqual([
      "Machine: ok",
      "Memory: ok",
      "Folder: ok",
      "Downloader: ok",
      "Package index: ok",
      "Binding: ok",
      "Engine: warning",
    ]);
    expect(find(checks, "Machine")?.text).toBe("linux-x64, glibc 2.36");
    expect(find(checks, "Binding")?.text).toBe(`It will be compiled with ${path.join(machine.bin, "g++")}.`);
    expect(machine.files()).toEqual([]);
  });

  test("says what to install", async () => {
    const checks = await diagnosed(new FakeMachine());
    expect(find(checks, "Downloader")).toEqual({
      name: "Downloader",
      state: "problem",
      text: "Neither Python 3 with pip nor uv is on PATH.",
      fix: "Install Python 3 with pip (packages python3 and python3-pip), or uv.",
    });
    expect(find(checks, "Binding")).toMatchObject({ fix: "Install a C++ compiler (package g++)." });
    expect(find(checks, "Package index")).toBeUndefined();
  });

  test("names proxy variables without their values", async () => {
    const machine = machineWith('echo "WARNING: connection broken by ProxyError" >&2; exit 1');
    machine.host.env["https_proxy"] = "http://me:secret@proxy";
    const check = find(await diagnosed(machine), "Package index");
    expect(check).toMatchObject({
      state: "problem",
      fix: "Check the proxy in https_proxy, and the certificates and index in pip.conf or uv.toml.",
    });
    expect(JSON.stringify(check)).not.toContain("secret");
  });

  test("finds an index without the version, and a pip that is too old", async () => {
    const without = find(await diagnosed(machineWith('echo "Available versions: 1.0"')), "Package index");
    expect(without?.text).toBe("The package index has no tensorflow-cpu==2.21.0.");
    const old = machineWith("echo 'ERROR: unknown command \"index\"' >&2; exit 1");
    expect(find(await diagnosed(old), "Package index")?.state).toBe("warning");
  });

  test.each([
    [{ glibc: undefined }, "Use a distribution with glibc 2.27 or newer, such as Debian."],
    [{ glibc: "2.17" }, "Upgrade the distribution."],
    [{ avx: false }, "In a virtual machine, pass on the host's processor type."],
  ])("knows what helps a machine with %o", async (properties, fix) => {
    const machine = machineWith(VERSIONS);
    machine.host.machine = { ...machine.host.machine!, ...properties };
    expect(find(await diagnosed(machine), "Machine")).toMatchObject({ state: "problem", fix });
  });

  test("warns of little memory, of a switched-off engine, and names WSL", async () => {
    const machine = machineWith(VERSIONS);
    machine.host.machine = { ...machine.host.machine!, memory: 1e9, wsl: true };
    machine.host.env["LAYERWISE_DEVICE"] = "wasm";
    const checks = await diagnosed(machine);
    expect(find(checks, "Memory")).toMatchObject({
      state: "warning",
      text: expect.stringContaining("1.0 GB"),
    });
    expect(find(checks, "Environment")?.fix).toBe("Unset LAYERWISE_DEVICE.");
    expect(find(checks, "Machine")?.text).toContain("Windows Subsystem for Linux");
  });

  test("explains Linux in Windows, and warns of Windows' drives", async () => {
    const machine = machineWith(VERSIONS);
    expect(find(await diagnosed(machine), "Windows")).toBeUndefined();
    machine.host.machine = { ...machine.host.machine!, wsl: true };
    expect(find(await diagnosed(machine), "Windows")).toMatchObject({
      state: "ok",
      text: expect.stringContaining("apart from those of Windows"),
    });
    machine.host.env["LAYERWISE_CACHE"] = "/mnt/c/Users/me/cache";
    expect(find(await diagnosed(machine), "Windows")).toMatchObject({
      state: "warning",
      text: "/mnt/c/Users/me/cache is on a drive of Windows, which is slow from here.",
    });
    expect(describeStatus(nativeStatus(machine.host))).toContain("Windows:        this is Linux in Windows");
  });

  test.skipIf(process.getuid?.() === 0)("finds a folder that can't be written to", async () => {
    const machine = machineWith(VERSIONS);
    fs.mkdirSync(machine.cache, { mode: 0o500 });
    expect(find(await diagnosed(machine), "Folder")).toMatchObject({ state: "problem" });
  });

  test("loads an installed engine, and says how to mend a damaged one", async () => {
    const machine = machineWith(VERSIONS);
    machine.python({ kind: "serves", wheel: {} });
    await installNative(machine.options());
    const loaded = find(await diagnosed(machine), "Engine");
    // The fake binding is no library.
    expect(loaded).toMatchObject({ state: "problem", text: expect.stringContaining("can't be loaded here") });
    fs.rmSync(path.join(nativeDirectory(machine.host), "libtensorflow_cc.so.2"));
    expect(find(await diagnosed(machine), "Engine")).toMatchObject({
      state: "problem",
      fix: "Run layerwise engine install.",
    });
  });

  test.each([
    ["x.node: failed to map segment from shared object", "LAYERWISE_CACHE"],
    ["libc.so.6: version `GLIBC_2.29' not found", "Upgrade the distribution"],
    ["exit code 132", "processor"],
    ["something else", "layerwise engine remove"],
  ])("knows a fix for: %s", (message, fix) => {
    expect(loadingFix(message)).toContain(fix);
  });
});

test("findings are printed with their fixes below", () => {
  expect(
    describeChecks([
      { name: "Machine", state: "ok", text: "linux-x64" },
      { name: "Engine", state: "problem", text: "It is damaged.", fix: "Install it." },
    ]),
  ).toBe("ok       Machine  linux-x64\nproblem  Engine   It is damaged.\n                  Install it.\n");
});
