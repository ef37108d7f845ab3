// Unpacks a wheel while it is being downloaded: inflating TensorFlow's library takes as long as a fast line needs for it.
import fs from "node:fs/promises";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { BLOCK, placeIn, writeEntry } from "./entries.ts";

/** A file from a wheel that was not checked yet. */
export interface StreamedFile {
  /** Where it was unpacked to. */
  file: string;
  size: number;
  sha256: Buffer;
}

export interface StreamingOptions {
  /** Returns the target of a file of the wheel, relative to `directory`; undefined for files that aren't unpacked. */
  place: (name: string) => string | undefined;
  /** Receives the files; created when the wheel's first bytes are there. */
  directory: string;
  /** Receives the share of the wheel that is unpacked, once it has arrived. */
  onProgress?: (fraction: number) => void;
}

/** Milliseconds between two looks for more bytes. */
const WAIT = 20;
/** Size limit of the files together, above those of any wheel: until its hash is known, it may be anything. */
const MOST_BYTES = 2e9;

/** Fields of a local file header: APPNOTE.TXT of PKWARE, section 4.3.7. */
const HEADER_BYTES = 30;
const SIGNATURE = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;
/** Encrypted, or its sizes stand behind it. */
const UNSUPPORTED_FLAGS = 0b1001;
const ZIP64 = 0xffffffff;

/**
 * Follows a growing wheel from one local header to the next. Nothing here is trusted or reported: the caller that has checked the
 * whole wheel compares each file with its size and hash, and unpacks again what is missing or differs.
 */
export class StreamingUnpack {
  readonly #options: StreamingOptions;
  readonly #stop = new AbortController();
  readonly #files = new Map<string, StreamedFile>();
  #work: Promise<void> | undefined;
  #complete = false;
  /** The bytes of the wheel from a position on, of which headers are read. */
  #block = Buffer.alloc(0);
  #start = 0;

  constructor(options: StreamingOptions) {
    this.#options = options;
  }

  /** Begins to unpack the wheel that is arriving at that path. Further calls have no effect. */
  follow(wheel: string): void {
    if (this.#complete) return;
    // An error, such as a full disk, is for the caller's own unpacking to find and report.
    this.#work ??= this.#unpack(wheel).catch(() => this.#remove());
  }

  /** Unpacks the rest, after the last byte has arrived. Returns the files by their name in the wheel. */
  async finish(): Promise<ReadonlyMap<string, StreamedFile>> {
    this.#complete = true;
    await this.#work;
    return this.#files;
  }

  /** Stops, and removes the files that were not moved away. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.finish();
    await this.#remove();
  }

  async #remove(): Promise<void> {
    this.#files.clear();
    await fs.rm(this.#options.directory, { recursive: true, force: true });
  }

  async #unpack(wheel: string): Promise<void> {
    const { place, directory } = this.#options;
    const { signal } = this.#stop;
    await fs.rm(directory, { recursive: true, force: true });
    const handle = await fs.open(wheel);
    try {
      let total = 0;
      for (let at = 0; ;) {
        const header = await this.#read(handle, at, HEADER_BYTES);
        if (header?.readUInt32LE(0) !== SIGNATURE) return;
        const [flags, method] = [header.readUInt16LE(6), header.readUInt16LE(8)];
        const [packed, size] = [header.readUInt32LE(18), header.readUInt32LE(22)];
        const [nameBytes, extraBytes] = [header.readUInt16LE(26), header.readUInt16LE(28)];
        if ((flags & UNSUPPORTED_FLAGS) !== 0 || packed === ZIP64 || size === ZIP64) return;
        const name = (await this.#read(handle, at + HEADER_BYTES, nameBytes))?.toString("utf8");
        if (name === undefined) return;
        const start = at + HEADER_BYTES + nameBytes + extraBytes;
        at = start + packed;
        const target = place(name);
        if (target === undefined || ![STORED, DEFLATED].includes(method) || this.#files.has(name)) continue;
        if ((total += size) > MOST_BYTES) return;
        const file = placeIn(directory, target);
        const source = Readable.from(this.#blocks(handle, start, at), {
          objectMode: false,
          highWaterMark: BLOCK,
        });
        const sha256 = await writeEntry({ name, size, source, deflated: method === DEFLATED }, file, {
          signal,
        });
        this.#files.set(name, { file, size, sha256 });
      }
    } finally {
      await handle.close();
    }
  }

  /** Bytes from one position to another, as they arrive. */
  async *#blocks(handle: fs.FileHandle, start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at < end;) {
      const block = await this.#some(handle, at, Math.min(BLOCK, end - at));
      if (block === undefined) throw new Error("it ends too early");
      at += block.length;
      yield block;
    }
  }

  /**
   * Exactly that many bytes; undefined if the wheel ends before. Blocks are read ahead: asking the system for each of 15,000
   * headers takes ten seconds.
   */
  async #read(handle: fs.FileHandle, position: number, length: number): Promise<Buffer | undefined> {
    const from = position - this.#start;
    if (from >= 0 && from + length <= this.#block.length) return this.#block.subarray(from, from + length);
    const parts: Buffer[] = [];
    for (let have = 0; have < length;) {
      const part = await this.#some(handle, position + have, BLOCK);
      if (part === undefined) return undefined;
      parts.push(part);
      have += part.length;
    }
    this.#start = position;
    this.#block = Buffer.concat(parts);
    return this.#block.subarray(0, length);
  }

  /** At least one byte, at most `length`, as soon as there are any; undefined at the wheel's end. */
  async #some(handle: fs.FileHandle, position: number, length: number): Promise<Buffer | undefined> {
    for (;;) {
      // Asked first: bytes that arrive between a reading and this would be lost.
      const complete = this.#complete;
      const block = Buffer.allocUnsafe(length);
      const { bytesRead } = await handle.read(block, 0, length, position);
      if (bytesRead > 0) {
        if (complete) this.#options.onProgress?.(Math.min(1, position / (await handle.stat()).size));
        return block.subarray(0, bytesRead);
      }
      if (complete) return undefined;
      await sleep(WAIT, undefined, { signal: this.#stop.signal });
    }
  }
}
