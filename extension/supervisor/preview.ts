import * as v from "valibot";
import { Hello } from "../protocol/engine.ts";
import { SourcePosition, type UserError } from "../protocol/errors.ts";
import { FlowLayout } from "../protocol/flow.ts";
import {
  FileReport,
  type InspectRequest,
  type LayoutRequest,
  type PreviewEngineEvents,
  type PreviewEngineMethods,
} from "../protocol/preview.ts";
import { handshake, openChannel, type EventSchemas, type Remote } from "./channel.ts";
import { deferred } from "./deferred.ts";
import { toUserError } from "./errors.ts";
import {
  describeExit,
  forkEngine,
  lastLines,
  type EngineOptions,
  type EngineProcess,
  type ExitInfo,
} from "./process.ts";

const schemas: EventSchemas<PreviewEngineEvents> = {
  hello: v.strictTuple([Hello]),
  stuck: v.strictTuple([SourcePosition]),
};

/** Milliseconds after its time in which an engine that hangs may still tell where. */
const LINE_LIMIT = 1000;
/** Milliseconds after which a panel had better lay out for itself. */
const LAYOUT_LIMIT = 2000;

export interface PreviewOptions {
  /** Everything the engine prints and everything odd about it, for a log. */
  onLog?(text: string): void;
}

interface Job {
  request: InspectRequest;
  /** Seconds the request may take once the engine has it. */
  limit: number;
  key: string;
  answer(report: FileReport | undefined): void;
}

interface Running {
  process: EngineProcess;
  remote: Remote<PreviewEngineMethods>;
}

/**
 * Client of the preview engine: one process for all files, one request at a time, only the newest request of each
 * file. The process is started when it is first needed, killed when user code exceeds its time, and started again by
 * the next request.
 */
export class PreviewEngine {
  readonly #engine: () => EngineOptions;
  readonly #options: PreviewOptions;
  #running: Promise<Running> | undefined;
  #process: EngineProcess | undefined;
  /** Waiting requests by key; a Map keeps the order in which they came. */
  readonly #waiting = new Map<string, Job>();
  /** Where user code hangs, by the engine's own watchdog. */
  #stuck: SourcePosition | undefined;
  /** Told when that is known. */
  #onStuck: (() => void) | undefined;
  #busy = false;
  #disposed = false;

  constructor(engine: () => EngineOptions, options: PreviewOptions = {}) {
    this.#engine = engine;
    this.#options = options;
  }

  /** True while a process exists. */
  get alive(): boolean {
    return this.#process !== undefined;
  }

  /**
   * What the file defines. Whatever goes wrong (time over, crash, no engine) is an error in the report. Undefined when
   * a newer request for the same file made this one obsolete.
   * @param key Requests of one key replace each other; another version of a file has one of its own
   */
  inspect(request: InspectRequest, limit = 5, key = request.file): Promise<FileReport | undefined> {
    return new Promise((answer) => {
      if (this.#disposed) return answer(undefined);
      this.#waiting.get(key)?.answer(undefined);
      this.#waiting.set(key, { request, limit, key, answer });
      void this.#work();
      return undefined;
    });
  }

  /**
   * Places for what a panel shows first, made while VS Code makes the panel: undefined when there is no process or it
   * has other things to do; the panel can do it, too.
   */
  async layOut(request: LayoutRequest, limit = LAYOUT_LIMIT): Promise<FlowLayout | undefined> {
    try {
      const running = await this.#running;
      const late = new Promise<undefined>((resolve) => {
        setTimeout(() => resolve(undefined), limit).unref();
      });
      const answer = await Promise.race([running?.remote.layOut(request), late]);
      const layout = v.safeParse(FlowLayout, answer);
      return layout.success ? layout.output : undefined;
    } catch (error) {
      this.#options.onLog?.(`No layout: ${toUserError(error).message}`);
      return undefined;
    }
  }

  /** Has the process, which is there or being started, make itself ready for {@link layOut}. */
  prepareLayout(): void {
    void this.#running?.then(
      ({ remote }) => remote.prepareLayout.asEvent(),
      () => undefined,
    );
  }

  /** Forgets a file: its request, if any, is answered with undefined. */
  drop(key: string): void {
    this.#waiting.get(key)?.answer(undefined);
    this.#waiting.delete(key);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const key of this.#waiting.keys()) this.drop(key);
    await this.#process?.kill();
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#waiting.values().next(); next.done !== true; next = this.#waiting.values().next()) {
      const job = next.value;
      const { key, request } = job;
      this.#waiting.delete(key);
      const report = await this.#run(job).catch((error: unknown) => failed(request.file, toUserError(error)));
      // When a newer request came meanwhile, this answer is of a text that is no more.
      job.answer(this.#disposed || this.#waiting.has(key) ? undefined : report);
    }
    this.#busy = false;
  }

  async #run(job: Job): Promise<FileReport> {
    const running = await (this.#running ??= this.#start());
    this.#stuck = undefined;
    const { file } = job.request;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), job.limit * 1000);
    });
    try {
      const answer = await Promise.race([
        running.remote
          .inspect(job.request)
          .catch((thrown: unknown): ExitInfo | Promise<ExitInfo> | FileReport => {
            const error = toUserError(thrown);
            // The channel closes a moment before the process is seen to end, and only the end says why.
            return error.code === "ended" ? running.process.exit(1000) : failed(file, error);
          }),
        late,
      ]);
      if (answer === "late") {
        await this.#line();
        await running.process.kill();
        return failed(file, timedOut(job, this.#stuck));
      }
      if ("stderr" in answer) {
        const hint = lastLines(answer);
        const message = `The preview ended while it ran this file: ${describeExit(answer)}.`;
        return failed(file, { code: "crash", message, ...(hint === undefined ? {} : { hint }) });
      }
      const report = v.safeParse(FileReport, answer);
      if (report.success) return report.output;
      const message = `internal: the preview engine answered with an invalid report: ${v.summarize(report.issues)}`;
      return failed(file, { code: "internal", message });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits a moment for where the code hangs: on a busy machine its watchdog comes late, and its answer is worth that. */
  async #line(): Promise<void> {
    if (this.#stuck !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#onStuck = resolve;
      setTimeout(resolve, LINE_LIMIT);
    });
    this.#onStuck = undefined;
  }

  async #start(): Promise<Running> {
    const forget = (): void => {
      this.#running = undefined;
      this.#process = undefined;
    };
    const options = this.#engine();
    const log = (text: string): void => this.#options.onLog?.(text);
    try {
      const engine = await forkEngine({
        ...options,
        entry: "previewEngine.js",
        onOutput: (_, text) => log(text.trimEnd()),
      });
      this.#process = engine;
      void engine.exited.then(forget);
      if (this.#disposed) await engine.kill();
      const hello = deferred<Hello>();
      const remote = openChannel<PreviewEngineMethods, PreviewEngineEvents>(engine.child, {
        schemas,
        handlers: {
          hello: (answer) => hello.resolve(answer),
          stuck: (position) => {
            this.#stuck = position;
            this.#onStuck?.();
          },
        },
        onInvalid: (problem) => log(`The preview engine sent ${problem}`),
      });
      await handshake(engine, hello.promise, "preview", options.helloTimeout ?? 20_000);
      return { process: engine, remote };
    } catch (error) {
      forget();
      throw error;
    }
  }
}

function failed(file: string, error: UserError): FileReport {
  return { file, models: [], experiments: [], errors: [error] };
}

function timedOut(job: Job, stuck: SourcePosition | undefined): UserError {
  return {
    code: "timeout",
    message: `Still running after ${job.limit} seconds, so the preview was ended: an endless loop, or work that belongs into a run?`,
    position: stuck ?? { file: job.request.file, line: 1, column: 1 },
    hint: "Loading data and training belong into an experiment's functions, not at the top level of the file.",
  };
}
