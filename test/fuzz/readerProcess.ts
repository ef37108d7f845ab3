// A process that reads hostile files, with limits of time and memory.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { bundle } from "../bundle.mjs";
import type { Reader, Report } from "./worker.ts";

export type { Reader } from "./worker.ts";

export interface Limits {
  /** Of the processor; more of one that is slow, or shared with other work. */
  milliseconds?: number;
  /** Above what the process takes by itself. */
  megabytes?: number;
}

/** How a reading ended. All but "read" and "refused" are bugs. */
export interface Outcome {
  kind: "read" | "refused" | "unnamed" | "hang" | "memory" | "crash";
  message: string;
  milliseconds: number;
  megabytes: number;
}

/** Errors of the language: no check of the file found its fault. */
const INTERNAL = /^(TypeError|ReferenceError|SyntaxError|AssertionError|InternalError)$/;
/** PyTorch lists all parameters that don't fit. */
const LONGEST = 20_000;
const HEAP = 1024;
/** Seconds that may pass for one of the processor, on a machine that does other things too. */
const PATIENCE = 6;

/** Reads files one after the other; starts the process again when one has ended it. */
export class ReaderProcess {
  #program: string | undefined;
  #child: ChildProcess | undefined;
  #base = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /** Waits for readings that were begun before. */
  read(reader: Reader, file: string, limits: Limits = {}): Promise<Outcome> {
    const turn = this.#turn.then(() => this.#read(reader, file, limits));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #read(
    reader: Reader,
    file: string,
    { milliseconds = 5000, megabytes = 512 }: Limits,
  ): Promise<Outcome> {
    const child = await this.#running();
    const done = new AbortController();
    const { signal } = done;
    const report = once(child, "message", { signal }).then(([one]) => one as Report);
    const ended = once(child, "exit", { signal }).then(([code, sent]) => `it ended with ${code ?? sent}`);
    for (const one of [report, ended]) one.catch(() => undefined);
    let killed: "hang" | "memory" | undefined;
    const kill = (why: "hang" | "memory"): void => {
      killed ??= why;
      child.kill("SIGKILL");
    };
    const start = performance.now();
    const clock = setTimeout(() => kill("hang"), PATIENCE * milliseconds);
    const memory = setInterval(() => {
      if (megabytesOf(child.pid) > this.#base + megabytes) kill("memory");
    }, 50);
    child.send({ reader, file });
    const end = await Promise.race([report, ended]);
    done.abort();
    clearTimeout(clock);
    clearInterval(memory);
    const spent = performance.now() - start;
    if (typeof end === "string") {
      this.#child = undefined;
      return { kind: killed ?? "crash", message: end, milliseconds: spent, megabytes: 0 };
    }
    const { error, peak, slowness } = end;
    const used = Math.max(0, peak - this.#base);
    // The peak is that of the whole process: only its growth counts.
    this.#base = Math.max(this.#base, peak);
    return {
      kind:
        used > megabytes
          ? "memory"
          : end.milliseconds > slowness * milliseconds
            ? "hang"
            : error === undefined
              ? "read"
              : kindOf(error, file),
      message: error === undefined ? "" : `${error.name}: ${error.message}`,
      milliseconds: end.milliseconds,
      megabytes: used,
    };
  }

  close(): void {
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
  }

  async #running(): Promise<ChildProcess> {
    if (this.#child !== undefined) return this.#child;
    this.#program ??= await bundle("test/fuzz/worker.ts", "out/fuzz/worker.mjs");
    const execArgv = [`--max-old-space-size=${HEAP}`, "--enable-source-maps"];
    const child = fork(this.#program, [], { execArgv, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let errors = "";
    child.stderr?.on("data", (chunk) => (errors = (errors + String(chunk)).slice(-2000)));
    const ended = once(child, "exit").then(([code, signal]) => {
      throw new Error(`The process of readers ended with ${code ?? signal}: ${errors}`);
    });
    ended.catch(() => undefined);
    await Promise.race([once(child, "message"), ended]);
    this.#base = Math.max(megabytesOf(child.pid), 150);
    return (this.#child = child);
  }
}

function kindOf({ name, message }: { name: string; message: string }, file: string): Outcome["kind"] {
  const names = [file, path.basename(file), path.dirname(file)];
  const named = names.some((one) => message.includes(one));
  return !named || INTERNAL.test(name) || message.length > LONGEST ? "unnamed" : "refused";
}

/** Memory of a process in MiB; 0 where the system doesn't tell. */
function megabytesOf(pid: number | undefined): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
    return (pages * 4096) / 2 ** 20;
  } catch {
    return 0;
  }
}
