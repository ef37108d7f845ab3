import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import v8 from "node:v8";
import { Script } from "node:vm";
import { makeFolderSync } from "../files/folders.ts";
import { writeAtomic } from "../files/writeAtomic.ts";

/** Files kept of one program: for other versions of it or of Node, and other options. */
const KEPT = 4;
/** How many times as much compiled code a process must have as the file, to replace it, which takes 40 ms. Another kind of network has some 4 % more. */
const GROWTH = 1.02;

const DIGEST_BYTES = 32;
/** The digest of all that follows, and the bytes of compiled code in the process that wrote it. */
const HEADER_BYTES = DIGEST_BYTES + 8;

const digestOf = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

/**
 * The functions that V8 has compiled for a program, in a file of the user's cache folder. A process that starts with them doesn't
 * parse and compile them again, which is a third of the time that a program takes to start, and a quarter of a training's first step.
 *
 * V8 refuses code of another version or of other options itself, but checks neither the source nor the data: the file's name has a hash
 * of the source, and its first bytes are a hash of the rest.
 */
export class CompiledCode {
  readonly #folder: string;
  readonly #program: string;
  readonly #file: string;
  #compiled = 0;

  /** @param program such as "cli" */
  constructor(folder: string, program: string, source: Uint8Array) {
    this.#folder = folder;
    this.#program = program;
    const version = v8.cachedDataVersionTag().toString(16);
    this.#file = path.join(folder, `${program}-${digestOf(source).toString("hex")}-${version}`);
  }

  /** The program, with the code that the file has for it, if V8 takes that. */
  compile(source: string, filename: string): Script {
    const cachedData = this.#read();
    const script = new Script(source, { filename, ...(cachedData !== undefined && { cachedData }) });
    // Else it would never be replaced.
    if (script.cachedDataRejected === true) this.#compiled = 0;
    return script;
  }

  /** V8's data; undefined if there is none that is whole. */
  #read(): Buffer | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#file);
    } catch {
      return undefined;
    }
    if (bytes.length <= HEADER_BYTES) return undefined;
    if (!digestOf(bytes.subarray(DIGEST_BYTES)).equals(bytes.subarray(0, DIGEST_BYTES))) return undefined;
    this.#compiled = bytes.readDoubleLE(DIGEST_BYTES);
    return bytes.subarray(HEADER_BYTES);
  }

  /** Writes what has been compiled by now, if it is more than what the file has. Where it can't be written, programs start slower. */
  keep(script: Script): void {
    const { bytecode_and_metadata_size: compiled } = v8.getHeapCodeStatistics();
    if (compiled < GROWTH * this.#compiled) return;
    this.#compiled = compiled;
    try {
      const size = Buffer.alloc(HEADER_BYTES - DIGEST_BYTES);
      size.writeDoubleLE(compiled);
      const content = Buffer.concat([size, script.createCachedData()]);
      makeFolderSync(this.#folder);
      writeAtomic(this.#file, [digestOf(content), content], { flush: false });
      this.#removeOld();
    } catch {
      // Such as a full disk.
    }
  }

  #removeOld(): void {
    const old = readdirSync(this.#folder)
      .filter((name) => name.startsWith(`${this.#program}-`))
      .map((name) => path.join(this.#folder, name))
      .map((file) => ({ file, written: statSync(file).mtimeMs }))
      .sort((a, b) => b.written - a.written);
    for (const { file } of old.slice(KEPT)) rmSync(file, { force: true });
  }
}
