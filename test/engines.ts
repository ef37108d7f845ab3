// Set-up of tests that compute: on one engine, or on each that is here.
import { afterAll, beforeAll, describe } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../extension/executors/index.ts";
import { nativeStatus } from "../extension/native/status.ts";
import type { Device } from "../extension/protocol/device.ts";
import { forgetPending, setExecutor } from "../extension/tensor/planning/barrier.ts";

export type EngineName = "native" | "wasm";

/** Whether TensorFlow is installed here: the native engine's tests are skipped otherwise. */
export const hasNative = nativeStatus().state === "installed";

/** The engines that are here. */
export const ENGINES: readonly EngineName[] = hasNative ? ["native", "wasm"] : ["wasm"];

/** Runs the tests of a file or block on an engine. Returns a getter of its executor, for tests and later hooks. */
export function useEngine(device: Device): () => LoadedExecutor {
  let executor: LoadedExecutor;
  beforeAll(async () => {
    executor = await loadExecutor(device);
  });
  afterAll(() => {
    forgetPending();
    setExecutor(undefined);
  });
  return () => executor;
}

/** Runs tests on each engine that is here. */
export function onEachEngine(suite: (name: EngineName, executor: () => LoadedExecutor) => void): void {
  describe.each(ENGINES)("on %s", (name) => suite(name, useEngine(name)));
}
