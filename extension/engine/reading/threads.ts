import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from "node:worker_threads";
import { distFolder } from "../../files/shipped.ts";
import type { Pending } from "../../nn/data/access.ts";
import { internal, TensorError } from "../../tensor/core/errors.ts";
import { ours } from "../isolation/leftovers.ts";
import { ANSWERS, READS, type ReadingAnswer, type ReadingKind, type Readings } from "./messages.ts";

/** Milliseconds of one wait: between two, a debugger can pause this thread, and the watchdog too. */
const SLICE = 100;
/** Milliseconds without any sign of life after which a thread counts as lost: one that runs out of memory gives none. */
const LOST = 60_000;
/** Megabytes of objects that a thread may have. What it reads lies outside of them. */
const HEAP = 2048;
const MOST_THREADS = 16;

/** A thread that reads data. Its answers are waited for without the event loop: data sets are synchronous. */
export class ReadingThread {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #signal = new Int32Array(new SharedArrayBuffer(8));
  readonly #answers = new Map<number, ReadingAnswer>();
  /** Requests under way. */
  readonly #asked = new Set<number>();
  /** Why it ended. */
  #lost: string | undefined;
  #next = 0;

  constructor() {
    const program = pathToFileURL(join(distFolder() ?? "dist", "readingThread.js"));
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(program, {
      workerData: { signal: this.#signal, port: port2 },
      transferList: [port2],
      // Flags such as --input-type are for the main thread's program.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP },
    });
    this.#worker.unref();
    this.#worker.on(
      "error",
      (error) =>
        (this.#lost ??= `the thread that reads it failed: ${error instanceof Error ? error.message : String(error)}`),
    );
    this.#worker.on("exit", () => (this.#lost ??= "the thread that reads it ended"));
  }

  get usable(): boolean {
    return this.#lost === undefined;
  }

  get load(): number {
    return this.#asked.size;
  }

  /** @param transfer Memory that is handed over */
  ask<K extends ReadingKind>(
    kind: K,
    request: Readings[K]["request"],
    transfer: readonly ArrayBuffer[],
  ): number {
    const id = this.#next++;
    this.#asked.add(id);
    this.#port.postMessage({ id, kind, ...request }, transfer);
    return id;
  }

  has(id: number): boolean {
    this.#receive();
    return this.#lost !== undefined || this.#answers.has(id);
  }

  /** Waits for an answer. */
  take(id: number): ReadingAnswer {
    if (!this.#asked.has(id)) internal("an answer is taken twice");
    let heard = performance.now();
    let before = "";
    for (;;) {
      // Counted before the answers are received: one that comes in between ends the wait at once.
      const answers = Atomics.load(this.#signal, ANSWERS);
      if (this.has(id)) break;
      const now = `${answers} ${Atomics.load(this.#signal, READS)}`;
      if (now !== before) heard = performance.now();
      else if (performance.now() - heard > LOST) this.#end();
      before = now;
      if (this.#lost === undefined) Atomics.wait(this.#signal, ANSWERS, answers, SLICE);
    }
    const answer = this.#answers.get(id) ?? {
      id,
      error: this.#lost ?? internal("a thread that is there gives no answer"),
    };
    this.drop(id);
    return answer;
  }

  /** An answer that is not needed any more. */
  drop(id: number): void {
    this.#asked.delete(id);
    this.#answers.delete(id);
  }

  #receive(): void {
    for (
      let one = receiveMessageOnPort(this.#port);
      one !== undefined;
      one = receiveMessageOnPort(this.#port)
    ) {
      const answer = one.message as ReadingAnswer;
      if (this.#asked.has(answer.id)) this.#answers.set(answer.id, answer);
    }
  }

  #end(): void {
    this.#lost ??= `the thread that reads it gave no sign of life for ${LOST / 1000} seconds: it needs too much time, or more than ${HEAP.toLocaleString("en-US")} MB of memory for objects`;
    void this.#worker.terminate();
  }
}

const threads: ReadingThread[] = [];
let wanted = 1;

/** Has at least so many threads read: a loader's `numWorkers`. */
export function wantThreads(count: number): void {
  wanted = Math.min(MOST_THREADS, Math.max(wanted, count));
}

/** The least busy thread; another one as long as there are fewer than wanted. */
export function freeThread(): ReadingThread {
  for (let i = threads.length - 1; i >= 0; i--) if (!threads[i]!.usable) threads.splice(i, 1);
  const least = threads.reduce<ReadingThread | undefined>(
    (best, one) => (best === undefined || one.load < best.load ? one : best),
    undefined,
  );
  if (least !== undefined && (least.load === 0 || threads.length >= wanted)) return least;
  // A preview's process must not count it among what a file leaves behind.
  const thread = ours(() => new ReadingThread());
  threads.push(thread);
  return thread;
}

/** How a thread is asked. */
export interface Asking {
  /** Named in errors: a file. Without it, the thread's own errors name what is wrong. */
  readonly subject?: string;
  /** The least busy one by default. */
  readonly thread?: ReadingThread;
  /** Memory that is handed over. */
  readonly transfer?: readonly ArrayBuffer[];
}

/** A message that names its subject once: errors of the file system do already. */
export const naming = (subject: string | undefined, message: string): string =>
  subject === undefined || message.startsWith(subject) ? message : `${subject}: ${message}`;

/** Has a thread read something. */
export function reading<K extends ReadingKind>(
  kind: K,
  request: Readings[K]["request"],
  { subject, thread = freeThread(), transfer = [] }: Asking,
): Pending<Readings[K]["answer"]> {
  const id = thread.ask(kind, request, transfer);
  return {
    get ready() {
      return thread.has(id);
    },
    take() {
      const answer = thread.take(id);
      if ("error" in answer) throw new TensorError("file", naming(subject, answer.error));
      return answer.value as Readings[K]["answer"];
    },
    drop: () => thread.drop(id),
  };
}
