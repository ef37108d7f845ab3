import * as v from "valibot";
import { Hello, type ToolEvents } from "../../protocol/engine.ts";
import { EngineError, UserError } from "../../protocol/errors.ts";
import {
  Answer,
  SamplePage,
  type SampleQuery,
  type SessionMethods,
  type SessionRequest,
  type Subject,
} from "../../protocol/evaluation.ts";
import { handshake, openChannel, type Remote } from "./channel.ts";
import { deferred } from "../deferred.ts";
import { toUserError } from "../errors.ts";
import { describeExit, forkEngine, lastLines, type EngineOptions, type EngineProcess } from "./process.ts";

export interface ModelSessionOptions {
  /** What the process prints, and everything odd about it. */
  onLog?(text: string): void;
  /** Called when {@link ModelSession.state} changes. */
  onChange?(): void;
  /** Milliseconds without a question after which the process ends. Default 5 minutes. */
  idle?: number;
  /** Milliseconds a question may take. Default 1 minute. */
  limit?: number;
}

export type SessionState = "closed" | "starting" | "ready";

interface Running {
  process: EngineProcess;
  remote: Remote<SessionMethods>;
  failed: Promise<never>;
}

type Job = () => Promise<void>;

/**
 * A process that holds a model with its weights and answers questions, one at a time. It is started by the first
 * question and ends after some idle time; the next question starts it again. Of the questions of one kind that
 * wait, only the newest is asked: older drawings are obsolete.
 */
export class ModelSession {
  readonly #request: SessionRequest;
  readonly #engine: () => EngineOptions;
  readonly #options: ModelSessionOptions;
  readonly #waiting = new Map<string, { job: Job; drop: () => void }>();
  #running: Promise<Running> | undefined;
  #process: EngineProcess | undefined;
  #state: SessionState = "closed";
  #busy = false;
  #disposed = false;
  #cancelled = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(request: SessionRequest, engine: () => EngineOptions, options: ModelSessionOptions = {}) {
    this.#request = request;
    this.#engine = engine;
    this.#options = options;
  }

  get state(): SessionState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Undefined when a newer question took its place, or it was cancelled. */
  samples(query: SampleQuery): Promise<SamplePage | undefined> {
    return this.#ask("samples", SamplePage, (remote) => remote.samples(query));
  }

  /** Undefined as with {@link samples}. */
  ask(subject: Subject, explain: boolean): Promise<Answer | undefined> {
    return this.#ask("ask", Answer, (remote) => remote.ask(subject, explain));
  }

  /** Ends the process and its work; waiting questions get no answer. */
  async cancel(): Promise<void> {
    this.#cancelled = this.#busy;
    for (const { drop } of this.#waiting.values()) drop();
    this.#waiting.clear();
    await this.#process?.kill();
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    clearTimeout(this.#idle);
    await this.cancel();
  }

  #ask<T>(
    kind: string,
    schema: v.GenericSchema<unknown, T>,
    call: (remote: Remote<SessionMethods>) => Promise<unknown>,
  ): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#disposed) return resolve(undefined);
      this.#waiting.get(kind)?.drop();
      const job = async (): Promise<void> => {
        // An answer may have been on its way when the question was cancelled.
        const over = (): boolean => this.#cancelled || this.#disposed;
        await this.#call(call)
          .then((answer) => v.parse(schema, answer))
          .then(
            (answer) => resolve(over() ? undefined : answer),
            (error: unknown) => {
              if (over()) resolve(undefined);
              else reject(error instanceof Error ? error : new EngineError(toUserError(error)));
            },
          );
      };
      this.#waiting.set(kind, { job, drop: () => resolve(undefined) });
      void this.#work();
      return undefined;
    });
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    clearTimeout(this.#idle);
    for (let next = this.#waiting.entries().next(); !next.done; next = this.#waiting.entries().next()) {
      const [kind, { job }] = next.value;
      this.#waiting.delete(kind);
      this.#cancelled = false;
      await job();
    }
    this.#busy = false;
    this.#idle = setTimeout(() => void this.cancel(), this.#options.idle ?? 300_000);
    this.#idle.unref();
  }

  async #call(call: (remote: Remote<SessionMethods>) => Promise<unknown>): Promise<unknown> {
    const { process, remote, failed } = await (this.#running ??= this.#start());
    let timer: NodeJS.Timeout | undefined;
    const limit = this.#options.limit ?? 60_000;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const message = `The model did not answer within ${Math.round(limit / 1000)} s, so its process was ended.`;
        reject(new EngineError({ code: "timeout", message }));
        void process.kill();
      }, limit);
    });
    try {
      return await Promise.race([call(remote), late, failed]).catch(async (thrown: unknown) => {
        const error = toUserError(thrown);
        // The channel closes a moment before the process is seen to end, and only the end says why.
        if (error.code === "ended") await failed;
        throw new EngineError(error);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #start(): Promise<Running> {
    this.#setState("starting");
    try {
      const running = await this.#fork();
      await Promise.race([running.remote.openSession(this.#request), running.failed]).catch(
        async (thrown: unknown) => {
          const error = toUserError(thrown);
          if (error.code === "ended") await running.failed;
          await running.process.kill();
          throw new EngineError(error);
        },
      );
      this.#setState("ready");
      return running;
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  async #fork(): Promise<Running> {
    const options = this.#engine();
    const log = (text: string): void => this.#options.onLog?.(text);
    const engine = await forkEngine({
      ...options,
      entry: "runEngine.js",
      onOutput: (_, text) => log(text.trimEnd()),
    });
    this.#process = engine;
    if (this.#cancelled || this.#disposed) await engine.kill();
    const hello = deferred<Hello>();
    const hung = deferred<UserError>();
    const ended = engine.exited.then((exit): never => {
      this.#forget(engine);
      const hint = lastLines(exit);
      throw new EngineError({
        code: "killed",
        message: `The model's process ended: ${describeExit(exit)}.`,
        ...(hint === undefined ? {} : { hint }),
      });
    });
    const failed = Promise.race([
      ended,
      hung.promise.then((error): never => {
        void engine.kill();
        throw new EngineError(error);
      }),
    ]);
    // Ending on request is no failure.
    failed.catch(() => undefined);
    const remote = openChannel<SessionMethods, ToolEvents>(engine.child, {
      schemas: {
        hello: v.strictTuple([Hello]),
        log: v.strictTuple([v.picklist(["info", "warning", "error"]), v.string()]),
        failed: v.strictTuple([UserError]),
      },
      handlers: {
        hello: (answer) => hello.resolve(answer),
        log: (_, text) => log(text),
        failed: (error) => hung.resolve(error),
      },
      onInvalid: (problem) => log(`The model's process sent ${problem}`),
    });
    await handshake(engine, hello.promise, "run", options.helloTimeout ?? 20_000);
    return { process: engine, remote, failed };
  }

  #forget(engine = this.#process): void {
    if (engine !== this.#process) return;
    this.#running = undefined;
    this.#process = undefined;
    this.#setState("closed");
  }

  #setState(state: SessionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onChange?.();
  }
}
