// Stores the files that other machines send, by their content, and assembles the files of runs from them.
import { createHash, randomBytes } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import {
  access,
  chmod,
  copyFile,
  link,
  lstat,
  open,
  readdir,
  rename,
  rm,
  utimes,
  type FileHandle,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolder } from "../../files/folders.ts";
import { inside } from "../../files/inside.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { SentFile } from "../../remote/messages.ts";

/** Modification time of complete files. A program that changes one changes its time, and the file is sent again. */
const WHOLE = 1;
/** Files from this size on are linked into a run, read-only; smaller ones are copied. */
const LINKED = 2 ** 20;

/** Names of incomplete files, and milliseconds after whose last change their agent has ended. */
const TEMPORARY = /^\.[0-9a-f]{16}\.tmp$/;
const ABANDONED = 3_600_000;

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** A file that is being received. */
interface Writing {
  hash: string;
  handle: FileHandle;
  path: string;
  at: number;
}

export class Store {
  readonly #folder: string;
  #writing: Writing | undefined;

  /** @param folder exists */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Removes incomplete files of killed agents. Those of other connections are younger. */
  async sweep(): Promise<void> {
    for (const name of ["files", "packages"]) {
      const folder = join(this.#folder, name);
      for (const entry of await readdir(folder).catch(() => []))
        if (TEMPORARY.test(entry)) await this.#removeOld(join(folder, entry)).catch(() => undefined);
    }
  }

  async #removeOld(path: string): Promise<void> {
    // The modification time of a complete file means something else.
    const { ctimeMs } = await lstat(path);
    if (Date.now() - ctimeMs > ABANDONED) await rm(path, { recursive: true, force: true });
  }

  /** Which of these contents are not here. */
  async missing(hashes: readonly string[]): Promise<string[]> {
    const found = await Promise.all(hashes.map(async (hash) => ((await this.#has(hash)) ? [] : [hash])));
    return found.flat();
  }

  /** Appends a part of a file. After the last one, the hash is checked. */
  async put(hash: string, offset: number, last: boolean, bytes: Uint8Array): Promise<void> {
    if (offset === 0) {
      await this.close();
      await makeFolder(join(this.#folder, "files"), 0o700);
      const path = join(this.#folder, "files", `.${randomBytes(8).toString("hex")}.tmp`);
      this.#writing = { hash, handle: await open(path, "wx", 0o600), path, at: 0 };
    }
    const writing = this.#writing;
    if (writing === undefined || writing.hash !== hash || writing.at !== offset)
      throw new EngineError({ code: "remote-files", message: "Parts of a file arrived in the wrong order." });
    for (let done = 0; done < bytes.length;)
      done += (await writing.handle.write(bytes, done, bytes.length - done)).bytesWritten;
    writing.at += bytes.length;
    if (last) await this.#complete(writing);
  }

  async #complete({ hash, handle, path }: Writing): Promise<void> {
    await handle.sync();
    await handle.close();
    this.#writing = undefined;
    if ((await hashOfFile(path)) !== hash) {
      await rm(path, { force: true });
      throw new EngineError({
        code: "remote-files",
        message: "A file has changed while it was sent. Start again.",
      });
    }
    const file = this.#path(hash);
    await makeFolder(dirname(file), 0o700);
    await chmod(path, 0o444);
    await utimes(path, WHOLE, WHOLE);
    await rename(path, file);
  }

  /** Drops an incomplete file. */
  async close(): Promise<void> {
    const writing = this.#writing;
    this.#writing = undefined;
    await writing?.handle.close().catch(() => undefined);
    if (writing !== undefined) await rm(writing.path, { force: true });
  }

  /** Creates the folder of a version's programs, once. Its name is the hash of its content. */
  async layPackage(id: string, files: readonly SentFile[]): Promise<void> {
    const folder = join(this.#folder, "packages", id);
    if (await isThere(folder)) return;
    const temporary = join(this.#folder, "packages", `.${randomBytes(8).toString("hex")}.tmp`);
    await makeFolder(temporary, 0o700);
    try {
      for (const { path, hash } of files) await this.#lay(temporary, path, hash, true);
      await rename(temporary, folder);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      // Another connection was faster.
      if (!(await isThere(folder))) throw error;
    }
  }

  /** Puts files into a run's folder. Those that exist are replaced. */
  async layRun(folder: string, files: readonly SentFile[]): Promise<void> {
    await makeFolder(folder, 0o700);
    for (const { path, hash } of files) await this.#lay(folder, path, hash, false);
  }

  async #lay(folder: string, name: string, hash: string, whole: boolean): Promise<void> {
    const target = await inside(folder, name);
    const source = this.#path(hash);
    await makeFolder(dirname(target), 0o700);
    await rm(target, { force: true });
    const { size } = await lstat(source);
    if (whole || size >= LINKED)
      try {
        return await link(source, target);
      } catch {
        // A file system without links.
      }
    await copyFile(source, target, constants.COPYFILE_FICLONE);
    await chmod(target, 0o644);
  }

  async #has(hash: string): Promise<boolean> {
    try {
      const stats = await lstat(this.#path(hash));
      return stats.isFile() && stats.mtimeMs === WHOLE * 1000;
    } catch {
      return false;
    }
  }

  #path(hash: string): string {
    return join(this.#folder, "files", hash.slice(0, 2), hash);
  }
}

export async function hashOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest("hex");
}
