import { spawn, type ChildProcess } from "node:child_process";
import { engineEnvironment, type EngineOptions } from "./process.ts";

/**
 * Starts the command line with piped output, for work that loads native code or reads large files. A channel to it closes when
 * this process ends.
 */
export function commandLine(options: EngineOptions, args: readonly string[]): ChildProcess {
  return spawn(options.execPath ?? process.execPath, [`${options.dist}/cli.js`, ...args], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: engineEnvironment(options.env),
    detached: process.platform !== "win32",
    windowsHide: true,
  });
}

/** The exit code; null when it was killed or never started. */
export function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", (code) => resolve(code));
  });
}
