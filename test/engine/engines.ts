// Both engines, for tests of what has to be the same on them.
import { afterAll, beforeAll, describe } from "vitest";
import { loadExecutor, type LoadedExecutor } from "../../extension/executors/index.ts";
import { nativeStatus } from "../../extension/native/status.ts";
import { forgetPending, setExecutor } from "../../extension/tensor/planning/runtime.ts";

export type EngineName = "native" | "wasm";

/** Whether TensorFlow is installed here: the native engine's tests are skipped otherwise. */
export const hasNative = nativeStatus().state === "installed";

/** Has the tests of a block run on an engine. Answers what gives its executor, once a test runs. */
export function useEngine(name: EngineName): () => LoadedExecutor {
  let executor: LoadedExecutor;
  beforeAll(async () => {
    executor = await loadExecutor(name);
  });
  afterAll(() => {
    forgetPending();
    setExecutor(undefined);
  });
  return () => executor;
}

/** Runs tests on each engine that is here. */
export function onEachEngine(suite: (name: EngineName, executor: () => LoadedExecutor) => void): void {
  const names: readonly EngineName[] = hasNative ? ["native", "wasm"] : ["wasm"];
  describe.each(names)("on %s", (name) => suite(name, useEngine(name)));
}
