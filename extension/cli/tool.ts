import type { ToolMethods } from "../protocol/engine.ts";
import type { Remote } from "../supervisor/engines/channel.ts";
import { callTool, type ToolOptions } from "../supervisor/engines/tool.ts";
import { engineOptions } from "./command.ts";
import { CliError, EXIT, interruptSignal } from "./exit.ts";
import { plainText } from "../protocol/text/plain.ts";
import { print, printStderr } from "./output.ts";

/** Runs a tool's process on this process's streams. Ctrl-C ends it, and its exit code becomes this command's. */
export async function asCommand<T>(
  call: (options: ToolOptions) => Promise<T>,
  options: Pick<ToolOptions, "interrupts" | "inheritInput"> = {},
): Promise<T> {
  const signal = interruptSignal();
  try {
    return await call({
      ...engineOptions(),
      signal,
      inheritOutput: true,
      ...options,
      onLog: (level, text) => (level === "info" ? print : printStderr)(plainText(text)),
      describeEnd: ({ code }) => (code === null ? undefined : new CliError("", code)),
    });
  } catch (error) {
    if (signal.aborted && !(error instanceof CliError)) throw new CliError("", EXIT.interrupted);
    throw error;
  }
}

/** Calls one method in a run engine's process, without a run directory. */
export function withTool<T>(
  call: (tool: Remote<ToolMethods>) => Promise<T>,
  options: Parameters<typeof asCommand>[1] = {},
): Promise<T> {
  return asCommand((all) => callTool(all, call), options);
}
