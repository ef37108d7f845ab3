import { loadExecutor } from "../executors/index.ts";
import type { ScriptRequest } from "../protocol/engine.ts";
import { manualSeed } from "../tensor/functions/random.ts";
import { library } from "./library.ts";
import { bundleUserModule, evaluateUserModule } from "./userModule.ts";

/** Runs a file as a program. Resolves with its exit code when nothing of it is left to do. */
export async function runScript({ file, device, seed, args }: ScriptRequest): Promise<number> {
  const bundle = await bundleUserModule(file, { library });
  await loadExecutor(device);
  if (seed !== undefined) manualSeed(seed);
  process.argv = [process.argv[0]!, file, ...args];
  await untilUncaught(async () => {
    await evaluateUserModule(bundle, library);
    // The channel must not keep alive what waits for nothing else.
    process.channel?.unref();
    await new Promise((resolve) => {
      process.once("beforeExit", resolve);
    });
  });
  return Number(process.exitCode ?? 0);
}

/** Awaits `body`, or the first error that user code lets through elsewhere: in a timer, in a forgotten promise. */
export function untilUncaught<T>(body: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    process.on("uncaughtException", reject);
    process.on("unhandledRejection", reject);
    body().then(resolve, reject);
  });
}
