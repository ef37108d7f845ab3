import { basename } from "node:path";
import { forwardControls, type RunControls } from "../../protocol/controls.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import { EngineError } from "../../protocol/errors.ts";
import { deferred } from "../../processes/deferred.ts";
import type { RunEvents, RunHandle, RunOutcome } from "./run.ts";

export interface QueuedRun {
  readonly request: RunRequest;
  readonly state: "waiting" | "running" | "ended";
  /** Defined from its turn on. */
  readonly handle: RunHandle | undefined;
  /** Never rejects; a run cancelled while it waited ends with the error "cancelled". */
  readonly ended: Promise<RunOutcome>;
  /** `stop` takes a waiting run out of the queue; all others need its process. */
  readonly control: RunControls;
  /** Takes a waiting run out of the queue, stops a running one. */
  stop(): Promise<RunOutcome>;
}

interface Entry extends QueuedRun {
  state: QueuedRun["state"];
  handle: RunHandle | undefined;
  readonly events: RunEvents;
  settle(outcome: RunOutcome): void;
}

/** Runs take turns, since one fills the machine's cores; those on other machines don't. An ended run never restarts. */
export class RunQueue {
  readonly #spawn: (request: RunRequest, events: RunEvents) => RunHandle;
  readonly #onChange: () => void;
  readonly #entries: Entry[] = [];
  #limit: number;

  /** `onChange` is called when a run enters, starts or leaves. */
  constructor(
    spawn: (request: RunRequest, events: RunEvents) => RunHandle,
    limit = 1,
    onChange: () => void = () => undefined,
  ) {
    this.#spawn = spawn;
    this.#limit = limit;
    this.#onChange = onChange;
  }

  /** Active and waiting runs, in the order of their turns. */
  get runs(): readonly QueuedRun[] {
    return this.#entries;
  }

  /** Whether the next run of this machine has to wait. */
  get full(): boolean {
    return this.#free <= 0;
  }

  get #free(): number {
    return (
      this.#limit - this.#entries.filter((entry) => entry.state === "running" && !isElsewhere(entry)).length
    );
  }

  /** Sets how many runs may be active. A smaller limit ends none. */
  set limit(limit: number) {
    this.#limit = Math.max(1, limit);
    this.#advance();
  }

  /** The runs of which one must end before a waiting run's turn: the one ahead in the queue, else the active ones. */
  before(run: QueuedRun): readonly QueuedRun[] {
    if (run.state !== "waiting") return [];
    const waiting = this.#entries.filter(({ state }) => state === "waiting");
    const last = waiting[waiting.findIndex((entry) => entry === run) - 1];
    return last === undefined
      ? this.#entries.filter((entry) => entry.state === "running" && !isElsewhere(entry))
      : [last];
  }

  enqueue(request: RunRequest, events: RunEvents): QueuedRun {
    const outcome = deferred<RunOutcome>();
    const entry: Entry = {
      request,
      events,
      state: "waiting",
      handle: undefined,
      ended: outcome.promise,
      settle: (value) => outcome.resolve(value),
      control: {
        ...forwardControls(() => handleOf(entry).control),
        stop: async () => void (await entry.stop()),
      },
      stop: async () => {
        if (entry.state === "waiting") this.#leave(entry, cancelled());
        else await entry.handle?.stop();
        return outcome.promise;
      },
    };
    this.#entries.push(entry);
    this.#onChange();
    this.#advance();
    return entry;
  }

  /** Cancels waiting runs and stops active ones, except those that outlive this process. */
  async dispose(): Promise<void> {
    const entries = [...this.#entries];
    for (const entry of entries) if (entry.state === "waiting") this.#leave(entry, cancelled());
    await Promise.all(
      entries.map(async ({ request, handle }) => {
        if (request.outlive || request.on !== undefined) handle?.detach();
        else await handle?.stop();
      }),
    );
  }

  #advance(): void {
    let free = this.#free;
    for (const entry of this.#entries.filter(({ state }) => state === "waiting")) {
      if (!isElsewhere(entry) && free-- <= 0) continue;
      entry.state = "running";
      entry.handle = this.#spawn(entry.request, entry.events);
      this.#onChange();
      void entry.handle.ended.then((outcome) => this.#leave(entry, outcome));
    }
  }

  #leave(entry: Entry, outcome: RunOutcome): void {
    const at = this.#entries.indexOf(entry);
    if (at < 0) return;
    this.#entries.splice(at, 1);
    entry.state = "ended";
    entry.settle(outcome);
    this.#onChange();
    this.#advance();
  }
}

/** Whether a run takes no core of this machine. */
const isElsewhere = ({ request }: QueuedRun): boolean => request.on !== undefined;

function handleOf({ handle, request }: Entry): RunHandle {
  if (handle !== undefined) return handle;
  const message = `Run ${basename(request.directory)} waits for its turn.`;
  throw new EngineError({ code: "waiting", message });
}

function cancelled(): RunOutcome {
  const error = { code: "cancelled", message: "The run was cancelled before its turn." };
  return { record: undefined, error, exit: undefined };
}
