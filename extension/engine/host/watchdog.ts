import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { EngineError, type SourcePosition } from "../../protocol/errors.ts";
import type { HeldLock } from "../../processes/lock.ts";
import { isDebugged } from "./debugger.ts";
import { findPosition } from "./stackTraces.ts";
import { LOST, READY, REPORT, type StandingAt, type WatchdogMessage } from "./watchdogProtocol.ts";

/** Milliseconds that the main thread's own timer has first: it fires only if user code waits rather than runs. */
const HEAD_START = 200;

/** How often a repeated limit is renewed within its time, as long as the event loop turns. */
const TURNS = 4;

const PROGRAM = new URL("./watchdogWorker.js", import.meta.url);

/** Read before the parent can have ended: then another process takes its place. */
const PARENT = process.ppid;

export interface Limit {
  /** Milliseconds that the body may take; with `repeat`, without a turn of the event loop. */
  milliseconds: number;
  /** For a body that another process kills: report repeatedly, and let it continue. */
  repeat?: boolean;
  /** Bytes that the process may have from now on, also when the body is over. */
  memory?: number;
  /** Describes the running code on stderr, if nothing else is possible. */
  text: string;
  /**
   * Called when the time is over, with the user's line that runs; undefined while the body waits. When the main thread
   * hangs, this runs while it is paused, and unless `repeat` is set it is the last that this process does: write and
   * send at once.
   */
  onOver: (position: SourcePosition | undefined) => void;
}

/** Puts a time limit on user code, also on code that never returns to the event loop. */
export class Watchdog {
  readonly #worker: Worker;
  #ready: Promise<void>;
  /** Replaces the worker in a debugged process. */
  #process: ChildProcess | undefined;
  #following: WatchdogMessage | undefined;
  #holding: WatchdogMessage | undefined;
  #onLost: (() => void) | undefined;
  #onOver: Limit["onOver"] | undefined;

  constructor() {
    this.#worker = new Worker(PROGRAM);
    this.#worker.on("message", (message) => this.#receive(message));
    this.#ready = started(this.#worker);
    this.#worker.unref();
    Reflect.set(globalThis, Symbol.for(REPORT), (places: StandingAt[]) => this.#report(places));
  }

  /**
   * Resolves once the watchdog follows what it was told to. User code runs afterwards: code that never returns to the event loop
   * would otherwise have no limit, and outlive the parent.
   * @throws EngineError when the watchdog can't be started
   */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** Runs `body`; past its limit, `onOver` is called, which decides what happens to the body. */
  async guard<T>(limit: Limit, body: () => Promise<T>): Promise<T> {
    if (!isDebugged()) await this.ready();
    const end = this.watch(limit);
    try {
      return await body();
    } finally {
      end();
    }
  }

  /** Has a limit for all code from now on, until the function that this returns is called. One limit at a time. */
  watch(limit: Limit): () => void {
    // A process at a breakpoint doesn't hang.
    if (isDebugged()) return () => undefined;
    const { milliseconds, repeat = false, memory, text } = limit;
    this.#onOver = limit.onOver;
    const bytes = memory === undefined ? {} : { memory };
    const watch = (): void =>
      this.#send({ kind: "watch", limit: milliseconds + HEAD_START, repeat, text, ...bytes });
    watch();
    // Both fire only when the event loop turns: the body waits, at no line of its own, and may hang later.
    const turning = repeat ? setInterval(watch, milliseconds / TURNS) : undefined;
    const timer = setInterval(() => {
      if (!repeat) over();
      limit.onOver(undefined);
    }, milliseconds);
    const over = (): void => {
      clearInterval(turning);
      clearInterval(timer);
      this.#leave();
    };
    return over;
  }

  /** Ends this process when code that a file left behind has computed for `milliseconds` while nothing is guarded. */
  endWhenBusy(milliseconds: number): void {
    this.#send({ kind: "idle", limit: milliseconds });
  }

  /**
   * Ends this process `grace` milliseconds after its parent ended, unless the main thread does it before. With
   * `folder`, it may continue as long as that folder exists.
   */
  followParent(grace: number, folder?: string): void {
    this.#following = { kind: "parent", pid: PARENT, grace, ...(folder === undefined ? {} : { folder }) };
    this.#send(this.#following);
  }

  /** Keeps a lock alive until this process ends. `onLost` is called when another process has taken the lock. */
  hold({ file, inode }: Pick<HeldLock, "file" | "inode">, onLost: () => void): void {
    this.#onLost = onLost;
    this.#holding = { kind: "hold", file, inode };
    this.#send(this.#holding);
  }

  /** Stops keeping the lock alive: it is released. */
  release(): void {
    this.#onLost = undefined;
    this.#holding = undefined;
    this.#send({ kind: "release" });
  }

  /**
   * Follows the parent from a process beside this one, and ends the thread: a debugger shows each thread to its user.
   * A debugged process has no limits.
   */
  async leaveThread(): Promise<void> {
    this.#process = fork(fileURLToPath(PROGRAM), {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
    });
    this.#process.unref();
    this.#process.channel?.unref();
    this.#process.on("message", (message) => this.#receive(message));
    this.#ready = started(this.#process);
    for (const message of [this.#following, this.#holding]) if (message !== undefined) this.#send(message);
    await this.#ready;
    await this.#worker.terminate();
  }

  #leave(): void {
    this.#onOver = undefined;
    this.#send({ kind: "leave" });
  }

  #receive(message: unknown): void {
    if (message === LOST) this.#onLost?.();
  }

  #send(message: WatchdogMessage): void {
    if (this.#process === undefined) this.#worker.postMessage(message, []);
    else if (this.#process.connected) this.#process.send(message);
  }

  #report(places: StandingAt[]): void {
    for (const { script, line, column } of places) {
      const position = findPosition(script, line, column);
      if (position !== undefined) return this.#onOver?.(position);
    }
    this.#onOver?.(undefined);
  }
}

/** Resolves once a watchdog has said that it follows what it was told to. */
function started(watchdog: Worker | ChildProcess): Promise<void> {
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (reason: string): void => {
      const message = `internal: the engine's watchdog can't be started: ${reason}`;
      reject(new EngineError({ code: "internal", message }));
    };
    watchdog.on("message", (message) => message === READY && resolve());
    watchdog.once("error", (error: Error) => fail(error.message));
    watchdog.once("exit", (code: number | null) => fail(`it has ended (exit code ${code})`));
  });
  // The caller that waits for it reports the reason.
  ready.catch(() => undefined);
  return ready;
}
