import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import packageJson from "../../../package.json";
import { describeStatus } from "../../../extension/cli/engineCommand.ts";
import {
  cacheDirectory,
  manifestPath,
  nativeDirectory,
  TFJS_NODE_VERSION,
  type Host,
} from "../../../extension/native/cache.ts";
import { announcedSize } from "../../../extension/native/install/download.ts";
import { loadNative, threadEnvironment } from "../../../extension/native/load.ts";
import { deviceOfEnvironment, nativeStatus } from "../../../extension/native/status.ts";
import { findCompiler, findExecutable } from "../../../extension/native/install/tools.ts";
import { FakeMachine, temporaryFolder } from "./fakes.ts";

const host = (platform: NodeJS.Platform, env: NodeJS.ProcessEnv): Host => ({ platform, arch: "x64", env });

test("the version in the folder's name is that of the package the binding comes from", () => {
  expect(packageJson.dependencies["@tensorflow/tfjs-node"]).toBe(TFJS_NODE_VERSION);
});

describe.skipIf(process.platform === "win32")("the cache folder", () => {
  test.each<[NodeJS.Platform, NodeJS.ProcessEnv, string]>([
    ["linux", { HOME: "/home/me" }, "/home/me/.cache/layerwise"],
    ["linux", { HOME: "/home/me", XDG_CACHE_HOME: "/cache" }, "/cache/layerwise"],
    ["linux", { HOME: "/home/me", XDG_CACHE_HOME: "relative" }, "/home/me/.cache/layerwise"],
    ["darwin", { HOME: "/Users/me", XDG_CACHE_HOME: "/cache" }, "/Users/me/Library/Caches/layerwise"],
    ["win32", { LOCALAPPDATA: "/local" }, "/local/layerwise"],
    ["linux", { HOME: "/home/me", LAYERWISE_CACHE: "/elsewhere", XDG_CACHE_HOME: "/cache" }, "/elsewhere"],
  ])("%s %o: %s", (platform, env, expected) => {
    expect(cacheDirectory(host(platform, env))).toBe(expected);
  });
});

describe("LAYERWISE_DEVICE", () => {
  test.each([undefined, "", "auto", "native", "gpu", "kernels", "wasm", "cpu"])("%s", (value) => {
    expect(deviceOfEnvironment({ LAYERWISE_DEVICE: value })).toBe(value || "auto");
  });

  test("anything else", () => {
    expect(() => deviceOfEnvironment({ LAYERWISE_DEVICE: "tpu" })).toThrow(
      new RangeError('LAYERWISE_DEVICE: expected one of auto, native, gpu, kernels, wasm, cpu; got "tpu".'),
    );
  });

  test.each(["kernels", "wasm", "cpu"])("%s switches the native engine off", (device) => {
    const machine = new FakeMachine();
    machine.host.env["LAYERWISE_DEVICE"] = device;
    expect(nativeStatus(machine.host)).toMatchObject({
      backend: device,
      state: "disabled",
      reason: `LAYERWISE_DEVICE=${device}`,
    });
  });
});

test("without an installation, wasm runs and the reason says what to do", () => {
  const machine = new FakeMachine();
  machine.program("python3", "");
  machine.program("c++", "");
  const status = nativeStatus(machine.host);
  expect(status).toEqual({
    backend: "wasm",
    state: "not-installed",
    reason: 'The native engine is not installed. Install it with "layerwise engine install".',
    directory: nativeDirectory(machine.host),
    missing: [],
  });
  expect(() => loadNative(machine.host)).toThrow(status.reason);
  expect(describeStatus(status)).toBe(
    [
      "Backend:        wasm",
      'Reason:         The native engine is not installed. Install it with "layerwise engine install".',
      "Native engine:  not installed",
      `Folder:         ${status.directory}`,
      "",
    ].join("\n"),
  );
});

test.each([
  ["not JSON", "{", "its manifest can't be read"],
  ["another format", '{"version":2}', "its manifest can't be read"],
  [
    "no binding",
    JSON.stringify({ version: 1, tensorflow: "2", tfjsNode: "4", installedAt: "", files: {} }),
    "tfjs_binding.node is missing",
  ],
])("a manifest that is %s is damage", (_, text, problem) => {
  const machine = new FakeMachine();
  const directory = nativeDirectory(machine.host);
  fs.mkdirSync(directory, { recursive: true });
  fs.writeFileSync(manifestPath(directory), text);
  const status = nativeStatus(machine.host);
  expect(status).toMatchObject({ state: "broken", backend: "wasm" });
  expect(status.reason).toContain(`The native engine is damaged (${problem}).`);
});

describe.skipIf(process.platform === "win32")("programs on PATH", () => {
  test("are files that may be run, in the order of the names", () => {
    const machine = new FakeMachine();
    fs.mkdirSync(path.join(machine.bin, "g++"));
    fs.writeFileSync(path.join(machine.bin, "c++"), "", { mode: 0o644 });
    machine.program("clang++", "");
    expect(findCompiler(machine.host)).toBe(path.join(machine.bin, "clang++"));
    machine.program("mine", "");
    machine.host.env["CXX"] = "mine";
    expect(findCompiler(machine.host)).toBe(path.join(machine.bin, "mine"));
  });

  test("an absolute path needs no PATH", () => {
    const file = path.join(temporaryFolder(), "tool");
    fs.writeFileSync(file, "", { mode: 0o755 });
    expect(findExecutable([file], host("linux", {}))).toBe(file);
    expect(findExecutable(["tool"], host("linux", {}))).toBeUndefined();
  });
});

test("pip's announcement of a download", () => {
  expect(announcedSize("  Downloading tensorflow-2.whl (273.8 MB)")).toBe(273.8e6);
  expect(announcedSize("Downloading x.whl (17 kB)\n")).toBe(17e3);
  expect(announcedSize("Saved ./x.whl")).toBeUndefined();
});

test("threads become environment variables", () => {
  expect(threadEnvironment({ intraOp: 1, interOp: 2 })).toEqual({
    TF_NUM_INTRAOP_THREADS: "1",
    TF_NUM_INTEROP_THREADS: "2",
  });
  expect(threadEnvironment({})).toEqual({});
});
