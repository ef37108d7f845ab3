import { basename } from "node:path";
import type { RunRequest } from "../protocol/engine.ts";
import { EngineError, type UserError } from "../protocol/errors.ts";
import type { RunRecord } from "../protocol/run.ts";
import type { EngineOptions } from "../supervisor/engines/process.ts";
import { openRun, type Attachment } from "../supervisor/runs/attach.ts";
import { dropRunDirectory, makeRunDirectory } from "../supervisor/runs/newRun.ts";
import { keepForTurn } from "../supervisor/runs/queuedSources.ts";
import { RunQueue, type QueuedRun } from "../supervisor/runs/queue.ts";
import { spawnRun } from "../supervisor/runs/run.ts";
import { readRun } from "../supervisor/runs/runDirectory.ts";
import type { Call } from "./tool.ts";

/** Runs that may wait for their turn. */
const MOST_WAITING = 10;

/** Milliseconds between two checks of a run's progress. */
const INTERVAL = 250;

interface Started {
  run: QueuedRun;
  record: RunRecord | undefined;
  error: UserError | undefined;
  /** Steps done and steps of the whole run. */
  progress: { done: number; total: number; text: string };
}

/** The runs of one client's session. They take turns, and end with the session: each can be resumed. */
export class RunManager {
  readonly #queue: RunQueue;
  readonly #started = new Map<string, Started>();

  constructor(options: EngineOptions) {
    this.#queue = new RunQueue((request, events) => spawnRun(request, events, options));
  }

  /** Makes the directory of a new run and starts it at its turn. Answers its id. */
  async start(root: string, request: Omit<RunRequest, "directory" | "outlive">): Promise<string> {
    this.#demandPlace();
    const word = basename(request.file).replace(/(\.nn)?\.[cm]?[jt]s$/, "");
    const asked = { ...request, directory: await makeRunDirectory(root, word), outlive: false };
    return this.resume(this.#queue.full ? await keepForTurn(asked) : asked);
  }

  resume(request: RunRequest): string {
    this.#demandPlace();
    const id = basename(request.directory);
    if (this.isActive(id))
      throw new EngineError({ code: "busy", message: `Run ${id} is running or waiting for its turn.` });
    const progress = { done: 0, total: 0, text: "starting" };
    const run = this.#queue.enqueue(request, {
      record: (record) => void (started.record = record),
      progress: ({ epoch, epochs, stepInEpoch, stepsPerEpoch, metrics }) => {
        progress.done = (epoch - 1) * stepsPerEpoch + stepInEpoch;
        progress.total = epochs * stepsPerEpoch;
        const [first] = Object.entries(metrics);
        progress.text = `epoch ${epoch} of ${epochs}${first === undefined ? "" : `, ${first[0]} ${first[1]}`}`;
      },
    });
    const started: Started = { run, record: undefined, error: undefined, progress };
    this.#started.set(id, started);
    void this.#settle(started, request);
    return id;
  }

  /** Why a run of this session never began; undefined of others. */
  failure(id: string): UserError | undefined {
    const started = this.#started.get(id);
    return started?.record === undefined ? started?.error : undefined;
  }

  /** The state of a run whose engine has written nothing yet. */
  firstState(id: string): "waiting" | "starting" {
    return this.#started.get(id)?.run.state === "waiting" ? "waiting" : "starting";
  }

  /** Whether a run of this session is unfinished. */
  isActive(id: string): boolean {
    const state = this.#started.get(id)?.run.state;
    return state === "waiting" || state === "running";
  }

  /**
   * Waits until a run has ended, at most so many seconds. Also of other processes.
   * @returns whether it has ended
   */
  async wait(directory: string, seconds: number, call: Call): Promise<boolean> {
    const id = basename(directory);
    const started = this.#started.get(id);
    const attachment = started === undefined ? await openRun(directory) : undefined;
    const ended = started === undefined ? attachment!.done : started.run.ended;
    const until = performance.now() + 1000 * seconds;
    const over = Promise.resolve(ended).then(() => true);
    try {
      while (!call.signal.aborted) {
        const left = until - performance.now();
        if (await Promise.race([over, pause(Math.min(INTERVAL, left)).then(() => false)])) return true;
        const { done, total, text } = started?.progress ?? progressOf(attachment!);
        call.progress(done, total, text);
        if (left <= 0) return false;
      }
      return false;
    } finally {
      attachment?.detach();
    }
  }

  /** Ends a run after its current step, wherever it was started. */
  async stop(directory: string): Promise<void> {
    const started = this.#started.get(basename(directory));
    if (started !== undefined && started.run.state !== "ended") return void (await started.run.stop());
    const attachment = await openRun(directory);
    try {
      if (attachment.session.live) await attachment.session.control?.stop();
    } finally {
      attachment.detach();
    }
  }

  /** The record of a run, which its engine may not have written yet. */
  async record(directory: string): Promise<RunRecord | undefined> {
    const id = basename(directory);
    if (this.isActive(id)) return this.#started.get(id)?.record;
    return (await readRun(directory)).record;
  }

  async dispose(): Promise<void> {
    await this.#queue.dispose();
  }

  async #settle(started: Started, { directory, resume }: RunRequest): Promise<void> {
    const { record, error } = await started.run.ended;
    started.record = record ?? started.record;
    started.error = error;
    if (record === undefined && resume !== true) await dropRunDirectory(directory);
  }

  #demandPlace(): void {
    if (this.#queue.runs.length <= MOST_WAITING) return;
    throw new EngineError({
      code: "busy",
      message: `${MOST_WAITING} runs are waiting for their turn already.`,
      hint: "wait_for_run waits for one to end; stop_run ends one.",
    });
  }
}

function progressOf({ session }: Attachment): Started["progress"] {
  const { step, epochs, epoch, stepsPerEpoch = 0 } = session.record;
  return { done: step, total: epochs * stepsPerEpoch, text: `epoch ${epoch} of ${epochs}` };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, milliseconds));
  });
}
