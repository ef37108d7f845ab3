// Follows a run over a connection, and reconnects when that is lost.
import { setTimeout as delay } from "node:timers/promises";
import path from "node:path";
import type { ControlName } from "../../protocol/controls.ts";
import type { RunEngineEvents } from "../../protocol/engine.ts";
import { EngineError, toUserError } from "../../protocol/errors.ts";
import { CHUNK, NO_FILE, type FetchedFile } from "../../remote/messages.ts";
import {
  EVALUATION_FILE,
  isLive,
  OUTCOMES_FILE,
  OUTCOMES_LIMIT,
  REPORT_FILE,
  REPORT_LIMIT,
  type CheckpointRecord,
  type MetricRow,
  type RunRecord,
} from "../../protocol/run.ts";
import { plainLine, plainText } from "../../protocol/text/plain.ts";
import { megabytes } from "../../remote/files.ts";
import { isCut, type Machine } from "../../remote/machine.ts";
import type { Send } from "../host/ipc.ts";
import { TokenBucket } from "./tokenBucket.ts";
import { violation, type Mirror } from "./mirror.ts";

/** Milliseconds before the first attempt to reconnect, and at most between later ones. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** Time limit in milliseconds of a stop while there is no connection. */
const STOP_LIMIT = 30_000;
/** More checkpoints than an experiment keeps. */
const MOST_CHECKPOINTS = 100;
/** Bytes of a file that is announced. */
const LARGE = 20e6;

interface Surroundings {
  /** Connects to the machine again. */
  connect: () => Promise<Machine>;
  /** The run's name there. */
  run: string;
  send: Send<RunEngineEvents>;
  say: (level: "info" | "warning", text: string) => void;
  /** Whether views read earlier rows from the disk, once the record says how many there are. */
  resumed: boolean;
}

export class RunConnection {
  /** Whether this process leaves the run while it continues there. */
  left = false;
  #machine: Machine;
  readonly #mirror: Mirror;
  readonly #own: Surroundings;
  #closed = false;
  #stopping = false;
  /** The last rows on the disk, until views get rows as they arrive; then undefined. */
  #onDisk: { step: number; epoch: number } | undefined;
  #fetching: Promise<unknown> = Promise.resolve();
  #told = false;
  readonly #states = new TokenBucket();
  readonly #texts = new TokenBucket();
  #silenced = false;
  #wake: (() => void) | undefined;

  constructor(machine: Machine, mirror: Mirror, surroundings: Surroundings) {
    this.#machine = machine;
    this.#mirror = mirror;
    this.#own = surroundings;
    if (surroundings.resumed) this.#onDisk = { step: 0, epoch: 0 };
  }

  /** Follows the run to its end, and fetches its files. @throws EngineError when that is not possible */
  async untilEnd(): Promise<void> {
    for (;;) {
      try {
        const end = await this.#follow();
        if (end === "ended") return await this.#fetchAll();
        await delay(FIRST_WAIT);
      } catch (error) {
        if (this.#closed || !wasCut(error)) throw error;
        await this.#reconnect();
      }
    }
  }

  async #follow(): Promise<"ended" | "changed"> {
    const machine = this.#machine;
    const { id } = this.#mirror.directory.record;
    const end = new Promise<"ended" | "changed">((resolve, reject) => {
      machine.listener = (heard) => {
        switch (heard.event) {
          case "rows":
            return this.#rows(this.#mirror.rows(heard.data.file, heard.data.rows));
          case "log":
            return this.#mirror.log(heard.body);
          case "record":
            this.#demand("records", heard.length);
            return this.#record(heard.data);
          case "said":
            return this.#say(heard.data.level, heard.data.text, heard.length);
          case "progress":
            this.#demand("progress", heard.length);
            return this.#own.send("progress", heard.data);
          case "failed":
            return reject(new EngineError(this.#mirror.here(heard.data)));
          case "ended":
          case "changed":
            return resolve(heard.event);
          case "line":
          case "file":
          case "worker":
          case "marks":
          case "listening":
          case "tunnel":
            return undefined;
        }
      };
      void machine.ended.then(reject);
    });
    end.catch(() => undefined);
    const { value: kept } = await machine.call("follow", {
      run: this.#own.run,
      id,
      have: await this.#mirror.have(),
    });
    this.#mirror.keep(kept);
    await machine.call("go");
    if (this.#stopping) void machine.call("control", { name: "stop", args: [] }).catch(() => undefined);
    return end;
  }

  /** @throws EngineError when a machine sends more than any run does */
  #demand(what: string, bytes: number): void {
    if (!this.#states.take(bytes)) throw violation(`it sent ${what} without end`);
  }

  /** Shows what the program prints, up to a limit; its log has more. */
  #say(level: "info" | "warning" | "error", text: string, bytes: number): void {
    if (this.#texts.take(bytes)) return this.#own.send("log", level, plainText(text));
    if (this.#silenced) return;
    this.#silenced = true;
    this.#own.say("warning", "The run prints more than can be shown: parts are left out.");
  }

  #rows(rows: MetricRow[]): void {
    if (rows.length === 0) return;
    if (this.#onDisk === undefined) return this.#own.send("metrics", rows);
    for (const { kind, step, epoch } of rows) {
      this.#onDisk.step = Math.max(this.#onDisk.step, step);
      if (kind === "epoch") this.#onDisk.epoch = Math.max(this.#onDisk.epoch, epoch);
    }
  }

  /** Passes on a record. The final one waits for the checkpoints. */
  #record(sent: RunRecord): void {
    this.#mirror.latest = sent;
    if (!isLive(sent)) return;
    const record = this.#mirror.record(sent);
    this.#mirror.directory.flush();
    this.#tellOfEngine(record);
    if (this.#onDisk === undefined || record.state === "starting") return this.#own.send("record", record);
    const { step, epoch } = this.#onDisk;
    this.#onDisk = undefined;
    this.#own.send("record", {
      ...record,
      step: Math.max(step, record.step),
      epoch: Math.max(epoch, record.epoch),
    });
  }

  #tellOfEngine({ executor, on }: RunRecord): void {
    if (this.#told || executor === undefined) return;
    this.#told = true;
    if (executor.backend === "tensorflow" || executor.reason === undefined) return;
    const ray = this.#machine.target.kind === "ray";
    this.#own.say(
      "warning",
      `TensorFlow's kernels are not used on ${on!.name}${ray ? `: ${plainLine(executor.reason)}` : `. "layerwise engine install --on ${on!.name}" installs them there.`}`,
    );
  }

  control(name: ControlName, args: readonly unknown[]): Promise<unknown> {
    return this.#machine.call("control", { name, args }).then(({ value }) => value);
  }

  /** Saves the weights there and fetches them. @returns the file here */
  async checkpoint(): Promise<string> {
    const { value } = await this.#machine.call("control", { name: "checkpoint", args: [] });
    const file = `checkpoints/${path.posix.basename(String(value))}`;
    const { value: record } = await this.#machine.call("record");
    const saved = record.checkpoints.find((one) => one.file === file);
    if (saved === undefined)
      throw new EngineError({
        code: "remote-protocol",
        message: "The run's record doesn't name the file that it has saved.",
      });
    await this.#fetch(saved);
    this.#own.send("record", this.#mirror.directory.record);
    return this.#mirror.directory.file(file);
  }

  /** Ends the run there after its current step. */
  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#wake?.();
    void this.control("stop", []).catch(() => undefined);
    setTimeout(() => {
      if (!this.#machine.closed || this.#closed) return;
      this.#own.say(
        "warning",
        `${this.#machine.target.name} didn't receive the request to stop the run, which may continue there.`,
      );
      this.leave();
    }, STOP_LIMIT).unref();
  }

  /** Ends the connection; the run continues there. */
  leave(): void {
    this.left = true;
    this.close();
  }

  close(): void {
    this.#closed = true;
    this.#machine.close();
    this.#wake?.();
  }

  async #reconnect(): Promise<void> {
    const { target } = this.#machine;
    this.#machine.close();
    const reason = await this.#machine.ended;
    if (!wasCut(reason)) throw reason;
    const { message } = reason;
    let said = reason.cause.code;
    this.#own.say("warning", `${message} The run continues on ${target.name}; reconnecting …`);
    for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      await Promise.race([delay(wait), new Promise<void>((resolve) => (this.#wake = resolve))]);
      if (this.#closed) throw new EngineError({ code: "line", message });
      let machine: Machine | undefined;
      try {
        machine = await this.#own.connect();
        this.#machine = machine;
        if (this.#closed) machine.close();
        await machine.call("open", target.folder === undefined ? {} : { folder: target.folder });
        this.#own.say("info", `Connected to ${target.name} again.`);
        return;
      } catch (error) {
        machine?.close();
        const { code, message: problem, hint } = toUserError(error);
        if (this.#closed || code === "remote-protocol") throw error;
        // A refused or changed key may need the user. The same problem is reported once.
        if (code !== said) this.#own.say("warning", hint === undefined ? problem : `${problem} ${hint}`);
        said = code;
      }
    }
  }

  /** Fetches all checkpoints of a run that has ended, or an evaluation's result. */
  async #fetchAll(): Promise<void> {
    const { kind } = this.#mirror.directory.record;
    if (kind === "evaluate") {
      if (this.#mirror.latest?.state === "finished") await this.#fetchEvaluation();
      return;
    }
    for (const checkpoint of this.#mirror.missing().slice(0, MOST_CHECKPOINTS))
      await this.#try(checkpoint.file, () => this.#fetch(checkpoint));
  }

  async #fetchEvaluation(): Promise<void> {
    const mirror = this.#mirror;
    const { hash, chunks } = await this.#open(EVALUATION_FILE, REPORT_LIMIT);
    this.#own.send("evaluated", await mirror.evaluation(hash, chunks));
    for (const file of [REPORT_FILE, OUTCOMES_FILE] as const)
      await this.#try(file, async () => {
        const { hash, chunks } = await this.#open(file, file === REPORT_FILE ? REPORT_LIMIT : OUTCOMES_LIMIT);
        await (file === REPORT_FILE ? mirror.report(hash, chunks) : mirror.outcomes(hash, chunks));
      });
  }

  /** Fetches a file. A failure doesn't prevent the others. */
  async #try(file: string, fetch: () => Promise<void>): Promise<void> {
    try {
      await fetch();
    } catch (error) {
      if (this.#closed || wasCut(error)) throw error;
      const { code, message } = toUserError(error);
      if (code !== NO_FILE)
        this.#own.say("warning", `${file} stays on ${this.#machine.target.name}: ${message}`);
    }
  }

  /** Opens a file there. One at a time is open. */
  async #open(
    file: FetchedFile,
    limit = Infinity,
  ): Promise<{ size: number; hash: string; chunks: AsyncGenerator<Buffer> }> {
    const machine = this.#machine;
    const { size, hash } = (await machine.call("openFile", { file })).value;
    if (size > limit) throw violation(`${file} has more than ${limit} bytes`);
    if (size > LARGE) this.#own.say("info", `Fetching ${file}: ${megabytes(size)}.`);
    return { size, hash, chunks: chunksOf(machine, size) };
  }

  #fetch(checkpoint: CheckpointRecord): Promise<void> {
    const fetched = this.#fetchAfter(this.#fetching, checkpoint);
    this.#fetching = fetched.catch(() => undefined);
    return fetched;
  }

  async #fetchAfter(others: Promise<unknown>, checkpoint: CheckpointRecord): Promise<void> {
    await others;
    const { size, hash, chunks } = await this.#open(checkpoint.file);
    await this.#mirror.receive({ ...checkpoint, bytes: size }, hash, chunks);
  }
}

/** Reads a file there in order, and prefetches one part while another is written. */
async function* chunksOf(machine: Machine, size: number): AsyncGenerator<Buffer> {
  const ask = (offset: number): Promise<{ body: Buffer }> => machine.call("readFile", { offset });
  let next = size === 0 ? undefined : ask(0);
  for (let offset = 0; next !== undefined;) {
    const { body } = await next;
    if (body.length === 0 || body.length > CHUNK)
      throw new EngineError({
        code: "remote-protocol",
        message: "A file is truncated: the machine sent less of it than it had announced.",
      });
    offset += body.length;
    next = offset < size ? ask(offset) : undefined;
    // The next turn throws a failure.
    void next?.catch(() => undefined);
    yield body;
  }
}

/** Whether the connection was lost, so that reconnecting helps. */
const wasCut = (error: unknown): boolean => isCut(toUserError(error).code);
