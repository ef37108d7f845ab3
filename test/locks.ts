/** Locks and processes of runs, as tests need them: true ones, and forged ones. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { afterEach } from "vitest";
import { factsOf } from "../extension/processes/identity.ts";
import { prove } from "../extension/processes/lockFile.ts";
import { thisPlace } from "../extension/processes/place.ts";
import { newToken, tokenArgument } from "../extension/processes/token.ts";
import { LOCK_FILE, type RunLock } from "../extension/protocol/run.ts";

/** A process that does nothing, with arguments of one's choice. */
export interface Sleeper {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly token: string;
  /** Whether it has not ended. */
  alive(): boolean;
  kill(): void;
}

/**
 * Returns a function that starts a process which carries a token, as engines do; `args` in place of that are other
 * programs'. The processes are ended after each test.
 */
export function useSleepers(): (args?: readonly string[]) => Promise<Sleeper> {
  const started: Sleeper[] = [];
  afterEach(() => {
    for (const one of started.splice(0)) one.kill();
  });
  return async (args) => {
    const one = await sleeper(args);
    started.push(one);
    return one;
  };
}

/** Ends a sleeper. */
export async function killed(sleeper: Promise<Sleeper>): Promise<Sleeper> {
  const one = await sleeper;
  const exit = once(one.child, "exit");
  one.kill();
  await exit;
  return one;
}

async function sleeper(args?: readonly string[]): Promise<Sleeper> {
  const token = newToken();
  const program = "console.log(); setInterval(() => {}, 1000)";
  const child = spawn(process.execPath, ["-e", program, "--", ...(args ?? [tokenArgument(token)])], {
    stdio: ["ignore", "pipe", "ignore"],
    detached: process.platform !== "win32",
  });
  await new Promise<void>((resolve) => {
    child.stdout.once("data", () => resolve());
  });
  return {
    child,
    pid: child.pid!,
    token,
    alive: () => child.exitCode === null && child.signalCode === null,
    kill: () => void child.kill("SIGKILL"),
  };
}

/** Writes a lock into a run directory as its owner would, but for `more`; answers what it wrote. */
export async function writeLock(
  directory: string,
  { pid, token }: Pick<Sleeper, "pid" | "token">,
  more: Partial<RunLock> = {},
): Promise<RunLock> {
  const file = path.join(directory, LOCK_FILE);
  const facts = await factsOf(pid);
  const lock = {
    version: 1 as const,
    ...thisPlace(),
    pid,
    start: typeof facts === "object" ? facts.start : 1,
    since: new Date().toISOString(),
    ...more,
  };
  const descriptor = fs.openSync(file, "w");
  const inode = String(fs.fstatSync(descriptor, { bigint: true }).ino);
  const written = { ...lock, proof: more.proof ?? prove(token, inode, lock) };
  fs.writeFileSync(descriptor, JSON.stringify(written));
  fs.closeSync(descriptor);
  return written;
}

/** Makes a run's last sign of life one of that many milliseconds ago. */
export function age(directory: string, milliseconds: number): void {
  const time = new Date(Date.now() - milliseconds);
  fs.utimesSync(path.join(directory, LOCK_FILE), time, time);
}
