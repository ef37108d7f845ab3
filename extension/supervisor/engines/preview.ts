import { randomBytes } from "node:crypto";
import * as v from "valibot";
import { Hello } from "../../protocol/engine.ts";
import { FlowLayout } from "../../protocol/flow.ts";
import {
  FileReport,
  MOST_IMPORTS,
  Remains,
  Trouble,
  type InspectRequest,
  type LayoutRequest,
  type PreviewEngineEvents,
  type PreviewEngineMethods,
} from "../../protocol/preview.ts";
import { handshake, openChannel, type EventSchemas, type Remote } from "./channel.ts";
import { deferred, type Deferred } from "../../processes/deferred.ts";
import { toUserError } from "../errors.ts";
import { crashed, explained, failed, isFault, invalid, timedOut } from "./previewFailures.ts";
import { forkEngine, type EngineOptions, type EngineProcess, type ExitInfo } from "./process.ts";

const schemas: EventSchemas<PreviewEngineEvents> = {
  hello: v.strictTuple([Hello]),
  imports: v.strictTuple([v.pipe(v.array(v.string()), v.maxLength(MOST_IMPORTS))]),
  trouble: v.strictTuple([Trouble]),
  remains: v.strictTuple([Remains]),
};

/** Milliseconds that a hanging engine gets after its time limit to report its line. */
const LINE_LIMIT = 1000;
/** Milliseconds that an engine gets to report a file's remains. A late engine is busy with them. */
const REMAINS_LIMIT = 1000;
/** Megabytes that the process may have by default. */
const MEMORY_LIMIT = 2048;
/** Messages that aren't the protocol's after which an engine is ended: user code sends them. */
const MOST_INVALID = 100;
/** Bytes of one message: reports of large models have some megabytes. */
const MESSAGE_LIMIT = 2 ** 27;
/** Characters that a preview may print into the log. */
const MOST_OUTPUT = 16_384;
/** Milliseconds after which a panel lays out for itself. */
const LAYOUT_LIMIT = 2000;

export interface PreviewOptions {
  /** Megabytes that the process may have; asked before each request. Default 2048. */
  memoryLimit?: () => number;
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
  readonly process: EngineProcess;
  readonly remote: Remote<PreviewEngineMethods>;
  /** Megabytes that it was started with. */
  readonly memory: number;
  /** It has evaluated user code. */
  used: boolean;
  /** The imports of the file that it evaluates. */
  imports: string[] | undefined;
  /** The engine's report of trouble with the file that it evaluates. */
  trouble: Trouble | undefined;
  /** Called when that is known. */
  onTrouble: (() => void) | undefined;
  /** The last file's remains, which the engine reports a moment after its answer. */
  remains: Deferred<Remains>;
  /** Id of the request that the remains are of; user code doesn't know it. */
  turn: string;
  /** Characters that may still be logged. */
  output: number;
}

/**
 * Client of the preview engine: one process for all files, one request at a time, only the newest request of each
 * file. The process is started when it is first needed, ended when user code exceeds its time or memory, and replaced
 * when a file has left something in it. A failure that an earlier file may have caused is tried again in a new process.
 */
export class PreviewEngine {
  readonly #engine: () => EngineOptions;
  readonly #options: PreviewOptions;
  #running: Promise<Running> | undefined;
  #process: EngineProcess | undefined;
  /** Waiting requests by key; a Map keeps the order in which they came. */
  readonly #waiting = new Map<string, Job>();
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
   * Reports what the file defines. Any failure (timeout, crash, no engine) is an error in the report. Undefined when
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
   * Lays out a panel's first diagram while VS Code makes the panel: undefined when there is no process or it is busy;
   * the panel can do it, too.
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

  /** Prepares the running or starting process for {@link layOut}. */
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
      // When a newer request came meanwhile, this answer is obsolete.
      job.answer(this.#disposed || this.#waiting.has(key) ? undefined : report);
      await this.#cleanUp();
    }
    this.#busy = false;
  }

  async #run(job: Job): Promise<FileReport> {
    const running = await this.#current();
    const { used } = running;
    const report = await this.#attempt(job, running);
    // A loop at a line of the file is its own; whatever else fails may be what an earlier file has left behind.
    const hangs =
      report.errors.some(({ code }) => code === "timeout") && running.trouble?.position === undefined;
    if (!used || this.#disposed || !(hangs || isFault(report))) return report;
    this.#options.onLog?.(`The preview of ${job.request.file} failed, so it is tried in a new process.`);
    await this.#end(running);
    return this.#attempt(job, await this.#current());
  }

  /** A process that fits the settings. */
  async #current(): Promise<Running> {
    const running = await (this.#running ??= this.#start());
    if (running.memory === this.#memory()) return running;
    await this.#end(running);
    return (this.#running ??= this.#start());
  }

  async #attempt({ request, limit }: Job, running: Running): Promise<FileReport> {
    const { file } = request;
    running.used = true;
    running.trouble = undefined;
    running.imports = undefined;
    running.remains = deferred();
    running.turn = randomBytes(16).toString("hex");
    running.output = MOST_OUTPUT;
    const trouble = (): Trouble => running.trouble ?? { changed: [] };
    const result = (report: FileReport, changed: readonly string[]): FileReport => ({
      ...explained(report, changed, request),
      ...(running.imports === undefined ? {} : { imported: running.imports }),
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), limit * 1000);
    });
    try {
      const answer = await Promise.race([
        running.remote
          .inspect({ ...request, memory: running.memory * 2 ** 20, turn: running.turn })
          .catch((thrown: unknown): ExitInfo | Promise<ExitInfo> | FileReport => {
            const error = toUserError(thrown);
            // The channel closes a moment before the process is seen to end, and only the end says why.
            return error.code === "ended" ? running.process.exit(1000) : failed(file, error);
          }),
        late,
      ]);
      if (answer === "late") {
        await this.#line(running);
        await this.#end(running);
        const { position, changed } = trouble();
        return result(timedOut(file, limit, position, changed), changed);
      }
      if ("stderr" in answer) {
        const { position, changed } = trouble();
        return result(crashed(file, answer, running.memory, position), changed);
      }
      const report = v.safeParse(FileReport, answer);
      const known = report.success ? report.output : invalid(file, v.summarize(report.issues));
      // Of the library and Node's modules, the engine says it later.
      const left = isFault(known) ? (await this.#remains(running))?.changed : undefined;
      return result(known, left ?? trouble().changed);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits a moment for the line where the code hangs: on a busy machine, the watchdog reports it late. */
  async #line(running: Running): Promise<void> {
    if (running.trouble?.position !== undefined) return;
    await new Promise<void>((resolve) => {
      running.onTrouble = resolve;
      setTimeout(resolve, LINE_LIMIT);
    });
    running.onTrouble = undefined;
  }

  /** The last file's remains; undefined when the process has ended, or doesn't report them. */
  async #remains(running: Running): Promise<Remains | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), REMAINS_LIMIT);
    });
    const gone = running.process.exited.then(() => undefined);
    try {
      return await Promise.race([running.remains.promise, gone, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Replaces a process in which a file has left something, which could affect the next file. */
  async #cleanUp(): Promise<void> {
    const running = await this.#running?.catch(() => undefined);
    if (running === undefined || this.#disposed || !running.used) return;
    const remains = await this.#remains(running);
    if (remains !== undefined && remains.changed.length === 0 && remains.running.length === 0) return;
    const left = [...(remains?.changed ?? []), ...(remains?.running ?? ["code that doesn't come back"])];
    this.#options.onLog?.(
      `The preview starts a new process, since a file left something in it: ${left.join(", ")}.`,
    );
    await this.#end(running);
    // Started ahead of the next request.
    if (!this.#disposed) (this.#running ??= this.#start()).catch(() => undefined);
  }

  async #end(running: Running): Promise<void> {
    await running.process.kill();
    this.#forget(running.process);
  }

  #forget(process: EngineProcess): void {
    if (this.#process !== process) return;
    this.#process = undefined;
    this.#running = undefined;
  }

  readonly #memory = (): number => this.#options.memoryLimit?.() ?? MEMORY_LIMIT;

  async #start(): Promise<Running> {
    const options = this.#engine();
    const log = (text: string): void => this.#options.onLog?.(text);
    const memory = this.#memory();
    try {
      let running: Running | undefined;
      const engine = await forkEngine({
        ...options,
        entry: "previewEngine.js",
        messageLimit: MESSAGE_LIMIT,
        // For memory that grows faster than the engine's watchdog checks.
        nodeOptions: [`--max-old-space-size=${memory}`],
        onOutput: (_, text) => {
          if (running === undefined) return log(text.trimEnd());
          if (running.output <= 0) return undefined;
          log(text.slice(0, running.output).trimEnd());
          if ((running.output -= text.length) <= 0) log("… (further output of the file is left out)");
          return undefined;
        },
      });
      this.#process = engine;
      void engine.exited.then(() => this.#forget(engine));
      if (this.#disposed) await engine.kill();
      const hello = deferred<Hello>();
      let strange = 0;
      const remote = openChannel<PreviewEngineMethods, PreviewEngineEvents>(engine.child, {
        schemas,
        handlers: {
          hello: (answer) => hello.resolve(answer),
          imports: (files) => {
            // The engine's own message: later ones may come from user code.
            if (running !== undefined) running.imports ??= files;
          },
          trouble: (trouble) => {
            if (running === undefined) return;
            running.trouble = trouble;
            running.onTrouble?.();
          },
          remains: (remains) => {
            if (running !== undefined && remains.turn === running.turn) running.remains.resolve(remains);
          },
        },
        onInvalid: (problem) => {
          strange++;
          if (strange < MOST_INVALID) log(`The preview engine sent ${problem}`);
          else if (strange === MOST_INVALID) void engine.kill();
        },
      });
      await handshake(engine, hello.promise, "preview", options.helloTimeout ?? 20_000);
      running = {
        process: engine,
        remote,
        memory,
        used: false,
        imports: undefined,
        trouble: undefined,
        onTrouble: undefined,
        remains: deferred(),
        turn: "",
        output: MOST_OUTPUT,
      };
      return running;
    } catch (error) {
      if (this.#process === undefined) this.#running = undefined;
      else this.#forget(this.#process);
      throw error;
    }
  }
}
