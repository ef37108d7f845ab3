import * as v from "valibot";
import { Hello, type ToolEvents, type ToolMethods } from "../protocol/engine.ts";
import { UserError } from "../protocol/errors.ts";
import { handshake, openChannel, type Remote } from "../supervisor/channel.ts";
import { deferred } from "../supervisor/deferred.ts";
import { EngineError, toUserError } from "../supervisor/errors.ts";
import { describeExit, forkEngine } from "../supervisor/process.ts";
import { engineOptions } from "./command.ts";
import { CliError, EXIT, interruptSignal } from "./exit.ts";

/**
 * Calls a run engine's process for one thing, without a run directory. What user code prints goes to this process's
 * streams. Ctrl-C ends it.
 */
export async function withTool<T>(call: (tool: Remote<ToolMethods>) => Promise<T>): Promise<T> {
  const options = engineOptions();
  const interrupted = interruptSignal();
  const engine = await forkEngine({ ...options, entry: "runEngine.js", inheritOutput: true });
  const kill = (): void => void engine.kill();
  interrupted.addEventListener("abort", kill, { once: true });
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
        log: (level, text) => void (level === "info" ? process.stdout : process.stderr).write(`${text}\n`),
        failed: (error) => failed.resolve(error),
      },
      onInvalid: (problem) => void process.stderr.write(`The engine sent ${problem}\n`),
    });
    const ended = engine.exited.then((exit): never => {
      if (exit.code !== null) throw new CliError("", exit.code);
      throw new EngineError({ code: "killed", message: `The process ended: ${describeExit(exit)}.` });
    });
    // The race below is over when the call is answered; that this process ends later is nobody's failure.
    ended.catch(() => undefined);
    const hung = failed.promise.then((error): never => {
      throw new EngineError(error);
    });
    await handshake(engine, hello.promise, "run", 20_000);
    const answer = call(tool).catch((error: unknown) => {
      // The channel closes a moment before the process is seen to end, and only the end says how.
      if (toUserError(error).code === "ended") return ended;
      throw error;
    });
    return await Promise.race([answer, hung, ended]);
  } catch (error) {
    if (interrupted.aborted) throw new CliError("", EXIT.interrupted);
    throw error;
  } finally {
    interrupted.removeEventListener("abort", kill);
    await engine.kill();
  }
}
