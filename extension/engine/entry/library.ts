// Entry point of the npm package: the exports of `import … from "layerwise"` in a standalone program.
import { loadExecutor } from "../../executors/index.ts";
import { deviceOfEnvironment } from "../../native/status.ts";
import { hasExecutor, setExecutor, type Executor } from "../../tensor/planning/barrier.ts";
import "../host/library.ts";

export * from "../../nn/index.ts";

const NOT_READY =
  'The engine isn\'t loaded yet: write `await ready()` before the first computation, with `ready` from "layerwise".';

const loading = loadExecutor(deviceOfEnvironment());
// TensorFlow is loaded at once. WebAssembly isn't: a program that doesn't wait gets an error instead of wrong numbers.
if (!hasExecutor())
  setExecutor(
    new Proxy({} as Executor, {
      get() {
        throw new Error(NOT_READY);
      },
    }),
  );
// Callers of ready() get the error.
loading.catch(() => undefined);

/** Waits until the engine is loaded. ES modules have waited when they import the library. */
export async function ready(): Promise<void> {
  await loading;
}
