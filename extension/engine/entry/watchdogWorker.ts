/**
 * Watchdog thread of an engine, for user code that doesn't return. It pauses the main thread like a debugger, and calls
 * a function there with its call frames. For an engine that is being debugged it is a process, which only checks
 * whether the engine's parent lives and keeps its lock alive.
 */
import fs from "node:fs";
import { Session, type Debugger } from "node:inspector";
import { parentPort } from "node:worker_threads";
import { BEAT, beat } from "../../processes/heartbeat.ts";
import { endOwnFamily } from "../../processes/family.ts";
import { isRunning } from "../../processes/signals.ts";
import { MEMORY_EXCEEDED } from "../../protocol/exit.ts";
import { LOST, READY, REPORT, type StandingAt, type WatchdogMessage } from "../host/watchdogProtocol.ts";

/** Most milliseconds that pausing a main thread which runs JavaScript takes. */
const PAUSE_LIMIT = 3000;

/** Milliseconds between two checks of the parent, and of a process that should be idle. */
const PARENT_INTERVAL = 500;
/** Milliseconds between two checks of a watched process's memory. */
const MEMORY_INTERVAL = 50;
/** Milliseconds that a process with growing memory gets to report its line. */
const MEMORY_GRACE = 300;

/** The watched process. */
const watched = parentPort === null ? process.ppid : process.pid;
const port = parentPort ?? process;
process.once("disconnect", () => process.exit());

let timer: NodeJS.Timeout | undefined;
let following: NodeJS.Timeout | undefined;
let holding: NodeJS.Timeout | undefined;
let memoryLimit = Number.POSITIVE_INFINITY;
let looking: NodeJS.Timeout | undefined;
let resting: NodeJS.Timeout | undefined;
let watching = false;

port.on("message", (message: WatchdogMessage) => {
  if (message.kind === "parent") return followParent(message);
  if (message.kind === "hold") return hold(message);
  if (message.kind === "release") return clearInterval(holding);
  if (message.kind === "idle") return followRest(message.limit);
  clearTimeout(timer);
  clearInterval(looking);
  watching = message.kind === "watch";
  if (message.kind !== "watch") return;
  watch(message);
  memoryLimit = message.memory ?? memoryLimit;
  if (memoryLimit !== Number.POSITIVE_INFINITY) looking = setInterval(() => lookAtMemory(), MEMORY_INTERVAL);
});

/** Limits the memory of the whole process: also arrays outside of JavaScript's heap, threads, native libraries. */
function lookAtMemory(): void {
  if (process.memoryUsage.rss() <= memoryLimit) return;
  clearInterval(looking);
  clearInterval(resting);
  clearTimeout(timer);
  pause(MEMORY_GRACE, () => {
    try {
      fs.writeSync(2, `\n${MEMORY_EXCEEDED}\n`);
    } catch {
      // User code has closed its stderr.
    }
    end();
    return false;
  });
}

function followRest(limit: number): void {
  let used = process.cpuUsage();
  let busy = 0;
  resting = setInterval(() => {
    const spent = process.cpuUsage(used);
    used = process.cpuUsage();
    lookAtMemory();
    if (watching || spent.user + spent.system < 500 * PARENT_INTERVAL) busy = 0;
    else if ((busy += PARENT_INTERVAL) >= limit) end();
  }, PARENT_INTERVAL);
}

const end = (): void => void endOwnFamily(watched);

function followParent({ pid, grace, folder }: WatchdogMessage & { kind: "parent" }): void {
  clearInterval(following);
  let alone: number | undefined;
  following = setInterval(() => {
    if (isParent(pid) || (folder !== undefined && fs.existsSync(folder))) alone = undefined;
    else alone ??= performance.now();
    if (alone === undefined || performance.now() - alone < grace) return;
    clearInterval(following);
    end();
  }, PARENT_INTERVAL);
}

/** Keeps the lock alive from this thread, so that a busy main thread doesn't look dead. */
function hold({ file, inode }: WatchdogMessage & { kind: "hold" }): void {
  clearInterval(holding);
  let busy = false;
  holding = setInterval(() => {
    // On a slow network drive, one pending write is enough.
    if (busy) return;
    busy = true;
    beat(file, inode)
      .then((state) => state === "lost" && tellLost())
      // A temporary error of the disk says nothing about the lock.
      .catch(() => undefined)
      .finally(() => (busy = false));
  }, BEAT);
}

function tellLost(): void {
  clearInterval(holding);
  tell(LOST);
}

function tell(message: typeof LOST | typeof READY): void {
  if (parentPort === null) process.send?.(message);
  else parentPort.postMessage(message, []);
}

/** An orphan gets another parent; on Windows it keeps its parent's id, whose process is gone. */
function isParent(pid: number): boolean {
  return (watched !== process.pid || process.ppid === pid) && isRunning(pid);
}

function watch(message: WatchdogMessage & { kind: "watch" }): void {
  timer = setTimeout(() => {
    report(message);
    if (message.repeat) watch(message);
  }, message.limit);
}

function report({ text, repeat }: WatchdogMessage & { kind: "watch" }): void {
  pause(PAUSE_LIMIT, (told) => {
    if (repeat) return true;
    if (!told) fs.writeSync(2, `${text}, inside a call that can't be interrupted\n`);
    end();
    return false;
  });
}

/**
 * Makes the main thread report its call frames.
 * @param then Called once with whether that worked; returns whether the main thread may continue
 */
function pause(limit: number, then: (told: boolean) => boolean): void {
  const session = new Session();
  session.connectToMainThread();
  const scripts = new Map<string, string>();
  let over = false;
  const done = (told: boolean): void => {
    clearTimeout(blocked);
    // A main thread that pauses too late has been given up.
    if (!over && !then(told)) return void (over = true);
    over = true;
    session.disconnect();
  };
  // Only JavaScript can be paused, not a native call or an endless regular expression.
  const blocked = setTimeout(() => done(false), limit);
  session.on("Debugger.scriptParsed", ({ params }) => scripts.set(params.scriptId, params.url));
  session.on("Debugger.paused", ({ params }) => {
    clearTimeout(blocked);
    const top = params.callFrames[0];
    if (top === undefined) return done(true);
    session.post(
      "Debugger.evaluateOnCallFrame",
      {
        callFrameId: top.callFrameId,
        expression: `globalThis[Symbol.for(${JSON.stringify(REPORT)})](${JSON.stringify(places(params, scripts))})`,
      },
      () => done(true),
    );
  });
  session.post("Debugger.enable", () => session.post("Debugger.pause"));
}

function places(
  { callFrames }: Debugger.PausedEventDataType,
  scripts: ReadonlyMap<string, string>,
): StandingAt[] {
  return callFrames.map(({ location }) => ({
    script: scripts.get(location.scriptId) ?? "",
    line: location.lineNumber + 1,
    column: (location.columnNumber ?? 0) + 1,
  }));
}

// Messages that were sent before are received first.
setImmediate(() => tell(READY));
