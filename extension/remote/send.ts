import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { EngineError } from "../protocol/errors.ts";
import { CHUNK, type SentFile } from "./messages.ts";
import { hashOf, megabytes, packageFiles, type LocalFile } from "./files.ts";
import type { Machine } from "./machine.ts";

/** Most hashes of one call: messages stay small. */
const ASKED = 10_000;

export interface SendOptions {
  signal: AbortSignal;
  /** Called with the bytes sent so far, and the bytes of all. */
  progress: (sent: number, total: number) => void;
}

/** The result of {@link sendFiles}. */
export interface Sent {
  files: SentFile[];
  /** Bytes that were sent, and bytes that were there already. */
  bytes: number;
  known: number;
}

/** Sends files by their content: contents that the machine has are not sent again. */
export async function sendFiles(
  machine: Machine,
  files: readonly LocalFile[],
  { signal, progress }: SendOptions,
): Promise<Sent> {
  const hashed: (LocalFile & { hash: string })[] = [];
  for (const file of files) {
    signal.throwIfAborted();
    hashed.push({ ...file, hash: await hashOf(file) });
  }
  const byHash = new Map(hashed.map((file) => [file.hash, file]));
  const missing = new Set<string>();
  const hashes = [...byHash.keys()];
  for (let at = 0; at < hashes.length; at += ASKED) {
    const { value } = await machine.call("missing", { hashes: hashes.slice(at, at + ASKED) });
    for (const hash of value) if (byHash.has(hash)) missing.add(hash);
  }
  const due = [...missing].map((hash) => byHash.get(hash)!);
  const total = due.reduce((sum, { size }) => sum + size, 0);
  const all = [...byHash.values()].reduce((sum, { size }) => sum + size, 0);
  let bytes = 0;
  for (const file of due)
    for await (const { chunk, offset, last } of chunksOf(file)) {
      signal.throwIfAborted();
      await machine.call("put", { hash: file.hash, offset, last }, chunk);
      bytes += chunk.length;
      progress(bytes, total);
    }
  return { files: hashed.map(({ path, hash }) => ({ path, hash })), bytes, known: all - total };
}

async function* chunksOf({
  from,
  path,
}: LocalFile): AsyncGenerator<{ chunk: Buffer; offset: number; last: boolean }> {
  if ("text" in from) {
    const bytes = Buffer.from(from.text);
    for (let offset = 0; offset === 0 || offset < bytes.length; offset += CHUNK)
      yield { chunk: bytes.subarray(offset, offset + CHUNK), offset, last: offset + CHUNK >= bytes.length };
    return;
  }
  const handle = await open(from.file, "r");
  try {
    const { size } = await handle.stat();
    for (let offset = 0; offset === 0 || offset < size; offset += CHUNK) {
      const chunk = Buffer.alloc(Math.min(CHUNK, size - offset));
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset);
      if (bytesRead < chunk.length)
        throw new EngineError({ code: "remote-files", message: `${path} has changed while it was sent.` });
      yield { chunk, offset, last: offset + CHUNK >= size };
    }
  } finally {
    await handle.close();
  }
}

/** A machine with this version's programs on it. */
export interface Prepared {
  /** The folder there for all files. */
  folder: string;
  /** The folder there of this version's programs. */
  dist: string;
  /** The package's id there. */
  id: string;
}

/** Sends this version's programs to a machine, unless they are there. */
export async function preparePackage(
  machine: Machine,
  dist: string,
  options: SendOptions & { say: (text: string) => void },
): Promise<Prepared> {
  const { name, folder } = machine.target;
  const { value } = await machine.call("open", folder === undefined ? {} : { folder });
  const { files, bytes } = await sendFiles(machine, await packageFiles(dist), options);
  const id = createHash("sha256")
    .update(files.map(({ path, hash }) => `${hash} ${path}\n`).join(""))
    .digest("hex");
  await machine.call("layPackage", { id, files });
  if (bytes > 0) options.say(`Sent Layerwise to ${name}: ${megabytes(bytes)}.`);
  return { folder: value.folder, dist: `${value.folder}/packages/${id}/dist`, id };
}
