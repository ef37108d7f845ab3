// Identity of processes. Ids are reused, so an id alone proves nothing: the time at which a process began and its
// command line do.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isRunning } from "./signals.ts";
import { windowsProgram } from "./windows.ts";

/** The system's facts about a process. */
export interface ProcessFacts {
  /** When it began: ticks since boot on Linux, else milliseconds since 1970. */
  readonly start: number;
  readonly arguments: readonly string[];
}

/** "gone": there is no such process. "hidden": there is one, but the system says nothing about it. */
export type ProcessAnswer = ProcessFacts | "gone" | "hidden";

/** Queries to the system; tests answer for each platform. */
export interface System {
  readonly platform: NodeJS.Platform;
  isRunning(pid: number): boolean;
  readFile(path: string): Promise<string>;
  /** Runs a program, and returns what it writes to stdout. */
  run(command: string, args: readonly string[]): Promise<string>;
}

/** A process list takes milliseconds, PowerShell up to seconds on a machine that is busy. */
const TIME_LIMIT = 10_000;

const thisSystem: System = {
  platform: process.platform,
  isRunning,
  readFile: (path) => readFile(path, "utf8"),
  run: (command, args) =>
    new Promise((resolve, reject) => {
      // Times in UTC and English, whatever the user's settings are.
      const env = { ...process.env, LC_ALL: "C", TZ: "UTC0" };
      execFile(command, args, { env, timeout: TIME_LIMIT, windowsHide: true }, (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    }),
};

/** Asks the system for a process's facts. */
export async function factsOf(pid: number, system: System = thisSystem): Promise<ProcessAnswer> {
  if (!system.isRunning(pid)) return "gone";
  try {
    if (system.platform === "linux") return await fromProc(pid, system);
    return await (system.platform === "win32" ? fromPowerShell(pid, system) : fromPs(pid, system));
  } catch {
    // It may have ended in the meantime.
    return system.isRunning(pid) ? "hidden" : "gone";
  }
}

async function fromProc(pid: number, system: System): Promise<ProcessAnswer> {
  const facts = parseStat(await system.readFile(`/proc/${pid}/stat`));
  if (facts === undefined) return "hidden";
  if (isZombie(facts)) return "gone";
  const commandLine = await system.readFile(`/proc/${pid}/cmdline`);
  return { start: facts.start, arguments: commandLine.split("\0").filter((one) => one !== "") };
}

/** Fields of a line of Linux's `/proc/<pid>/stat`. */
export interface Stat {
  readonly state: string;
  /** Id of the parent process. */
  readonly parent: number;
  /** When the process began: ticks since boot. */
  readonly start: number;
}

/** Whether a process of that state has ended, and only its parent hasn't collected it yet. */
export const isZombie = ({ state }: Stat): boolean => state === "Z" || state === "X";

/** Parses a line of Linux's `/proc/<pid>/stat`, see proc_pid_stat(5). The name in it may have any characters. */
export function parseStat(text: string): Stat | undefined {
  const fields = text
    .slice(text.lastIndexOf(")") + 1)
    .trim()
    .split(/\s+/);
  // The first one here is the third of the page, which counts from one; the start is its 22nd.
  const [state = "", parent = "", start = ""] = [fields[0], fields[1], fields[19]];
  return /^\d+$/.test(start) ? { state, parent: Number(parent), start: Number(start) } : undefined;
}

async function fromPs(pid: number, system: System): Promise<ProcessAnswer> {
  const text = await system.run("/bin/ps", ["-ww", "-o", "lstart=,command=", "-p", String(pid)]);
  const found = /^\s*\w{3} (\w{3}) +(\d+) (\d\d:\d\d:\d\d) (\d{4}) +(.*)$/s.exec(text.trimEnd());
  if (found === null) return "hidden";
  const [, month, day, time, year, command = ""] = found;
  return facts(Date.parse(`${day} ${month} ${year} ${time} UTC`), command);
}

async function fromPowerShell(pid: number, system: System): Promise<ProcessAnswer> {
  const script =
    `$p = Get-CimInstance Win32_Process -Filter 'ProcessId=${pid}'; ` +
    `if ($p) { ([DateTimeOffset]$p.CreationDate).ToUnixTimeMilliseconds(); $p.CommandLine }`;
  const powerShell = windowsProgram("WindowsPowerShell", "v1.0", "powershell.exe");
  const text = await system.run(powerShell, ["-NoProfile", "-NonInteractive", "-Command", script]);
  const [start = "", ...command] = text.trim().split(/\r?\n/);
  return /^\d+$/.test(start) ? facts(Number(start), command.join(" ")) : "hidden";
}

function facts(start: number, command: string): ProcessAnswer {
  // Windows hides the command line of another user's process.
  if (!Number.isFinite(start) || command.trim() === "") return "hidden";
  return { start, arguments: command.split(/\s+/).map((word) => word.replace(/^"(.*)"$/, "$1")) };
}

/** Whether a process of that id has not ended. */
export async function isAlive(pid: number | undefined): Promise<boolean> {
  return pid !== undefined && (await factsOf(pid)) !== "gone";
}

/** When this process began, in the units of {@link factsOf}. */
export function startOfThisProcess(): number {
  if (process.platform === "linux") {
    const own = parseStat(readFileSync("/proc/self/stat", "utf8"));
    if (own !== undefined) return own.start;
  }
  return Math.round(performance.timeOrigin);
}

/** `ps` prints whole seconds, and a process reads the clock a moment after it began. */
const TOLERANCE = 3000;

export function isSameStart(a: number, b: number, platform = process.platform): boolean {
  return platform === "linux" ? a === b : Math.abs(a - b) <= TOLERANCE;
}
