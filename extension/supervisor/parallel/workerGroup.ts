// Starts the workers of a training and watches them. When one dies, all are restarted from the last saved state: an exchange
// that has lost a worker can't be continued.
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { forwardControls, type RunControls } from "../../protocol/controls.ts";
import type { RunRequest, WorkerPlace } from "../../protocol/engine.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { LOST_WORKER } from "../../protocol/exit.ts";
import { RUN_FILE } from "../../protocol/run.ts";
import { readLock } from "../../processes/lockFile.ts";
import { toUserError } from "../errors.ts";
import type { EngineOptions } from "../engines/process.ts";
import { exists } from "../runs/runDirectory.ts";
import { spawnRun, type RunEvents, type RunHandle, type RunOutcome } from "../runs/run.ts";
import { demandTrust } from "../trust.ts";
import { freeAddresses } from "./addresses.ts";
import { SignsOfLife } from "./signsOfLife.ts";

/** Milliseconds between two checks of the heartbeats. */
const WATCH = 500;
/** Milliseconds to wait for the error of the worker that failed first, after others have reported its loss. */
const CAUSE = 2000;
/** Milliseconds that workers get to end after the first one has. */
const FAREWELL = 5000;

export interface GroupOptions {
  readonly workers: number;
  /** How often all may be restarted. */
  readonly maxRestarts: number;
}

/** Starts a training by several workers. The handle is like that of one run; its events are those of the first worker. */
export function spawnWorkers(
  request: RunRequest,
  events: RunEvents,
  engine: EngineOptions,
  group: GroupOptions,
): RunHandle {
  demandTrust();
  return new WorkerGroup(request, events, engine, group);
}

/** Why an attempt has ended. */
type End =
  | { readonly kind: "done"; readonly outcome: RunOutcome }
  | { readonly kind: "failed"; readonly error: UserError }
  | { readonly kind: "died"; readonly rank: number; readonly error: UserError };

class WorkerGroup implements RunHandle {
  readonly id: string;
  readonly request: RunRequest;
  readonly ended: Promise<RunOutcome>;
  readonly control: RunControls = {
    ...forwardControls(() => this.#first().control),
    stop: async () => void (await this.stop()),
  };
  readonly #events: RunEvents;
  readonly #engine: EngineOptions;
  readonly #group: GroupOptions;
  #workers: readonly RunHandle[] = [];
  #ending: "stop" | "kill" | undefined;

  constructor(request: RunRequest, events: RunEvents, engine: EngineOptions, group: GroupOptions) {
    this.id = basename(request.directory);
    this.request = request;
    this.#events = events;
    this.#engine = engine;
    this.#group = group;
    this.ended = this.#live().catch((error: unknown) => ({
      record: undefined,
      error: toUserError(error),
      exit: undefined,
    }));
  }

  get pid(): number | undefined {
    return this.#workers[0]?.pid;
  }

  async stop(): Promise<RunOutcome> {
    this.#ending ??= "stop";
    // The first worker stops the others at the same step.
    void this.#workers[0]?.stop();
    return this.ended;
  }

  async kill(): Promise<RunOutcome> {
    this.#ending = "kill";
    await this.#killAll();
    return this.ended;
  }

  killNow(): void {
    this.#ending = "kill";
    for (const worker of this.#workers) worker.killNow();
  }

  detach(): void {
    for (const worker of this.#workers) worker.detach();
  }

  #first(): RunHandle {
    const [first] = this.#workers;
    if (first === undefined)
      throw new EngineError({ code: "not-running", message: "The workers are being started." });
    return first;
  }

  async #killAll(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()));
  }

  async #live(): Promise<RunOutcome> {
    let { request } = this;
    for (let restarts = 0; ; restarts++) {
      const end = await this.#attempt(request);
      if (end.kind === "done") return end.outcome;
      const first = await this.#workers[0]!.ended;
      if (end.kind === "failed" || this.#ending !== undefined) return { ...first, error: end.error };
      if (restarts >= this.#group.maxRestarts) {
        const error = {
          ...end.error,
          message: `Worker ${end.rank} has ended, and the workers were started again ${restarts} times already. ${end.error.message}`,
        };
        return { ...first, error };
      }
      const left = `${restarts + 1} of ${this.#group.maxRestarts}`;
      this.#events.log?.(
        "warning",
        `Worker ${end.rank} has ended: ${end.error.message} All workers start again from the last saved state (${left}).`,
      );
      // Without a saved state, the training starts from the beginning.
      const resume = await exists(join(request.directory, RUN_FILE));
      request = { ...this.request, resume };
    }
  }

  async #attempt(request: RunRequest): Promise<End> {
    const scratch = await mkdtemp(join(tmpdir(), "layerwise-workers-"));
    try {
      const addresses = await freeAddresses(this.#group.workers);
      const before = await mark(request.directory);
      const signs = new SignsOfLife(addresses.map((_, rank) => (rank === 0 ? before : undefined)));
      const workers = addresses.map((_, rank) =>
        this.#start(request, { rank, size: addresses.length, addresses, timeout: 0 }, scratch),
      );
      this.#workers = workers;
      if (this.#ending === "stop") void workers[0]!.stop();
      const end = await this.#watch(workers, signs);
      await this.#killAll();
      return end;
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }

  #start(request: RunRequest, worker: WorkerPlace, scratch: string): RunHandle {
    const cores = Math.max(1, Math.floor(availableParallelism() / this.#group.workers));
    const engine = {
      ...this.#engine,
      env: {
        ...this.#engine.env,
        LAYERWISE_CORES: String(cores),
        TF_NUM_INTRAOP_THREADS: String(Math.max(1, cores >> 1)),
        // An exchange occupies a thread while it waits.
        TF_NUM_INTEROP_THREADS: String(Math.max(2, cores)),
      },
    };
    if (worker.rank === 0) return spawnRun({ ...request, worker, outlive: false }, this.#events, engine);
    const { resume: _, forceUnlock: __, ...rest } = request;
    const directory = join(scratch, String(worker.rank));
    // The others print and write the same as the first one.
    return spawnRun({ ...rest, directory, worker, outlive: false, tensorboard: false }, {}, engine);
  }

  /** Waits until the training has ended, or a worker has died or is frozen. */
  async #watch(workers: readonly RunHandle[], signs: SignsOfLife): Promise<End> {
    const ends: (RunOutcome | undefined)[] = workers.map(() => undefined);
    const endings = workers.map(async (worker, rank) => {
      ends[rank] = await worker.ended;
      return rank;
    });
    const stop = new AbortController();
    const frozen = this.#frozen(workers, ends, signs, stop.signal);
    try {
      for (;;) {
        const left = endings.filter((_, rank) => ends[rank] === undefined);
        const which = await Promise.race([...left, frozen]);
        if (typeof which === "object") return which;
        const end = await this.#endOf(ends, endings);
        if (end !== undefined) return end;
      }
    } finally {
      stop.abort();
    }
  }

  /** Derives the end of the training from the workers that have ended; undefined while it continues. */
  async #endOf(
    ends: readonly (RunOutcome | undefined)[],
    endings: readonly Promise<number>[],
  ): Promise<End | undefined> {
    const failed = (): number =>
      ends.findIndex((end) => end?.error !== undefined && end.error.code !== LOST_WORKER);
    const [first] = ends;
    if (first !== undefined && first.error === undefined) {
      await Promise.race([Promise.all(endings), delay(FAREWELL)]);
      return { kind: "done", outcome: first };
    }
    if (ends.every((end) => end === undefined || end.error === undefined)) return undefined;
    // Another worker may still report the cause. An error that all have is reported from the first worker.
    await Promise.race([Promise.all(endings), delay(CAUSE)]);
    const rank = Math.max(failed(), 0);
    const error = ends[rank]?.error ?? ends.find((end) => end?.error !== undefined)!.error!;
    return error.code === "killed" || error.code === LOST_WORKER
      ? { kind: "died", rank, error }
      : {
          kind: "failed",
          error: rank === 0 ? error : { ...error, message: `Worker ${rank}: ${error.message}` },
        };
  }

  /** Resolves when a worker gives no heartbeat. */
  async #frozen(
    workers: readonly RunHandle[],
    ends: readonly unknown[],
    signs: SignsOfLife,
    signal: AbortSignal,
  ): Promise<End> {
    for (;;) {
      await delay(WATCH);
      if (signal.aborted) return new Promise(() => undefined);
      const marks = await Promise.all(workers.map(({ request }) => mark(request.directory)));
      const frozen = signs.look(marks).find(({ rank }) => ends[rank] === undefined);
      if (frozen === undefined) continue;
      const message = `it gave no sign of life for ${frozen.limit / 1000} s.`;
      return { kind: "died", rank: frozen.rank, error: { code: "killed", message } };
    }
  }
}

/** A text that changes with each heartbeat of a run; undefined without a lock. */
async function mark(directory: string): Promise<string | undefined> {
  const found = await readLock(directory).catch(() => undefined);
  return found !== undefined && "beat" in found ? `${found.id} ${found.beat}` : undefined;
}
