// A connection to the agent on a machine that ssh reaches, or on a node of a Ray cluster.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { EngineError, toUserError } from "../protocol/errors.ts";
import { ANSWERS, MARK, type ORDERS, type AgentAnswer, type AgentCall } from "./messages.ts";
import type { Target } from "../protocol/target.ts";
import { agentCommand, type Network } from "./bootstrap.ts";
import { brokenProtocol, heard, type Answered, type Heard, type Machine } from "./machine.ts";
import { startSsh, type StartOptions, type Transport } from "./ssh.ts";
import { Peer } from "./wire.ts";

/** The agent's program in dist/. */
export const AGENT = "remoteAgent.cjs";

/** Time limit in milliseconds of the agent's first answer. ssh itself gives up earlier if it can't connect. */
const START_LIMIT = 60_000;
/** Milliseconds between two heartbeats; the agent ends after a few are missing. */
const BEAT = 5000;
/** Most bytes that a login shell may print before the agent speaks. */
const NOISE = 2 ** 16;

export class SshMachine implements Machine {
  readonly target: Target;
  readonly ended: Promise<EngineError>;
  listener: ((heard: Heard) => void) | undefined;
  readonly #transport: Transport;
  readonly #peer: Peer;
  readonly #beat: NodeJS.Timeout;
  #invalid: string | undefined;
  #closed = false;

  /** @param first Bytes that were read before */
  constructor(target: Target, transport: Transport, first: Buffer = Buffer.alloc(0)) {
    this.target = target;
    this.#transport = transport;
    this.#peer = new Peer(
      transport.input,
      transport.output,
      {
        event: (event, data, body, length) => this.#event(event, data, body, length),
        closed: (problem) => {
          this.#invalid ??= problem?.message;
          this.close();
        },
      },
      first,
    );
    this.#beat = setInterval(() => void this.#peer.tell("beat", null), BEAT);
    this.#beat.unref();
    this.ended = transport.ended.then((error) => this.#reason(error));
  }

  /**
   * Connects to a machine and starts the agent there.
   * @param dist the folder of this version's programs
   * @throws EngineError saying why that failed, and what to do
   */
  static async connect(
    target: Target,
    dist: string,
    signal?: AbortSignal,
    { network = "shared", ...how }: StartOptions & { network?: Network } = {},
  ): Promise<SshMachine> {
    signal?.throwIfAborted();
    const program = await readFile(join(dist, AGENT));
    const ssh = startSsh(target, agentCommand(target, network), how);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(program.length, 0);
    ssh.output.write(length);
    ssh.output.write(program);
    const abort = (): void => ssh.end("SIGKILL");
    signal?.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(abort, START_LIMIT);
    try {
      const first = await Promise.race([
        afterMark(ssh),
        ssh.ended.then((error) => {
          signal?.throwIfAborted();
          throw error;
        }),
      ]);
      ssh.forget();
      return new SshMachine(target, ssh, first);
    } catch (error) {
      ssh.end("SIGKILL");
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  async call<K extends AgentCall>(method: K, params: object = {}, body?: Buffer): Promise<Answered<K>> {
    const answer = await this.#peer.call(method, params, body).catch((error: unknown) => {
      const { code, message, hint } = toUserError(error);
      // Positions in files are dropped: they would be taken for files here.
      throw new EngineError({ code, message, ...(hint === undefined ? {} : { hint }) });
    });
    const checked = v.safeParse(ANSWERS[method], answer.value, { abortEarly: true });
    if (!checked.success) throw this.#refuse(`its answer to "${method}" is malformed`);
    return { value: checked.output as AgentAnswer<K>, body: answer.body ?? Buffer.alloc(0) };
  }

  /** Bytes that the connection has not taken yet. */
  get waiting(): number {
    return this.#transport.output.writableLength;
  }

  /** Sends an event; resolves when the connection takes more. */
  tell<K extends keyof typeof ORDERS>(
    event: K,
    data: v.InferOutput<(typeof ORDERS)[K]>,
    body?: Buffer,
  ): Promise<void> {
    return this.#peer.tell(event, data, body);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#beat);
    this.#peer.close();
    this.#transport.end("SIGTERM");
  }

  #event(event: string, data: unknown, body: Buffer, length: number): void {
    const checked = heard(event, data, body, length);
    if (typeof checked === "string") throw this.#refuse(checked);
    this.listener?.(checked);
  }

  /** Closes the connection to a machine that doesn't keep to the protocol. */
  refuse(problem: string): void {
    this.#refuse(problem);
  }

  #refuse(problem: string): EngineError {
    this.#invalid ??= problem;
    this.close();
    return brokenProtocol(this.target, this.#invalid);
  }

  #reason(error: EngineError): EngineError {
    clearInterval(this.#beat);
    this.#closed = true;
    this.#peer.close();
    return this.#invalid === undefined ? error : brokenProtocol(this.target, this.#invalid);
  }
}

/** Skips the output of the login shell. @returns the bytes after the mark */
function afterMark({ input }: Transport): Promise<Buffer> {
  const mark = Buffer.from(`${MARK}\n`);
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const read = (bytes: Buffer): void => {
      seen = Buffer.concat([seen, bytes]);
      const at = seen.indexOf(mark);
      if (at < 0 && seen.length <= NOISE) return;
      input.off("data", read);
      input.pause();
      if (at >= 0) resolve(seen.subarray(at + mark.length));
      else
        reject(
          new EngineError({
            code: "remote-protocol",
            message: "The login shell there printed too much before the agent could answer.",
            hint: "Let its start-up files print only for terminals.",
          }),
        );
    };
    input.on("data", read);
  });
}
