// Sends the progress of a run over a connection: new rows, the record, the end.
import { lstat } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import { checkedJson } from "../../files/json.ts";
import { readRegular } from "../../files/regular.ts";
import { RECORD_LIMIT, runPath } from "../../files/runFiles.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { EVENTS, ofFollowed, ROW_NAMES, type FollowRequest, type Kept } from "../../remote/messages.ts";
import { isLive, LOG_FILE, RUN_FILE } from "../../protocol/run.ts";
import { Peer, type Teller } from "../../remote/wire.ts";
import { processOf } from "../runs/liveness.ts";
import { readRun } from "../runs/runDirectory.ts";
import { KEEPER_LOG, Outcome, OUTCOME_FILE, SOCKET_FILE } from "./keeper.ts";
import { ChangedError, LogTail, RowTail } from "./tail.ts";

/** Milliseconds between two reads of the files, and between two checks whether the run's process lives. */
const INTERVAL = 100;
const LIFE_INTERVAL = 1000;
/** Most attempts to read files that change meanwhile: a resume replaces them once. */
const MOST_TRIES = 10;
/** Milliseconds after which a run without a record and a keeper has failed. */
const LOST_LIMIT = 10_000;

export class Follower {
  readonly #folder: string;
  readonly #directory: string;
  readonly #line: Teller;
  #rows: RowTail[];
  #log: LogTail;
  #keeper: Peer | undefined;
  #socket: Socket | undefined;
  #stopped = false;
  readonly #began = performance.now();
  /** Inode and time of the record's file at the last read. */
  #seen = "";

  /** @param folder of the run, which is the current one @param line gets the events */
  constructor(folder: string, directory: string, line: Teller) {
    this.#folder = folder;
    this.#directory = directory;
    this.#line = line;
    this.#rows = ROW_NAMES.map((name) => new RowTail(directory, name));
    this.#log = new LogTail(directory, LOG_FILE);
  }

  /** Skips the rows that the other side has. Starts again if a resume replaces the files meanwhile. */
  async skip(have: FollowRequest): Promise<Kept> {
    for (let tries = 1; ; tries++)
      try {
        return await this.#skip(have);
      } catch (error) {
        if (!(error instanceof ChangedError) || tries === MOST_TRIES) throw error;
        await this.#close();
        this.#rows = ROW_NAMES.map((name) => new RowTail(this.#directory, name));
        this.#log = new LogTail(this.#directory, LOG_FILE);
        await delay(INTERVAL);
      }
  }

  async #skip(have: FollowRequest): Promise<Kept> {
    const kept: Kept = { ...ofFollowed(() => true), log: await this.#log.skip(have.log) };
    for (const tail of this.#rows) kept[tail.name] = await tail.skip(have[tail.name]);
    return kept;
  }

  /** Sends events until the run or the connection ends. */
  async follow(): Promise<void> {
    try {
      await this.#untilEnd();
    } catch (error) {
      if (!(error instanceof ChangedError)) throw error;
      await this.#line.tell("changed", null);
    } finally {
      await this.stop();
    }
  }

  async #untilEnd(): Promise<void> {
    let asked = 0;
    while (!this.#stopped && !this.#line.closed) {
      const due = performance.now() - asked >= LIFE_INTERVAL;
      if (due) asked = performance.now();
      await this.#connect();
      const over = due && (await this.#isOver());
      await this.#tellRows();
      await this.#tellRecord();
      if (over) return this.#line.tell("ended", null);
      await delay(INTERVAL);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#keeper?.close();
    this.#socket?.destroy();
    await this.#close();
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#rows, this.#log].map((tail) => tail.close()));
  }

  /** Calls a control of the run. */
  async control(name: string, args: readonly unknown[]): Promise<unknown> {
    await this.#connect();
    if (this.#keeper !== undefined) return (await this.#keeper.call("control", { name, args })).value;
    const { record } = await readRun(this.#directory);
    if (name !== "stop" || !isLive(record))
      throw new EngineError({
        code: "detached",
        message: `Run ${record.id} can't be controlled: it ${isLive(record) ? "has lost its keeper, and can only be stopped" : "has ended"}.`,
      });
    await (await processOf(this.#directory, record.id)).signal("SIGTERM");
    return null;
  }

  async #tellRows(): Promise<void> {
    for (let bytes = await this.#log.next(); bytes.length > 0; bytes = await this.#log.next())
      await this.#line.tell("log", null, bytes);
    for (const tail of this.#rows)
      for (let rows = await tail.next(); rows.length > 0; rows = await tail.next())
        await this.#line.tell("rows", { file: tail.name, rows });
  }

  async #tellRecord(): Promise<void> {
    const stats = await runPath(this.#directory, RUN_FILE)
      .then((path) => lstat(path, { bigint: true }))
      .catch(() => undefined);
    const seen = stats === undefined ? "" : `${stats.ino} ${stats.mtimeNs}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    const { record } = await readRun(this.#directory);
    await this.#line.tell("record", record);
  }

  /** Whether the run has ended. Sends the error of one without a record. */
  async #isOver(): Promise<boolean> {
    const run = await readRun(this.#directory).catch(() => undefined);
    if (run !== undefined) {
      if (isLive(run.record)) return false;
      // A killed process has not written its end: the record says it.
      if (run.life?.kind === "killed") await this.#line.tell("record", run.record);
      return true;
    }
    const bytes = await readRegular(join(this.#folder, OUTCOME_FILE), { limit: RECORD_LIMIT }).catch(
      () => undefined,
    );
    const outcome = bytes === undefined ? undefined : checkedJson(OUTCOME_FILE, bytes, Outcome);
    // While there is a keeper, it may still be starting the engine.
    if (outcome === undefined && (this.#keeper !== undefined || performance.now() - this.#began < LOST_LIMIT))
      return false;
    await this.#line.tell("failed", outcome?.error ?? (await this.#lost()));
    return true;
  }

  /** The error of a run whose keeper has ended without writing one. */
  async #lost(): Promise<UserError> {
    const said = await readRegular(join(this.#folder, KEEPER_LOG), { limit: RECORD_LIMIT }).catch(() =>
      Buffer.alloc(0),
    );
    const hint = said.toString("utf8").trim().slice(-2000);
    return {
      code: "killed",
      message: "The run's process ended before the run started.",
      ...(hint === "" ? {} : { hint }),
    };
  }

  /** Connects to the run's keeper, if there is one. */
  async #connect(): Promise<void> {
    if (this.#keeper !== undefined) return;
    const socket = connect(SOCKET_FILE);
    const connected = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (!connected) return;
    this.#socket = socket;
    this.#keeper = new Peer(socket, socket, {
      event: (event, data) => {
        if (
          (event === "said" && v.is(EVENTS.said, data)) ||
          (event === "progress" && v.is(EVENTS.progress, data))
        )
          void this.#line.tell(event, data);
      },
      closed: () => (this.#keeper = undefined),
    });
  }
}
