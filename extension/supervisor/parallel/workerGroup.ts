// Starts the workers of a training and watches them. When one dies, all are restarted from the last saved state: an exchange
// that has lost a worker can't be continued.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { forwardControls, type RunControls } from "../../protocol/controls.ts";
import type { RunRequest, WorkerPlace } from "../../protocol/engine.ts";
import { EngineError } from "../../protocol/errors.ts";
import { RUN_FILE } from "../../protocol/run.ts";
import { SignsOfLife } from "../../processes/workers/signsOfLife.ts";
import { restartText, tooOften, watchWorkers, type GroupEnd } from "../../processes/workers/watch.ts";
import { toUserError } from "../errors.ts";
import type { EngineOptions } from "../engines/process.ts";
import { exists } from "../runs/runDirectory.ts";
import type { RunEvents, RunHandle, RunOutcome } from "../runs/run.ts";
import { demandTrust } from "../trust.ts";
import { freeAddresses } from "./addresses.ts";
import { mark, startWorker } from "./worker.ts";

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

const nameOf = (rank: number): string => `Worker ${rank}`;

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
    this.ended = this.#execute().catch((error: unknown) => ({
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

  async #execute(): Promise<RunOutcome> {
    let { request } = this;
    for (let restarts = 0; ; restarts++) {
      const end = await this.#attempt(request);
      const first = await this.#workers[0]!.ended;
      if (end.kind === "done") return first;
      if (end.kind === "failed" || this.#ending !== undefined) return { ...first, error: end.error };
      const { maxRestarts } = this.#group;
      const name = nameOf(end.rank);
      if (restarts >= maxRestarts) return { ...first, error: tooOften(name, end.error, restarts) };
      this.#events.log?.("warning", restartText(name, end.error, restarts + 1, maxRestarts));
      // Without a saved state, the training starts from the beginning.
      const resume = await exists(join(request.directory, RUN_FILE));
      request = { ...this.request, resume };
    }
  }

  async #attempt(request: RunRequest): Promise<GroupEnd> {
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
      const end = await watchWorkers({
        ends: workers.map(({ ended }) => ended),
        marks: () => Promise.all(workers.map(({ request: one }) => mark(one.directory))),
        signs,
        name: nameOf,
      });
      await this.#killAll();
      return end;
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }

  #start(request: RunRequest, worker: WorkerPlace, scratch: string): RunHandle {
    const { workers } = this.#group;
    return startWorker(request, { worker, here: workers, scratch }, this.#events, this.#engine);
  }
}
