import type { ChildProcess } from "node:child_process";
import { createBirpc, type BirpcReturn } from "birpc";
import * as v from "valibot";
import { PROTOCOL_VERSION, type Hello } from "../../protocol/engine.ts";
import { EngineError } from "../../protocol/errors.ts";
import { describeExit, lastLines, type EngineProcess } from "./process.ts";

/** Schema of the arguments of each event that a child may send. */
export type EventSchemas<Events> = {
  [K in keyof Events]: Events[K] extends (...args: infer A) => void ? v.GenericSchema<unknown, A> : never;
};

/** Characters and names that say enough of a message. */
const LONGEST = 200;
const MOST_NAMES = 10;

/** Methods of a child, callable from here. They reject with {@link EngineError} when the child is gone. */
export type Remote<Methods extends object> = BirpcReturn<Methods>;

export interface ChannelOptions<Events> {
  schemas: EventSchemas<Events>;
  handlers: Events;
  /** Called for a dropped message that violates the protocol. */
  onInvalid(problem: string): void;
}

/**
 * Typed calls over a fork's IPC. What arrives is validated before anything else sees it; a message that doesn't fit is
 * reported and dropped, never thrown at the reader.
 */
export function openChannel<Methods extends object, Events extends object>(
  child: ChildProcess,
  options: ChannelOptions<Events>,
): Remote<Methods> {
  const remote = createBirpc<Methods>(validated(options), {
    post: (message: unknown) => post(child, message),
    on: (receive) => {
      child.on("message", (message: unknown) => {
        if (isEnvelope(message)) receive(message);
        else options.onInvalid(`not a message of the protocol: ${preview(message)}`);
      });
    },
    // Calls end when the child answers or dies; the caller limits their time.
    timeout: -1,
  });
  child.once("disconnect", () =>
    remote.$close(new EngineError({ code: "ended", message: "The process has ended." })),
  );
  return remote;
}

function validated<Events extends object>(options: ChannelOptions<Events>): Record<string, unknown> {
  const functions: Record<string, unknown> = Object.create(null);
  for (const name of Object.keys(options.handlers)) {
    const key = name as keyof Events;
    const handler = options.handlers[key] as (...args: unknown[]) => void;
    const schema = options.schemas[key] as v.GenericSchema<unknown, unknown[]>;
    functions[name] = (...args: unknown[]): void => {
      const parsed = v.safeParse(schema, args);
      if (parsed.success) handler(...parsed.output);
      else options.onInvalid(`invalid "${name}": ${v.summarize(parsed.issues)}`);
    };
  }
  return functions;
}

function post(child: ChildProcess, message: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => {
      // A child that is gone needs no reply; its exit says everything.
      if ((message as { t?: unknown }).t === "s") resolve();
      else reject(new EngineError({ code: "ended", message: "The process has ended." }));
    };
    if (!child.connected) gone();
    else child.send(message as object, (error) => (error === null ? resolve() : gone()));
  });
}

/** Whether a message is a request or a reply of birpc, which trusts what it reads. Checked without a copy. */
export function isEnvelope(message: unknown): boolean {
  if (typeof message !== "object" || message === null) return false;
  const { t, m, a, i } = message as Record<string, unknown>;
  if (t === "s") return typeof i === "string";
  return t === "q" && typeof m === "string" && Array.isArray(a) && (i === undefined || typeof i === "string");
}

/** A short description of a message, which may be large, circular, or have numbers that JSON doesn't. */
function preview(value: unknown): string {
  if (typeof value === "string") return value.slice(0, LONGEST);
  if (typeof value !== "object" || value === null) return String(value).slice(0, LONGEST);
  const names: string[] = [];
  for (const name in value) if (names.push(name.slice(0, LONGEST)) === MOST_NAMES) break;
  return `an object with ${names.join(", ").slice(0, LONGEST) || "nothing"}`;
}

/** Resolves with the child's hello, raced against its exit and `timeout` milliseconds; else kills it and rejects. */
export async function handshake(
  engine: EngineProcess,
  hello: Promise<Hello>,
  kind: Hello["engine"],
  timeout: number,
): Promise<Hello> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(failure(`it did not answer within ${Math.round(timeout / 1000)} s`)),
      timeout,
    );
  });
  const gone = engine.exited.then((exit) => {
    throw failure(describeExit(exit), lastLines(exit));
  });
  try {
    const answer = await Promise.race([hello, late, gone]);
    if (answer.protocol !== PROTOCOL_VERSION || answer.engine !== kind)
      throw failure(
        `expected the ${kind} engine of protocol ${PROTOCOL_VERSION}, got the ${answer.engine} engine of ` +
          `protocol ${answer.protocol}`,
        "Reload the window: the extension may have been updated while it ran.",
      );
    return answer;
  } catch (error) {
    await engine.kill();
    throw error;
  } finally {
    clearTimeout(timer);
    gone.catch(() => undefined);
  }
}

function failure(reason: string, hint?: string): EngineError {
  const message = `The engine's process failed to start: ${reason}.`;
  return new EngineError({ code: "engine", message, ...(hint === undefined ? {} : { hint }) });
}
