import * as v from "valibot";
import { Hello, type ToolEvents, type ToolMethods } from "../../protocol/engine.ts";
import { EngineError, UserError } from "../../protocol/errors.ts";
import { signalChild } from "../../processes/signals.ts";
import { handshake, openChannel, type Remote } from "./channel.ts";
import { deferred } from "../../processes/deferred.ts";
import { toUserError } from "../errors.ts";
import { describeExit, forkEngine, lastLines, type ExitInfo, type ForkOptions } from "./process.ts";

export interface ToolOptions extends Omit<ForkOptions, "entry" | "outliveTo"> {
  /** Ends the process and its work; the call fails with the code "cancelled". */
  signal: AbortSignal;
  /** Sends it SIGINT instead, which its own code may handle: its end is then as it says. */
  interrupts?: boolean;
  onLog: (level: "info" | "warning" | "error", text: string) => void;
  /** Replaces the {@link UserError} of a process that ended unexpectedly. */
  describeEnd?(exit: ExitInfo): Error | undefined;
}

/** Makes one call to a run engine's process, without a run directory. The process has ended when this settles. */
export async function callTool<T>(
  options: ToolOptions,
  call: (tool: Remote<ToolMethods>) => Promise<T>,
): Promise<T> {
  const { signal, onLog } = options;
  const engine = await forkEngine({ ...options, entry: "runEngine.js" });
  const kill = (): void =>
    void (options.interrupts === true ? signalChild(engine.child, "SIGINT") : engine.kill());
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  try {
    const hello = deferred<Hello>();
    const failed = deferred<UserError>();
    const tool = openChannel<ToolMethods, ToolEvents>(engine.child, {
      schemas: {
        hello: v.strictTuple([Hello]),
        log: v.strictTuple([v.picklist(["info", "warning", "error"]), v.string()]),
        failed: v.strictTuple([UserError]),
      },
      handlers: {
        hello: (answer) => hello.resolve(answer),
        log: onLog,
        failed: (error) => failed.resolve(error),
      },
      onInvalid: (problem) => onLog("error", `The engine sent ${problem}`),
    });
    const ended = engine.exited.then((exit): never => {
      throw options.describeEnd?.(exit) ?? endOf(exit);
    });
    // After the answer, the end of the process is no failure.
    ended.catch(() => undefined);
    const hung = failed.promise.then((error): never => {
      throw new EngineError(error);
    });
    await handshake(engine, hello.promise, "run", options.helloTimeout ?? 20_000);
    const answer = call(tool).catch((error: unknown) => {
      // The channel closes a moment before the process is seen to end, and only the end says how.
      if (toUserError(error).code === "ended") return ended;
      throw error;
    });
    return await Promise.race([answer, hung, ended]);
  } catch (error) {
    if (signal.aborted && !(options.interrupts === true && engine.child.exitCode !== null))
      throw new EngineError({ code: "cancelled", message: "The command was cancelled." });
    throw error;
  } finally {
    signal.removeEventListener("abort", kill);
    await engine.kill();
  }
}

function endOf(exit: ExitInfo): EngineError {
  const hint = lastLines(exit);
  return new EngineError({
    code: "killed",
    message: `The process ended: ${describeExit(exit)}.`,
    ...(hint === undefined ? {} : { hint }),
  });
}
