import { spawn } from "node:child_process";
import { signalChild, signalGroup } from "../../processes/signals.ts";

export interface CommandOptions {
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  cwd?: string;
  /** Time limit in milliseconds. */
  limit?: number;
  onOutput?: (text: string) => void;
}

export interface CommandResult {
  /** Exit code; negative if the program couldn't be started or was killed. */
  code: number;
  stdout: string;
  /** stdout and stderr in order of arrival, for a log. */
  output: string;
}

const NOT_RUN = -1;

/**
 * Runs a program to its end in its own process group. An abort ends the whole group, and rejects with the signal's reason once
 * the program has ended. A program that can't be started returns code -1 instead of throwing.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  { env, signal, cwd, limit, onOutput }: CommandOptions,
): Promise<CommandResult> {
  signal?.throwIfAborted();
  const group = process.platform !== "win32";
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, cwd, detached: group, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let output = "";
    const end = (name: NodeJS.Signals): void => {
      if (group) signalGroup(child, name);
      else signalChild(child, name);
    };
    let killTimer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      end("SIGTERM");
      killTimer ??= setTimeout(() => end("SIGKILL"), 3_000);
    };
    const limitTimer = limit === undefined ? undefined : setTimeout(stop, limit);
    signal?.addEventListener("abort", stop, { once: true });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      output += text;
      onOutput?.(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      onOutput?.(text);
    });
    const finish = (code: number): void => {
      clearTimeout(killTimer);
      clearTimeout(limitTimer);
      signal?.removeEventListener("abort", stop);
      if (signal?.aborted) reject(signal.reason);
      else resolve({ code, stdout, output });
    };
    child.once("error", (error) => {
      output += error.message;
      if (child.pid === undefined) finish(NOT_RUN);
    });
    child.once("close", (code) => finish(code ?? NOT_RUN));
  });
}
