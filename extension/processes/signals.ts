// The only place that sends signals. A child is signalled through its handle while it has not ended; a process whose id
// was read from a disk needs the proof of owner.ts. Negative ids are process groups, -1 is all that the user runs.
import { execFile, type ChildProcess } from "node:child_process";
import { windowsProgram } from "./windows.ts";

/**
 * Asks the process that follows a run on another machine to stop that run. SIGTERM ends only the process, as when this
 * machine is shut down; Windows has no other signal.
 */
export const STOP_THERE: NodeJS.Signals = process.platform === "win32" ? "SIGTERM" : "SIGUSR2";

/** The highest id that any system gives. */
const MOST = 2 ** 31 - 1;

/** Whether a number can be the id of a process that may be signalled: 0 is the own group, 1 the system's first process. */
export function isSignallable(pid: unknown): pid is number {
  return typeof pid === "number" && Number.isInteger(pid) && pid >= 2 && pid <= MOST;
}

/** Whether there is a process of that id, of whomever. Sends nothing. */
export function isRunning(pid: number | undefined): boolean {
  if (pid === undefined || !Number.isInteger(pid) || pid < 1 || pid > MOST) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** @returns false when there is no such process, or it is another user's */
function send(pid: number, name: NodeJS.Signals, to: "process" | "group" = "process"): boolean {
  if (!isSignallable(pid)) return false;
  try {
    return process.kill(to === "group" ? -pid : pid, name);
  } catch {
    return false;
  }
}

/** The id of a child that has not ended. Until Node has seen its end, the system gives the id to no other process. */
function idOf(child: ChildProcess): number | undefined {
  return child.exitCode === null && child.signalCode === null ? child.pid : undefined;
}

/** Whether a child has not ended. */
export function isThere(child: ChildProcess): boolean {
  return idOf(child) !== undefined;
}

/** Signals a child, unless it has ended. */
export function signalChild(child: ChildProcess, name: NodeJS.Signals): boolean {
  const pid = idOf(child);
  if (pid === undefined) return false;
  return process.platform === "win32" ? child.kill(name) : send(pid, name);
}

/**
 * Signals the process group that a child leads; on Windows the child alone. Of a child that has ended, what it left
 * behind in the group: while members are left, the system gives the id to no new process, so if there is one of that
 * id, the group is another's.
 */
export function signalGroup(child: ChildProcess, name: NodeJS.Signals): boolean {
  if (process.platform === "win32") return signalChild(child, name);
  const pid = idOf(child);
  if (pid !== undefined) return send(pid, name, "group") || send(pid, name);
  return child.pid !== undefined && !isRunning(child.pid) && send(child.pid, name, "group");
}

/** Ends a child and what it started, at once. One that has ended is no error. */
export async function killTree(child: ChildProcess): Promise<void> {
  const pid = idOf(child);
  if (pid !== undefined) await killAll(pid);
}

async function killAll(pid: number): Promise<void> {
  if (process.platform !== "win32") {
    if (!send(pid, "SIGKILL", "group")) send(pid, "SIGKILL");
    return;
  }
  if (!isSignallable(pid)) return;
  const taskkill = windowsProgram("taskkill.exe");
  await new Promise<void>((resolve) => {
    execFile(taskkill, ["/pid", String(pid), "/T", "/F"], { windowsHide: true }, () => resolve());
  });
}

/** A process that was proven to be what a file says of it, a moment ago. Only owner.ts makes one. */
export class ProvenProcess {
  readonly pid: number;
  readonly #stillIs: () => Promise<boolean>;

  /** @param stillIs Asks the system again: between the proof and the signal a process may end */
  constructor(pid: number, stillIs: () => Promise<boolean>) {
    this.pid = pid;
    this.#stillIs = stillIs;
  }

  /** Signals it. @returns false when it is not that process any more */
  async signal(name: NodeJS.Signals): Promise<boolean> {
    return (await this.#stillIs()) && send(this.pid, name);
  }

  /** Ends it and what it started, at once. */
  async kill(): Promise<void> {
    if (await this.#stillIs()) await killAll(this.pid);
  }
}

/** Ends an engine with its process group at once, from inside: this process, or the parent while it has that id. */
export function killEngine(pid: number): void {
  if (pid !== process.pid && process.ppid !== pid) return;
  if (process.platform !== "win32") send(pid, "SIGKILL", "group");
  send(pid, "SIGKILL");
}

/** Ends a process that family.ts has just found to be an engine's. @returns false when it has ended */
export function killMember(pid: number): boolean {
  return send(pid, "SIGKILL");
}
