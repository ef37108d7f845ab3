import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { describeEarlier } from "../../../extension/cli/engineCommand.ts";
import {
  BINDING_FILE,
  BINDING_VERSION,
  manifestPath,
  readManifest,
  type Host,
  type Manifest,
} from "../../../extension/native/cache.ts";
import { bytesOf, earlierEngines, removeEarlier } from "../../../extension/native/install/earlier.ts";
import { installNative } from "../../../extension/native/install/install.ts";
import { findPrebuilt } from "../../../extension/native/install/prebuilt.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import type { InstallProgress } from "../../../extension/protocol/native.ts";
import { failure, FakeMachine, INSTALLED } from "./fakes.ts";

/** A machine without a compiler, and the folder of a package's bindings. */
function prebuiltMachine(listed: object = {}): { machine: FakeMachine; folder: string } {
  const machine = new FakeMachine();
  machine.python({ kind: "serves", wheel: {} });
  const folder = path.join(machine.root, "prebuilt");
  fs.mkdirSync(path.join(folder, "linux-x64"), { recursive: true });
  fs.writeFileSync(path.join(folder, "linux-x64", BINDING_FILE), "prebuilt");
  const sha256 = createHash("sha256").update("prebuilt").digest("hex");
  const files = { "linux-x64": { sha256: { [BINDING_FILE]: sha256 }, glibc: "2.17" } };
  const listing = { binding: BINDING_VERSION, files, ...listed };
  fs.writeFileSync(path.join(folder, "bindings.json"), JSON.stringify(listing));
  return { machine, folder };
}

const install = (machine: FakeMachine, folder: string) => {
  const options = machine.options();
  const prebuilt = findPrebuilt(folder, machine.host);
  return installNative({ ...options, binding: { ...options.binding!, prebuilt } });
};

describe.skipIf(process.platform === "win32")("an installation with a prebuilt binding", () => {
  test("needs no compiler", async () => {
    const { machine, folder } = prebuiltMachine();
    const { directory } = await install(machine, folder);
    expect(fs.readFileSync(path.join(directory, BINDING_FILE), "utf8")).toBe("prebuilt");
    expect(machine.files()).toEqual(INSTALLED);
  });

  test("refuses one that differs from its hash", async () => {
    const { machine, folder } = prebuiltMachine();
    const file = path.join(folder, "linux-x64", BINDING_FILE);
    fs.writeFileSync(file, "another");
    expect(await failure(install(machine, folder))).toMatchObject({
      code: "broken",
      message: `Layerwise is damaged: ${file} differs from its hash. Install Layerwise again.`,
    });
    fs.rmSync(file);
    expect((await failure(install(machine, folder))).message).toContain("is missing");
  });

  test("takes only one of this platform, C library and version", () => {
    const { machine, folder } = prebuiltMachine();
    const find = (host: Partial<Host>) => findPrebuilt(folder, { ...machine.host, ...host });
    const glibc = (version: string | undefined) => ({
      machine: { ...machine.host.machine!, glibc: version },
    });
    expect(find({})?.folder).toBe(path.join(folder, "linux-x64"));
    expect(find(glibc("2.17"))).toBeDefined();
    expect(find(glibc("2.9"))).toBeUndefined();
    expect(find(glibc(undefined))).toBeUndefined();
    expect(find({ arch: "arm64" })).toBeUndefined();
    expect(findPrebuilt(path.join(folder, "none"), machine.host)).toBeUndefined();
    const old = prebuiltMachine({ binding: BINDING_VERSION - 1 });
    expect(findPrebuilt(old.folder, old.machine.host)).toBeUndefined();
  });
});

describe.skipIf(process.platform === "win32")("an installation after an update of Layerwise", () => {
  const LIBRARY = "libtensorflow_cc.so.2";

  /** A machine on which an earlier version has installed its engine. */
  async function updatedMachine(edit: (manifest: Manifest) => object = (manifest) => manifest) {
    const { machine, folder } = prebuiltMachine();
    const { directory } = await install(machine, folder);
    const earlier = directory.replace(`binding-${BINDING_VERSION}`, "binding-1");
    fs.renameSync(directory, earlier);
    fs.writeFileSync(path.join(earlier, BINDING_FILE), "earlier");
    const file = manifestPath(earlier);
    const manifest = readManifest(earlier)!;
    const { size, mtimeMs } = fs.statSync(path.join(earlier, BINDING_FILE));
    manifest.files[BINDING_FILE] = { ...manifest.files[BINDING_FILE]!, size, mtimeMs };
    fs.writeFileSync(file, JSON.stringify(edit(manifest)));
    return { machine, folder, directory, earlier };
  }

  test("links the same TensorFlow, and leaves the earlier engine as it was", async () => {
    const { machine, folder, directory, earlier } = await updatedMachine();
    const before = fs.readFileSync(manifestPath(earlier), "utf8");
    expect(nativeStatus(machine.host).state).toBe("not-installed");
    await install(machine, folder);
    // Once, for the first one.
    expect(machine.calls("python3")).toBe(1);
    expect(nativeStatus(machine.host).state).toBe("installed");
    const inode = (place: string): number => fs.statSync(path.join(place, LIBRARY)).ino;
    expect(inode(directory)).toBe(inode(earlier));
    expect(fs.readFileSync(path.join(directory, BINDING_FILE), "utf8")).toBe("prebuilt");
    expect(fs.readFileSync(path.join(earlier, BINDING_FILE), "utf8")).toBe("earlier");
    expect(fs.readFileSync(manifestPath(earlier), "utf8")).toBe(before);
    expect(fs.readdirSync(directory).sort()).toEqual(fs.readdirSync(earlier).sort());
  });

  test("needs no Python for the same TensorFlow", async () => {
    const { machine, folder } = await updatedMachine();
    fs.rmSync(path.join(machine.bin, "python3"));
    await install(machine, folder);
    expect(nativeStatus(machine.host).state).toBe("installed");
  });

  test("downloads another TensorFlow", async () => {
    const { machine, folder } = await updatedMachine((manifest) => ({ ...manifest, tensorflow: "2.20.0" }));
    await install(machine, folder);
    expect(machine.calls("python3")).toBe(2);
  });

  test.each([
    ["changed", (file: string) => fs.writeFileSync(file, "changed")],
    ["lost", (file: string) => fs.rmSync(file)],
  ])("downloads a library that was %s", async (_, harm) => {
    const { machine, folder, directory, earlier } = await updatedMachine();
    harm(path.join(earlier, LIBRARY));
    await install(machine, folder);
    expect(machine.calls("python3")).toBe(2);
    expect(fs.readFileSync(path.join(directory, LIBRARY), "utf8")).toContain("the big library");
  });

  test("downloads where the earlier engine has libraries of another kind", async () => {
    const { machine, folder } = await updatedMachine(({ files, ...manifest }) => ({
      ...manifest,
      files: { ...files, "libcudart.so": files[LIBRARY] },
    }));
    await install(machine, folder);
    expect(machine.calls("python3")).toBe(2);
  });

  test("deletes earlier engines on request, and says how much that frees", async () => {
    const { machine, folder, directory, earlier } = await updatedMachine();
    const other = path.join(
      path.dirname(earlier),
      path.basename(earlier).replace("linux-x64", "linux-arm64"),
    );
    fs.mkdirSync(other);
    expect(earlierEngines(directory)).toEqual([earlier]);
    const whole = bytesOf([earlier]);
    await install(machine, folder);
    expect(bytesOf([earlier])).toBeLessThan(whole - 60_000);
    expect(describeEarlier([directory])).toBe(
      'Earlier:        1, 0.0 GB; "layerwise engine remove --earlier" deletes them\n',
    );
    expect(await removeEarlier(directory)).toBe(1);
    expect([fs.existsSync(earlier), fs.existsSync(other)]).toEqual([false, true]);
    expect(nativeStatus(machine.host).state).toBe("installed");
    expect([await removeEarlier(directory), describeEarlier([directory])]).toEqual([0, ""]);
  });
});

describe.skipIf(process.platform === "win32")("an installation with uv", () => {
  function uvMachine(failure?: string): FakeMachine {
    const machine = new FakeMachine();
    machine.uv(failure);
    machine.compiler();
    machine.host.env["LAYERWISE_WHEEL_SHA256"] = "a".repeat(64);
    return machine;
  }

  test("needs neither pip nor a Python of its own, and keeps only the needed files", async () => {
    const machine = uvMachine();
    machine.program("python3", "exit 1");
    const progress: InstallProgress[] = [];
    await installNative(machine.options(progress));
    expect(machine.files()).toEqual(INSTALLED);
    expect(progress.at(-1)?.fraction).toBe(1);
    const wanted = fs.readFileSync(path.join(machine.root, "wanted"), "utf8");
    expect(wanted).toMatch(/^tensorflow-cpu==2\.21\.0 --hash=sha256:[0-9a-f]{64} /);
    expect(wanted).toContain(`--hash=sha256:${"a".repeat(64)}`);
  });

  test.each([
    [
      "error: dns error",
      "no-network",
      "uv can't reach its package index to download tensorflow-cpu==2.21.0.",
    ],
    ["error: Hash mismatch", "download-failed", "uv can't download tensorflow-cpu==2.21.0: Hash mismatch"],
  ])("says why it failed: %s", async (output, code, message) => {
    const machine = uvMachine(output);
    expect(await failure(installNative(machine.options()))).toMatchObject({ code, message });
    expect(machine.files()).toEqual([]);
  });

  test("is tried after pip", async () => {
    const machine = uvMachine();
    machine.python({ kind: "serves", wheel: {} });
    await installNative(machine.options());
    expect(machine.calls("uv")).toBe(0);
  });
});

test.skipIf(process.platform === "win32")(
  "an installation takes the Python of the active environment",
  async () => {
    const machine = new FakeMachine();
    machine.python({ kind: "serves", wheel: {} });
    machine.compiler();
    const bin = path.join(machine.root, "venv", "bin");
    fs.mkdirSync(bin, { recursive: true });
    fs.renameSync(path.join(machine.bin, "python3"), path.join(bin, "python3"));
    machine.host.env["VIRTUAL_ENV"] = path.dirname(bin);
    await installNative(machine.options());
    expect(machine.files()).toEqual(INSTALLED);
  },
);

describe.skipIf(process.platform === "win32")("an installation on Windows", () => {
  const LIBRARY = "_pywrap_tensorflow_common.dll";
  const BINDING = { [BINDING_FILE]: "the binding", "python312.dll": "the stub" };

  /** Windows with programs of its own names; they are shell scripts all the same. */
  function windows(program: string): FakeMachine {
    const machine = new FakeMachine({ "tensorflow/python/_pywrap_tensorflow_common.dll": "the library" });
    machine.host.platform = "win32";
    machine.host.machine = { glibc: undefined, avx: undefined, memory: 8e9, wsl: false, msvc: true };
    machine.python({ kind: "serves", wheel: {} });
    fs.renameSync(path.join(machine.bin, "python3"), path.join(machine.bin, program));
    return machine;
  }

  /** A package's bindings for Windows. */
  function prebuilt(machine: FakeMachine) {
    const folder = path.join(machine.root, "prebuilt");
    fs.mkdirSync(folder);
    const files: Record<string, string> = {};
    for (const [name, text] of Object.entries(BINDING)) {
      fs.writeFileSync(path.join(folder, name), text);
      files[name] = createHash("sha256").update(text).digest("hex");
    }
    return { folder, files };
  }

  const options = (machine: FakeMachine) => {
    const given = machine.options();
    return { ...given, binding: { ...given.binding!, prebuilt: prebuilt(machine) } };
  };

  test.each(["python3.exe", "py.exe"])(
    "takes the wheel for Windows with %s, whatever its version",
    async (program) => {
      const machine = windows(program);
      const { directory } = await installNative(options(machine));
      expect(fs.readdirSync(directory).sort()).toEqual(
        ["manifest.json", "THIRD_PARTY_NOTICES.txt", LIBRARY, ...Object.keys(BINDING)].sort(),
      );
      const calls = fs.readFileSync(path.join(machine.root, "calls.log"), "utf8");
      expect(calls).toContain("--platform win_amd64 --python-version 3.12");
      if (program === "py.exe") expect(calls).toMatch(/ -3 \S+download\.py tensorflow==/);
      expect(nativeStatus(machine.host)).toMatchObject({ state: "installed" });
    },
  );

  test("needs Microsoft's C++ runtime, and says how to get it", async () => {
    const machine = windows("python3.exe");
    machine.host.machine = { ...machine.host.machine!, msvc: false };
    expect(await failure(installNative(options(machine)))).toMatchObject({
      code: "unsupported-machine",
      message:
        "TensorFlow needs Microsoft's Visual C++ runtime. Install it: winget install Microsoft.VCRedist.2015+.x64",
    });
  });

  test("needs a packed Layerwise: nothing is compiled there", async () => {
    const machine = windows("python3.exe");
    expect((await failure(installNative(machine.options()))).message).toBe(
      "Installing the native engine needs Layerwise from its VSIX or npm package, which ship the binding.",
    );
  });
});
