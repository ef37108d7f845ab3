/**
 * The thread beside an engine's main thread that sees when user code doesn't come back. It pauses the main thread like
 * a debugger does, and calls a function there with the places at which it stands. Beside an engine that is debugged it
 * is a process, which only looks whether the engine's parent is there.
 */
import fs from "node:fs";
import { Session, type Debugger } from "node:inspector";
import { parentPort } from "node:worker_threads";
import { BEAT, beat } from "../processes/heartbeat.ts";
import { isRunning, killParent, killThisProcess } from "../processes/signals.ts";
import { LOST, REPORT, type StandingAt, type WatchdogMessage } from "./watchdogProtocol.ts";

/** Milliseconds that a main thread which runs JavaScript needs, at the very most, to be paused. */
const PAUSE_LIMIT = 3000;

/** Milliseconds between two looks at the parent. */
const PARENT_INTERVAL = 500;

/** What is watched. */
const watched = parentPort === null ? process.ppid : process.pid;
const port = parentPort ?? process;
process.once("disconnect", () => process.exit());

let timer: NodeJS.Timeout | undefined;
let following: NodeJS.Timeout | undefined;
let holding: NodeJS.Timeout | undefined;

port.on("message", (message: WatchdogMessage) => {
  if (message.kind === "parent") return followParent(message);
  if (message.kind === "hold") return hold(message);
  clearTimeout(timer);
  if (message.kind === "watch") watch(message);
});

function followParent({ pid, grace, folder }: WatchdogMessage & { kind: "parent" }): void {
  clearInterval(following);
  let alone: number | undefined;
  following = setInterval(() => {
    if (isParent(pid) || (folder !== undefined && fs.existsSync(folder))) alone = undefined;
    else alone ??= performance.now();
    if (alone !== undefined && performance.now() - alone >= grace) end();
  }, PARENT_INTERVAL);
}

/** Gives signs of life from here, so that a main thread that is busy doesn't look dead. */
function hold({ file, inode }: WatchdogMessage & { kind: "hold" }): void {
  clearInterval(holding);
  let busy = false;
  holding = setInterval(() => {
    // One that a network keeps waiting is enough.
    if (busy) return;
    busy = true;
    beat(file, inode)
      .then((state) => state === "lost" && tellLost())
      // What a disk has for the moment is no news of the lock.
      .catch(() => undefined)
      .finally(() => (busy = false));
  }, BEAT);
}

function tellLost(): void {
  clearInterval(holding);
  if (parentPort === null) process.send?.(LOST);
  else parentPort.postMessage(LOST, []);
}

/** Ends the engine. */
function end(): void {
  if (parentPort === null) killParent(watched);
  else killThisProcess();
}

/** A process whose parent ended is given another; Windows keeps the number, and the process of it is gone. */
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
  const session = new Session();
  session.connectToMainThread();
  const scripts = new Map<string, string>();
  // Paused is what JavaScript can be; a native call or an endless regular expression can't be looked into.
  const blocked = setTimeout(() => {
    session.disconnect();
    if (repeat) return;
    fs.writeSync(2, `${text}, inside a call that can't be interrupted\n`);
    killThisProcess();
  }, PAUSE_LIMIT);
  session.on("Debugger.scriptParsed", ({ params }) => scripts.set(params.scriptId, params.url));
  session.on("Debugger.paused", ({ params }) => {
    clearTimeout(blocked);
    const done = (): void => {
      session.disconnect();
      if (!repeat) killThisProcess();
    };
    const top = params.callFrames[0];
    if (top === undefined) return done();
    session.post(
      "Debugger.evaluateOnCallFrame",
      {
        callFrameId: top.callFrameId,
        expression: `globalThis[Symbol.for(${JSON.stringify(REPORT)})](${JSON.stringify(places(params, scripts))})`,
      },
      done,
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
