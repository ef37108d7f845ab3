import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { executorOf, installNative, nativeReport } from "../../../extension/supervisor/engines/native.ts";
import type { EngineOptions } from "../../../extension/supervisor/engines/process.ts";

const dist = fileURLToPath(new URL("../../fixtures/engines", import.meta.url));
const options = (mode: string): EngineOptions => ({ dist, env: { FAKE_CLI: mode } });
const never = new AbortController().signal;

test("the report of the command line becomes the backend that a run would name", async () => {
  const report = await nativeReport(options("fine"));
  expect(report.missing).toEqual(["g++"]);
  expect(executorOf(report)).toEqual({
    backend: "wasm",
    version: "WebAssembly",
    reason: "The native engine is not installed.",
  });
  const native = {
    backend: "tensorflow",
    state: "installed",
    version: "2.21.0",
    directory: "/",
    missing: [],
  } as const;
  expect(executorOf({ ...native, missing: [] })).toEqual({
    backend: "tensorflow",
    version: "TensorFlow 2.21.0 with Layerwise's own kernels",
  });
});

test("a command line that fails is an error that says what it said", async () => {
  await expect(nativeReport(options("broken"))).rejects.toThrow("cannot read the cache");
  await expect(nativeReport({ dist: "/nowhere" })).rejects.toThrow("could not tell the engine's status");
});

test("an installation tells its progress and its end", async () => {
  const fractions: number[] = [];
  const result = await installNative(options("fine"), never, ({ fraction }) => fractions.push(fraction));
  expect(result).toEqual({ type: "installed", directory: "/cache", installed: true });
  expect(fractions).toEqual([0.25, 1]);
});

test("an installation that fails says why, and one that crashes too", async () => {
  expect(await installNative(options("fail"), never, () => undefined)).toEqual({
    type: "failed",
    code: "no-compiler",
    message: "There is no C++ compiler.",
    detail: "g++: not found",
  });
  expect(await installNative(options("crash"), never, () => undefined)).toEqual({
    type: "failed",
    code: "internal",
    message: "Segmentation fault",
  });
});

test.skipIf(process.platform === "win32").each(["hang", "stubborn"])(
  "an installation can be cancelled (%s)",
  async (mode) => {
    const abort = new AbortController();
    const result = await installNative(options(mode), abort.signal, ({ fraction }) => {
      if (fraction === 0.5) abort.abort();
    });
    expect(result).toEqual({ type: "cancelled" });
  },
);
