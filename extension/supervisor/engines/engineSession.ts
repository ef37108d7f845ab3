import * as v from "valibot";
import { Hello, type ToolEvents } from "../../protocol/engine.ts";
import { EngineError, UserError } from "../../protocol/errors.ts";
import { handshake, openChannel, type EventSchemas, type Remote } from "./channel.ts";
import { deferred } from "../../processes/deferred.ts";
import { toUserError } from "../errors.ts";
import { describeExit, forkEngine, lastLines, type EngineOptions, type EngineProcess } from "./process.ts";

export interface SessionOptions {
  /** Takes the process's output, and everything odd about it. */
  onLog?(text: string): void;
  /** Called when {@link EngineSession.state} changes. */
  onChange?(): void;
  /** Milliseconds without a question after which the process ends. Default 5 minutes. */
  idle?: number;
  /** Milliseconds a question may take. Default 1 minute. */
  limit?: number;
}

export type SessionState = "closed" | "starting" | "ready";

/** Kind of a session: what its process keeps open, how it opens it, and its events. */
export interface SessionKind<Methods extends object, Events extends object, Opened> {
  /** Name of the subject in messages: "model". */
  name: string;
  open: (remote: Remote<Methods>) => Promise<Opened>;
  schemas: EventSchemas<Events>;
  handlers: Events;
}

interface Running<Methods extends object, Opened> {
  process: EngineProcess;
  remote: Remote<Methods>;
  failed: Promise<never>;
  opened: Opened;
}

type Job = () => Promise<void>;

/**
 * A run engine's process that keeps something open and answers questions, one at a time. It is started by the first
 * question and ends after some idle time; the next question starts it again. Of the questions of one kind that
 * wait, only the newest is asked: older drawings are obsolete.
 */
export class EngineSession<Methods extends object, Events extends object, Opened> {
  readonly #kind: SessionKind<Methods, Events, Opened>;
  readonly #engine: () => EngineOptions;
  readonly #options: SessionOptions;
  readonly #waiting = new Map<string, { job: Job; drop: () => void }>();
  #running: Promise<Running<Methods, Opened>> | undefined;
  #process: EngineProcess | undefined;
  #state: SessionState = "closed";
  #busy = false;
  #disposed = false;
  #cancelled = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(
    kind: SessionKind<Methods, Events, Opened>,
    engine: () => EngineOptions,
    options: SessionOptions = {},
  ) {
    this.#kind = kind;
    this.#engine = engine;
    this.#options = options;
  }

  get state(): SessionState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
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

  /**
   * Asks a question of some kind. Undefined when a newer one of this kind took its place, or it was cancelled.
   * @param options.limit Milliseconds that it may take; by default the session's
   */
  protected question<T>(
    kind: string,
    schema: v.GenericSchema<unknown, T>,
    call: (remote: Remote<Methods>, opened: Opened) => Promise<unknown>,
    { limit = this.#options.limit ?? 60_000 }: { limit?: number } = {},
  ): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#disposed) return resolve(undefined);
      this.#waiting.get(kind)?.drop();
      const job = async (): Promise<void> => {
        // An answer may have been on its way when the question was cancelled.
        const over = (): boolean => this.#cancelled || this.#disposed;
        await this.#call(call, limit)
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

  /** Drops a waiting question of some kind; one that is being answered stays. */
  protected drop(kind: string): void {
    this.#waiting.get(kind)?.drop();
    this.#waiting.delete(kind);
  }

  /** Calls the process while it answers a question, if it has been opened. */
  protected async urgent(call: (remote: Remote<Methods>) => Promise<unknown>): Promise<void> {
    if (this.#state !== "ready") return;
    const running = await this.#running;
    // The question itself handles a missing answer.
    if (running !== undefined) void call(running.remote).catch(() => undefined);
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

  async #call(
    call: (remote: Remote<Methods>, opened: Opened) => Promise<unknown>,
    limit: number,
  ): Promise<unknown> {
    const { process, remote, failed, opened } = await (this.#running ??= this.#start());
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const message = `The ${this.#kind.name} did not answer within ${Math.round(limit / 1000)} s, so its process was ended.`;
        reject(new EngineError({ code: "timeout", message }));
        void process.kill();
      }, limit);
    });
    try {
      return await Promise.race([call(remote, opened), late, failed]).catch(async (thrown: unknown) => {
        const error = toUserError(thrown);
        // The channel closes a moment before the process is seen to end, and only the end says why.
        if (error.code === "ended") await failed;
        throw new EngineError(error);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #start(): Promise<Running<Methods, Opened>> {
    this.#setState("starting");
    try {
      const running = await this.#fork();
      const opened = await Promise.race([this.#kind.open(running.remote), running.failed]).catch(
        async (thrown: unknown): Promise<never> => {
          const error = toUserError(thrown);
          if (error.code === "ended") await running.failed;
          await running.process.kill();
          throw new EngineError(error);
        },
      );
      this.#setState("ready");
      return { ...running, opened };
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  async #fork(): Promise<Omit<Running<Methods, Opened>, "opened">> {
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
        message: `The ${this.#kind.name}'s process ended: ${describeExit(exit)}.`,
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
    const remote = openChannel<Methods, ToolEvents & Events>(engine.child, {
      // The compiler can't join conditional types of a type parameter.
      schemas: {
        ...this.#kind.schemas,
        hello: v.strictTuple([Hello]),
        log: v.strictTuple([v.picklist(["info", "warning", "error"]), v.string()]),
        failed: v.strictTuple([UserError]),
      } as EventSchemas<ToolEvents & Events>,
      handlers: {
        ...this.#kind.handlers,
        hello: (answer) => hello.resolve(answer),
        log: (_, text) => log(text),
        failed: (error) => hung.resolve(error),
      },
      onInvalid: (problem) => log(`The ${this.#kind.name}'s process sent ${problem}`),
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
