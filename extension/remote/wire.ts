// Calls and events over a pair of byte streams, such as ssh's: each message is JSON, followed by bytes.
import type { Readable, Writable } from "node:stream";
import * as v from "valibot";
import { EngineError, toUserError, UserError } from "../protocol/errors.ts";

/** Most bytes of a message's JSON, and of its body. A record has at most 16 MiB on the disk. */
const MOST_HEAD = 32 * 2 ** 20;
const MOST_BODY = 4 * 2 ** 20;
const PREFIX = 8;
/** Pieces of a message after which they are joined: one of a byte takes two hundred. */
const MOST_PIECES = 1024;

const Head = v.union([
  v.object({ call: v.pipe(v.number(), v.integer()), method: v.string(), params: v.unknown() }),
  v.object({ answer: v.pipe(v.number(), v.integer()), result: v.unknown() }),
  v.object({ answer: v.pipe(v.number(), v.integer()), error: UserError }),
  v.object({ event: v.string(), data: v.unknown() }),
]);
type Head = v.InferOutput<typeof Head>;

const NOTHING = Buffer.alloc(0);

/** Content of a call or an event: a JSON value, and bytes. */
export interface Parcel {
  value: unknown;
  body?: Buffer | undefined;
}

/** A message as bytes. */
export function frame(head: object, body: Buffer): Buffer[] {
  const json = Buffer.from(JSON.stringify(head));
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(json.length, 0);
  prefix.writeUInt32BE(body.length, 4);
  return [prefix, json, body];
}

/** Takes the events of a run. */
export interface Teller {
  readonly closed: boolean;
  /** Sends an event; resolves when the other side takes more. */
  tell(event: string, data: unknown, body?: Buffer): Promise<void>;
}

export interface PeerOptions {
  /** Answers the other side's calls. Without it, a call closes the connection. */
  answer?: (method: string, params: unknown, body: Buffer) => Promise<Parcel | undefined>;
  /** Takes the other side's events, in order, with the size of the whole message. An error closes the connection. */
  event?: (event: string, data: unknown, body: Buffer, length: number) => void;
  /** Called once: the other side has ended, or has sent an invalid message. */
  closed?: (problem: Error | undefined) => void;
}

/** One side of a connection. */
export class Peer implements Teller {
  readonly #out: Writable;
  readonly #options: PeerOptions;
  readonly #waiting = new Map<
    number,
    { resolve: (parcel: Parcel) => void; reject: (error: unknown) => void }
  >();
  #calls = 0;
  #pending: Buffer[] = [];
  /** How many of the last ones were not joined yet. */
  #pieces = 0;
  #bytes = 0;
  #closed = false;

  /** @param first Bytes that were read before */
  constructor(input: Readable, out: Writable, options: PeerOptions, first: Buffer = NOTHING) {
    this.#out = out;
    this.#options = options;
    input.on("data", (bytes: Buffer) => this.#take(bytes));
    input.once("end", () => this.close());
    input.once("close", () => this.close());
    // With an error of the system, the connection is lost, and its owner says why. Any other error, such as a failure
    // to unpack, is the other side's fault.
    input.on("error", (error) => this.close("syscall" in error ? undefined : error));
    out.on("error", () => this.close());
    if (first.length > 0) this.#take(first);
    input.resume();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Calls a method of the other side. @throws EngineError with its error; "line" when the connection is closed */
  async call(method: string, params: unknown, body: Buffer = NOTHING): Promise<Parcel> {
    if (this.#closed) throw lineClosed();
    const call = ++this.#calls;
    const answer = new Promise<Parcel>((resolve, reject) => this.#waiting.set(call, { resolve, reject }));
    // The caller gets a failure by the returned promise, after the message was sent.
    answer.catch(() => undefined);
    await this.#send({ call, method, params: params ?? null }, body);
    return answer;
  }

  async tell(event: string, data: unknown, body: Buffer = NOTHING): Promise<void> {
    if (!this.#closed) await this.#send({ event, data: data ?? null }, body);
  }

  /** Fails all calls under way. */
  close(problem?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    for (const { reject } of this.#waiting.values()) reject(lineClosed());
    this.#waiting.clear();
    this.#options.closed?.(problem);
  }

  #send(head: Head, body: Buffer): Promise<void> {
    this.#out.cork();
    for (const bytes of frame(head, body)) if (bytes.length > 0) this.#out.write(bytes);
    this.#out.uncork();
    if (!this.#out.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#out.off("drain", done);
        this.#out.off("close", done);
        resolve();
      };
      this.#out.on("drain", done);
      this.#out.on("close", done);
    });
  }

  #take(bytes: Buffer): void {
    this.#pending.push(bytes);
    this.#bytes += bytes.length;
    if (++this.#pieces >= MOST_PIECES) {
      // Not those before: each would be copied again and again.
      this.#pending.push(Buffer.concat(this.#pending.splice(-this.#pieces)));
      this.#pieces = 0;
    }
    try {
      while (!this.#closed && this.#one());
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Handles one whole message. @returns false when there is none */
  #one(): boolean {
    if (this.#bytes < PREFIX) return false;
    const prefix = this.#peek(PREFIX);
    const [head, body] = [prefix.readUInt32BE(0), prefix.readUInt32BE(4)];
    if (head > MOST_HEAD || body > MOST_BODY) throw new Error("a message is longer than any may be");
    if (this.#bytes < PREFIX + head + body) return false;
    const message = this.#peek(PREFIX + head + body);
    this.#pending = [this.#pending[0]!.subarray(message.length)];
    this.#bytes -= message.length;
    const parsed = v.safeParse(Head, JSON.parse(message.toString("utf8", PREFIX, PREFIX + head)));
    if (!parsed.success) throw new Error("a message is malformed");
    this.#handle(parsed.output, message.subarray(PREFIX + head), message.length);
    return true;
  }

  /** The first bytes, in one piece. */
  #peek(count: number): Buffer {
    if (this.#pending[0]!.length < count) this.#pending = [Buffer.concat(this.#pending)];
    return this.#pending[0]!.subarray(0, count);
  }

  /** @param length Bytes of the whole message */
  #handle(head: Head, body: Buffer, length: number): void {
    if ("call" in head) {
      // Answers that the other side doesn't read would fill the memory.
      if (this.#options.answer === undefined) throw new Error("it made a call, which only this side may do");
      void this.#answer(head.call, this.#options.answer(head.method, head.params, body));
    } else if ("event" in head) this.#options.event?.(head.event, head.data, body, length);
    else {
      const waiting = this.#waiting.get(head.answer);
      this.#waiting.delete(head.answer);
      if ("error" in head) waiting?.reject(new EngineError(head.error));
      else waiting?.resolve({ value: head.result, body });
    }
  }

  async #answer(answer: number, given: Promise<Parcel | undefined>): Promise<void> {
    try {
      const parcel = await given;
      await this.#send({ answer, result: parcel?.value ?? null }, parcel?.body ?? NOTHING);
    } catch (error) {
      await this.#send({ answer, error: toUserError(error) }, NOTHING);
    }
  }
}

function lineClosed(): EngineError {
  return new EngineError({ code: "line", message: "The connection to the other machine is closed." });
}
