import { loadExecutor } from "../../executors/index.ts";
import type { ScriptRequest, ScriptResult } from "../../protocol/engine.ts";
import { manualSeed } from "../../tensor/functions/creation/random.ts";
import { flushOpenEvents } from "../files/userEvents.ts";
import { experimentsOf } from "../host/exports.ts";
import { library } from "../host/library.ts";
import { EngineError } from "../../protocol/errors.ts";
import { bundleUserModule, evaluateUserModule } from "../host/userModule.ts";

/** Runs a file as a program. Resolves with its exit code when nothing of it is left to do. */
export async function runScript({ file, device, seed, args }: ScriptRequest): Promise<ScriptResult> {
  let experiments: string[] = [];
  const bundle = await bundleUserModule(file, { library });
  await loadExecutor(device);
  if (seed !== undefined) manualSeed(seed);
  process.argv = [process.argv[0]!, file, ...args];
  const before = new Set(process.rawListeners("exit"));
  const program = untilUncaught(async () => {
    // The channel must not keep alive what waits for nothing else.
    process.channel?.unref();
    const idle = new Promise<"idle">((resolve) => {
      process.once("beforeExit", () => resolve("idle"));
    });
    const module = await Promise.race([evaluateUserModule(bundle, library), idle]);
    if (module === "idle") throw unsettled(file);
    experiments = experimentsOf(module).map(([exportName]) => exportName);
    await idle;
  });
  // The process ends by a signal.
  await program
    .catch((error: unknown) => {
      process.exitCode = 1;
      throw error;
    })
    .finally(() => runExitHandlers(before))
    .finally(flushOpenEvents);
  const silent = process.stdout.bytesWritten === 0 && process.stderr.bytesWritten === 0;
  return { code: Number(process.exitCode ?? 0), experiments: silent ? experiments : [] };
}

/** Runs what the program has registered for its exit, as Node does at its end. */
function runExitHandlers(before: ReadonlySet<unknown>): void {
  process.exitCode ??= 0;
  for (const handler of process.rawListeners("exit")) {
    if (before.has(handler)) continue;
    process.off("exit", handler as () => void);
    handler.call(process, process.exitCode);
  }
}

/** Node's own end of such a program has the exit code 13. */
const unsettled = (file: string): EngineError =>
  new EngineError({
    code: "unsettled",
    message: "The program's top-level await never resolves: no timer, file or connection is pending.",
    position: { file, line: 1, column: 1 },
  });

/** Awaits `body`, or the first error that user code lets through elsewhere: in a timer, in a forgotten promise. */
export function untilUncaught<T>(body: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    process.on("uncaughtException", reject);
    process.on("unhandledRejection", reject);
    // The listeners are gone before the caller continues.
    body()
      .finally(() => {
        process.off("uncaughtException", reject);
        process.off("unhandledRejection", reject);
      })
      .then(resolve, reject);
  });
}
