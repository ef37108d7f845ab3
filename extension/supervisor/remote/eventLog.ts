// Writes what happens in a run to the log of its job.
import type { FileHandle } from "node:fs/promises";
import { isMissing } from "../../files/fileError.ts";
import { openRegular } from "../../files/regular.ts";
import { runPath } from "../../files/runFiles.ts";
import { EngineError, toUserError } from "../../protocol/errors.ts";
import { EVALUATION_FILES, type RunRecord } from "../../protocol/run.ts";
import { CHUNK, ofFollowed, type FollowRequest } from "../../remote/messages.ts";
import type { JobLog } from "../../remote/ray/jobLog.ts";
import { Counted } from "../../remote/rows.ts";
import type { Teller } from "../../remote/wire.ts";
import { readRun } from "../runs/runDirectory.ts";
import { hashOfFile } from "./store.ts";

/** Milliseconds between two records or two reports of progress: the log keeps them all. */
const INTERVAL = 2000;

/** The files of a run that are fetched. One file at a time is open. */
export interface SavedFiles {
  record(): Promise<RunRecord>;
  open(file: string): Promise<{ size: number; hash: string }>;
  /** Reads up to {@link CHUNK} bytes of the open file. */
  read(offset: number): Promise<Buffer>;
}

/** Ray's SIGTERM, which may arrive at any time. */
export class Stop {
  #wanted = false;
  #end: (() => void) | undefined;

  now(): void {
    this.#wanted = true;
    this.#end?.();
  }

  /** Sets the action of the signal; runs it at once if the signal has arrived. */
  by(end: () => void): void {
    this.#end = end;
    if (this.#wanted) end();
  }

  /** @throws EngineError if the signal has arrived */
  throwIfWanted(): void {
    if (this.#wanted)
      throw new EngineError({ code: "job-stopped", message: "The job was stopped before the run began." });
  }
}

/** Writes the events of a run to the log, and its files before its end. */
export class EventLog implements Teller {
  /** Whether the run has replaced its files, so that it has to be followed again. */
  changed = false;
  readonly #log: JobLog;
  readonly #files: SavedFiles;
  readonly #last = new Map<string, number>();
  #state = "";
  #due: unknown;

  constructor(log: JobLog, files: SavedFiles) {
    this.#log = log;
    this.#files = files;
  }

  get closed(): boolean {
    return this.#log.closed;
  }

  async tell(event: string, data: unknown, body?: Buffer): Promise<void> {
    if (event === "progress" && this.#isEarly(event)) return;
    if (event === "record") {
      const { state } = data as { state: string };
      if (state === this.#state && this.#isEarly(event)) return void (this.#due = data);
      this.#state = state;
      this.#last.set(event, performance.now());
      this.#due = undefined;
    }
    if (event === "changed") this.changed = true;
    if (event === "ended") {
      if (this.#due !== undefined) await this.#log.tell("record", this.#due);
      await this.#tellFiles();
    }
    await this.#log.tell(event, data, body);
  }

  #isEarly(event: string): boolean {
    const now = performance.now();
    if (now - (this.#last.get(event) ?? -INTERVAL) < INTERVAL) return true;
    this.#last.set(event, now);
    return false;
  }

  /** Writes the weights, or what an evaluation has left. A file that can't be read is skipped with a warning. */
  async #tellFiles(): Promise<void> {
    const { kind, checkpoints } = await this.#files.record();
    const names = kind === "evaluate" ? EVALUATION_FILES : checkpoints.map(({ file }) => file);
    for (const file of names)
      try {
        await this.#file(file);
      } catch (error) {
        // A stopped evaluation has no result, and one without samples no report.
        if (kind === "evaluate" && isMissing(error)) continue;
        const { message } = toUserError(error);
        await this.#log.tell("said", {
          level: "warning",
          text: `${file} stays on the cluster: ${message}\n`,
        });
      }
  }

  async #file(file: string): Promise<void> {
    const { size, hash } = await this.#files.open(file);
    for (let offset = 0; offset === 0 || offset < size;) {
      const bytes = (await this.#files.read(offset)).subarray(0, size - offset);
      if (bytes.length < Math.min(CHUNK, size - offset)) throw new Error("it is shorter by now");
      await this.#log.tell("file", { file, size, hash, offset }, bytes);
      offset += Math.max(1, bytes.length);
    }
  }
}

/** The files of a run on this machine. */
export function filesOf(directory: string): SavedFiles {
  let handle: FileHandle | undefined;
  return {
    record: async () => (await readRun(directory)).record,
    open: async (file) => {
      await handle?.close();
      const path = await runPath(directory, file);
      handle = await openRegular(path);
      return { size: (await handle.stat()).size, hash: await hashOfFile(path) };
    },
    read: async (offset) => {
      const buffer = Buffer.alloc(CHUNK);
      const { bytesRead } = await handle!.read(buffer, 0, CHUNK, offset);
      return buffer.subarray(0, bytesRead);
    },
  };
}

const none = new Counted().have;
export const NOTHING: FollowRequest = ofFollowed(() => none);
