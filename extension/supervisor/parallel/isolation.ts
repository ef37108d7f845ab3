// Runs a command line in a network namespace that has only a loopback.
import { spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import { UNSHARE, UNSHARE_OPTIONS, WITH_LOOPBACK } from "../../processes/namespace.ts";
import { findExecutable } from "../../processes/programs.ts";
import { signalChild } from "../../processes/signals.ts";

const ARGUMENTS = [...UNSHARE_OPTIONS, "sh", "-c", WITH_LOOPBACK, "sh"];

/** Whether processes can be started that have only a loopback: on Linux, if users may create namespaces. */
export function canIsolate(): boolean {
  const unshare = process.platform === "linux" ? findExecutable([UNSHARE]) : undefined;
  if (unshare === undefined) return false;
  return spawnSync(unshare, [...ARGUMENTS, "true"], { stdio: "ignore", timeout: 10_000 }).status === 0;
}

/** Environment variable of a process that {@link runIsolated} has started: it ends with its parent. */
const ISOLATED = "LAYERWISE_ISOLATED";

/** Runs this command line again in a namespace with only a loopback. @returns its exit code */
export function runIsolated(): Promise<number> {
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn(findExecutable([UNSHARE]) ?? UNSHARE, [...ARGUMENTS, ...command], {
    // The channel closes when this process ends, even by a kill.
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [ISOLATED]: "1" },
  });
  // A terminal's Ctrl-C reaches the child as well, which ends the training.
  const ignore = (): void => undefined;
  const pass = (): void => void signalChild(child, "SIGTERM");
  process.on("SIGINT", ignore);
  process.on("SIGTERM", pass);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      process.off("SIGINT", ignore);
      process.off("SIGTERM", pass);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

/** Ends this process when the parent that called {@link runIsolated} ends. */
export function endWithParent(): void {
  if (process.env[ISOLATED] === undefined || !process.connected) return;
  process.once("disconnect", () => process.exit(constants.signals.SIGHUP + 128));
  // The channel alone must not keep this process running.
  process.channel?.unref();
}
