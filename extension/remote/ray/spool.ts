// A job sends its files in its log, unasked, when it ends. They are kept in temporary files until they are fetched.
import { closeSync, mkdtempSync, openSync, readSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../../protocol/errors.ts";
import { CHUNK, NO_FILE, type AgentEvents } from "../messages.ts";

/** More files than a run keeps. */
const MOST = 100;

interface Waiting {
  size: number;
  hash: string;
  /** Bytes that have arrived. */
  at: number;
  /** Undefined if the disk is too small. */
  descriptor: number | undefined;
}

export class Spool {
  readonly #files = new Map<string, Waiting>();
  #folder: string | undefined;
  #opened: Waiting | undefined;
  #count = 0;

  /** Takes the next part of a file. @returns what is wrong with it, if it is invalid */
  add({ file, size, hash, offset }: AgentEvents["file"], part: Buffer): string | undefined {
    const waiting = offset === 0 ? this.#begin(file, size, hash) : this.#files.get(file);
    if (waiting === undefined) return "it sent too many files";
    if (
      waiting.size !== size ||
      waiting.hash !== hash ||
      waiting.at !== offset ||
      offset + part.length > size
    )
      return "parts of a file are in the wrong order";
    if (waiting.descriptor !== undefined)
      for (let done = 0; done < part.length;)
        done += writeSync(waiting.descriptor, part, done, part.length - done, offset + done);
    waiting.at += part.length;
    return undefined;
  }

  #begin(file: string, size: number, hash: string): Waiting | undefined {
    this.#forget(file);
    if (++this.#count > MOST) return undefined;
    this.#folder ??= mkdtempSync(join(tmpdir(), "layerwise-job-"));
    const { bavail, bsize } = statfsSync(this.#folder);
    const fits = size <= bavail * bsize;
    const descriptor = fits ? openSync(join(this.#folder, String(this.#count)), "wx+", 0o600) : undefined;
    const waiting = { size, hash, at: 0, descriptor };
    this.#files.set(file, waiting);
    return waiting;
  }

  /** Opens a file for {@link read}. @throws EngineError if it is incomplete */
  open(file: string): { size: number; hash: string } {
    const waiting = this.#files.get(file);
    if (waiting === undefined)
      throw new EngineError({ code: NO_FILE, message: `The job didn't send ${file}.` });
    if (waiting.descriptor === undefined)
      throw new EngineError({
        code: "disk",
        message: `${file} has ${waiting.size.toLocaleString("en")} bytes, more than the disk of ${tmpdir()} has left.`,
      });
    if (waiting.at < waiting.size)
      throw new EngineError({
        code: "remote-protocol",
        message: `${file} is truncated: ${waiting.at} of ${waiting.size} bytes arrived.`,
      });
    this.#opened = waiting;
    return { size: waiting.size, hash: waiting.hash };
  }

  read(offset: number): Buffer {
    const buffer = Buffer.alloc(CHUNK);
    const descriptor = this.#opened?.descriptor;
    if (descriptor === undefined) return buffer.subarray(0, 0);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, CHUNK, offset));
  }

  #forget(file: string): void {
    const descriptor = this.#files.get(file)?.descriptor;
    if (descriptor !== undefined) closeSync(descriptor);
    this.#files.delete(file);
  }

  close(): void {
    for (const file of this.#files.keys()) this.#forget(file);
    this.#opened = undefined;
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }
}
