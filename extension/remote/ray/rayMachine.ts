// A job of a Ray cluster as a machine. Its log carries the messages; the only control is stop.
import { PassThrough } from "node:stream";
import * as v from "valibot";
import { EngineError } from "../../protocol/errors.ts";
import { RAY_FOLDER, type Target } from "../../protocol/target.ts";
import type { RunRecord } from "../../protocol/run.ts";
import { brokenProtocol, heard, type Answered, type Heard, type Machine } from "../machine.ts";
import { FollowRequest, type AgentAnswer, type AgentCall } from "../messages.ts";
import { Peer } from "../wire.ts";
import { isOver, Jobs, lastLine, type Job } from "./jobs.ts";
import { JobLogReader } from "./jobLog.ts";
import { Replay, ReplayError } from "./replay.ts";
import { Spool } from "./spool.ts";
import { tailLog, type Tail } from "./tail.ts";

/** Milliseconds between two requests for the state of a job without messages. */
const ASK = 2000;
/** Milliseconds without a message after which the connection is lost: a job sends a heartbeat every 20 seconds. */
const SILENCE = 90_000;
/** Most jobs of one run: each resume is another. */
const MOST_JOBS = 1000;
/** Most bytes of queued events: those of one message of the log. */
const MOST_WAITING = 64 * 2 ** 20;
const NOTHING = Buffer.alloc(0);

const Whole = v.pipe(v.number(), v.integer(), v.minValue(0));

/** The id of a run's job: the first has the run's name, later ones a number. */
export const jobId = (run: string, number: number): string => (number === 1 ? run : `${run}.${number}`);

type Method = (params: unknown) => unknown;

export class RayMachine implements Machine {
  readonly target: Target;
  readonly jobs: Jobs;
  readonly ended: Promise<EngineError>;
  listener: ((heard: Heard) => void) | undefined;
  #end!: (reason: EngineError) => void;
  #closed = false;
  #job: string | undefined;
  #latest: RunRecord | undefined;
  /** The newest record of a replay; passed on when the replay is done. */
  #held: Heard | undefined;
  readonly #spool = new Spool();
  #replay = new Replay(undefined);
  /** Whether the rows here differ from those of the log, so that all are received again. */
  #whole = false;
  /** Whether the next `follow` continues the log where it is: the run has replaced its files. */
  #continues = false;
  #waiting: Heard[] | undefined;
  #waitingBytes = 0;
  #tail: Tail | undefined;
  #asking: NodeJS.Timeout | undefined;
  #heard = 0;
  /** Whether the run's last event has arrived. Its checkpoints have arrived before. */
  #heardAll = false;
  readonly #said = new Set<string>();

  private constructor(jobs: Jobs) {
    this.jobs = jobs;
    this.target = jobs.target;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /** Finds the cluster. @throws EngineError saying why that failed, and what to do */
  static async connect(target: Target, token: string | undefined, signal?: AbortSignal): Promise<RayMachine> {
    const jobs = new Jobs(target, token);
    await jobs.version(signal);
    return new RayMachine(jobs);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The folder of runs there. */
  get folder(): string {
    return this.target.folder ?? RAY_FOLDER;
  }

  async call<K extends AgentCall>(method: K, params: object = {}): Promise<Answered<K>> {
    if (this.#closed)
      throw new EngineError({ code: "line", message: "The connection to the cluster is closed." });
    const answer = await this.#methods[method]?.(params);
    if (answer === undefined)
      throw new EngineError({ code: "internal", message: `internal: a job has no method ${method}` });
    // Parts of files are bytes.
    const [value, body] = Buffer.isBuffer(answer) ? [null, answer] : [answer, NOTHING];
    return { value: value as AgentAnswer<K>, body };
  }

  readonly #methods: Readonly<Partial<Record<AgentCall, Method>>> = {
    open: () => ({ node: "", platform: "", folder: this.folder }),
    follow: async (params) => {
      const { run, have } = v.parse(v.object({ run: v.string(), have: FollowRequest }), params);
      this.#job ??= jobId(run, (await this.newest(run))?.number ?? this.#gone());
      this.#replay = new Replay(this.#whole || this.#continues ? undefined : have);
      return this.#replay.kept;
    },
    go: () => {
      if (this.#continues) this.#continue();
      else this.#read();
      return null;
    },
    record: () => this.#latest ?? this.#gone(),
    control: async (params) => {
      const { name } = v.parse(v.object({ name: v.string() }), params);
      if (name !== "stop")
        throw new EngineError({
          code: "remote-control",
          message: `${name} is not available on a Ray cluster: Ray can only stop a running job.`,
          hint: "Runs by ssh have all controls.",
        });
      await this.jobs.stop(this.#job ?? this.#gone());
      return null;
    },
    openFile: (params) => this.#spool.open(v.parse(v.object({ file: v.string() }), params).file),
    readFile: (params) => this.#spool.read(v.parse(v.object({ offset: Whole }), params).offset),
  };

  #gone(): never {
    throw new EngineError({
      code: "remote-gone",
      message: `${this.target.name} no longer has a job of this run.`,
      hint: "A cluster loses its jobs when its head node restarts.",
    });
  }

  /** The newest job of a run; undefined if there is none. */
  async newest(run: string): Promise<{ number: number; job: Job } | undefined> {
    let newest: { number: number; job: Job } | undefined;
    for (let number = 1; number <= MOST_JOBS; number++) {
      const job = await this.jobs.job(jobId(run, number));
      if (job === undefined) return newest;
      newest = { number, job };
    }
    throw brokenProtocol(this.target, "it lists too many jobs of one run");
  }

  /** Reads the log from its beginning. */
  #read(): void {
    this.#tail?.close();
    const reader = new JobLogReader();
    // A job gets no answers.
    const peer = new Peer(reader.bytes, new PassThrough().resume(), {
      event: (event, data, body, length) => this.#event(event, data, body, length),
      closed: (problem) => {
        if (problem !== undefined) this.#finish(brokenProtocol(this.target, problem.message));
        else if (tail === this.#tail) void this.#over(reader);
      },
    });
    const tail = tailLog(this.jobs, this.#job!, {
      text: (text) => {
        this.#heard = performance.now();
        try {
          return reader.push(text);
        } catch (error) {
          this.#finish(brokenProtocol(this.target, (error as Error).message));
          return true;
        }
      },
      ended: (problem) => {
        if (tail !== this.#tail) return peer.close();
        if (problem === undefined) reader.bytes.end();
        else if (!this.#heardAll) this.#finish(problem);
      },
    });
    reader.bytes.on("drain", () => tail.resume());
    this.#tail = tail;
    this.#heard = performance.now();
    this.#ask(reader);
  }

  /** Shows the cluster's message on a pending job, and detects a lost connection. */
  #ask(reader: JobLogReader): void {
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => {
      if (this.#closed || this.#heardAll) return;
      const due = performance.now() - this.#heard > SILENCE;
      if (reader.begun) {
        if (due) this.#tail?.cut();
        return this.#ask(reader);
      }
      void this.#askJob(reader)
        .catch(() => (due ? this.#tail?.cut() : undefined))
        .finally(() => this.#ask(reader));
    }, ASK);
  }

  async #askJob(reader: JobLogReader): Promise<void> {
    const job = await this.jobs.job(this.#job!);
    if (job?.status === "PENDING" && !reader.begun) this.#tell(lastLine(job.message ?? ""));
  }

  #tell(text: string): void {
    if (text === "" || this.#said.has(text) || this.#said.size >= 10) return;
    this.#said.add(text);
    const data = { level: "info", text: `${text}.` } as const;
    this.listener?.({ event: "said", data, body: NOTHING, length: text.length });
  }

  /** Explains a log that ended before the run. */
  async #over(reader: JobLogReader): Promise<void> {
    if (this.#closed || this.#heardAll) return;
    const { name } = this.target;
    try {
      const job = await this.jobs.job(this.#job!);
      if (job === undefined) return this.#gone();
      if (!isOver(job))
        return this.#finish(
          new EngineError({ code: "line", message: `The connection to ${name} was lost.` }),
        );
      const stopped = job.status === "STOPPED";
      const hint = [lastLine(job.message ?? ""), lastLine(reader.said)].find((text) => text !== "");
      this.#finish(
        new EngineError({
          code: stopped ? "job-stopped" : "killed",
          message: stopped
            ? `The job was stopped on ${name} before the run could save its state.`
            : `The job failed on ${name} ${reader.begun ? "before the run had ended" : "before the run began"}.`,
          ...(hint === undefined ? {} : { hint }),
        }),
      );
    } catch (error) {
      this.#finish(error instanceof EngineError ? error : brokenProtocol(this.target, String(error)));
    }
  }

  #event(event: string, data: unknown, body: Buffer, length: number): void {
    const checked = heard(event, data, body, length);
    if (typeof checked === "string") return this.#finish(brokenProtocol(this.target, checked));
    if (this.#waiting !== undefined) {
      this.#waitingBytes += length;
      if (this.#waitingBytes > MOST_WAITING)
        return this.#finish(brokenProtocol(this.target, "it sent too many events at once"));
      this.#waiting.push(checked);
    } else
      try {
        this.#take(checked);
      } catch (error) {
        if (!(error instanceof ReplayError)) throw error;
        this.#again();
      }
  }

  #take(one: Heard): void {
    const replay = this.#replay;
    switch (one.event) {
      case "rows": {
        const rows = replay.rows(one.data.file, one.data.rows);
        if (rows.length > 0) this.#pass({ ...one, data: { ...one.data, rows: [...rows] } });
        break;
      }
      case "log": {
        const body = replay.log(one.body);
        if (body.length > 0) this.#pass({ ...one, body });
        break;
      }
      case "record":
        this.#latest = one.data;
        if (!replay.done) return void (this.#held = one);
        this.#held = undefined;
        return this.#pass(one);
      case "file": {
        const problem = this.#spool.add(one.data, one.body);
        if (problem !== undefined) this.#finish(brokenProtocol(this.target, problem));
        return;
      }
      case "said":
      case "progress":
        return replay.done ? this.#pass(one) : undefined;
      case "changed":
        // New rows wait until the old ones are removed.
        this.#continues = true;
        this.#waiting = [];
        this.#waitingBytes = 0;
        this.#tail?.pause();
        return this.#pass(one);
      case "ended":
        if (!replay.done) throw new ReplayError();
        this.#heardAll = true;
        return this.#pass(one);
      case "failed":
        this.#heardAll = true;
        return this.#pass(one);
      case "line":
      case "worker":
      case "marks":
      case "listening":
      case "tunnel":
        return undefined;
    }
    if (replay.done && this.#held !== undefined) {
      const record = this.#held;
      this.#held = undefined;
      this.#pass(record);
    }
  }

  #pass(one: Heard): void {
    this.listener?.(one);
  }

  /** The rows here differ from those of the log: they are replaced. */
  #again(): void {
    this.#whole = true;
    const tail = this.#tail;
    this.#tail = undefined;
    tail?.close();
    this.#pass({ event: "changed", data: null, body: NOTHING, length: 0 });
  }

  #continue(): void {
    const waiting = this.#waiting ?? [];
    this.#continues = false;
    this.#waiting = undefined;
    for (const [i, one] of waiting.entries()) {
      // Another change: later events wait again.
      if (this.#continues) {
        this.#waiting = waiting.slice(i);
        return;
      }
      this.#take(one);
    }
    this.#tail?.resume();
  }

  #finish(reason: EngineError): void {
    if (this.#closed) return;
    this.#end(reason);
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#asking);
    const tail = this.#tail;
    this.#tail = undefined;
    tail?.close();
    this.#spool.close();
    this.#end(new EngineError({ code: "line", message: `The connection to ${this.target.name} is closed.` }));
  }
}
