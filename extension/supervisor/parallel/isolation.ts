// TensorFlow's servers listen on all network interfaces, and run what anyone sends them. So workers run where there is only a
// loopback: in a network namespace of their own.
import { spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import { signalChild } from "../../processes/signals.ts";

const UNSHARE = "unshare";
const OPTIONS = ["-rn", "--", "sh", "-c"];
const UP = "ip link set lo up";

/** Whether processes can be started here that have only a loopback: on Linux, where users may make namespaces. */
export function canIsolate(): boolean {
  if (process.platform !== "linux") return false;
  return spawnSync(UNSHARE, [...OPTIONS, UP], { stdio: "ignore", timeout: 10_000 }).status === 0;
}

/** Set in a process that was started by {@link runIsolated}: it ends with its parent. */
const ISOLATED = "LAYERWISE_ISOLATED";

/** Runs this very command line again where there is only a loopback. @returns its exit code */
export function runIsolated(): Promise<number> {
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn(UNSHARE, [...OPTIONS, `${UP} && exec "$@"`, "sh", ...command], {
    // The channel tells the child when this process has ended, however it did.
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

/** Ends this process when the one that has started it by {@link runIsolated} has ended. */
export function endWithParent(): void {
  if (process.env[ISOLATED] === undefined || !process.connected) return;
  process.once("disconnect", () => process.exit(constants.signals.SIGHUP + 128));
  // It is no reason to stay.
  process.channel?.unref();
}
