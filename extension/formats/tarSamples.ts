// Samples in tar files, as WebDataset writes them: files one after the other that share a name up to its first dot.
import { createTarDecoder, type ParsedTarEntry, type TarHeader } from "modern-tar";
import type { RawSample } from "../nn/data/access.ts";
import { openSource, type ByteSource } from "./byteSource.ts";

/** Bytes of a file, and of a sample; files of a sample; characters of a name. */
const MAX_FILE = 2 ** 28;
const MAX_SAMPLE = 2 ** 29;
const MAX_FILES = 1000;
const MAX_NAME = 4096;
/** Bytes that are read at a time. */
const CHUNK = 2 ** 20;

interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Reads the samples of a tar file one after the other. Nothing is unpacked.
 * @param alive Called whenever bytes were read
 * @throws Error if it is no tar file or is cut off; for links, devices and strange names in it; for too large files
 */
export async function* tarSamples(file: string, alive: () => void): AsyncGenerator<RawSample> {
  const source = openSource(file, file);
  try {
    let key: string | undefined;
    let members: Member[] = [];
    for await (const { header, body } of entries(source, alive)) {
      const place = placeOf(header);
      if (place === undefined) {
        await body.cancel();
        continue;
      }
      if (place.key !== key) {
        if (key !== undefined) yield joined(key, members);
        [key, members] = [place.key, []];
      }
      if (members.some(({ name }) => name === place.name))
        throw new Error(`the sample "${place.key}" has two files "${place.name}"`);
      if (place.name === "__key__")
        throw new Error(`the sample "${place.key}" has a file "__key__", which is the name of its own key`);
      if (members.length === MAX_FILES)
        throw new Error(`the sample "${place.key}" has more than ${MAX_FILES} files`);
      const before = members.reduce((sum, { bytes }) => sum + bytes.length, 0);
      const limit = Math.min(MAX_FILE, MAX_SAMPLE - before, source.fileBytes);
      if (header.size > limit)
        throw new Error(
          header.size > source.fileBytes
            ? `"${header.name}" has ${count(header.size)} bytes, more than the whole file: it is cut off or damaged`
            : `"${header.name}" has ${count(header.size)} bytes; the limits are ${count(MAX_FILE)} for a file, ${count(MAX_SAMPLE)} for a sample`,
        );
      members.push({ name: place.name, bytes: await bytesOf(body, header.size) });
    }
    if (key !== undefined) yield joined(key, members);
  } finally {
    source.close();
  }
}

async function* entries(source: ByteSource, alive: () => void): AsyncGenerator<ParsedTarEntry> {
  let at = 0;
  const first = source.read(0, 2);
  if (first[0] === 0x1f && first[1] === 0x8b)
    throw new Error("it is compressed by gzip: unpack it, and name the .tar file");
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const bytes = source.read(at, CHUNK);
      at += bytes.length;
      alive();
      if (bytes.length > 0) controller.enqueue(bytes);
      if (bytes.length < CHUNK) controller.close();
    },
  });
  const decoded = stream.pipeThrough(createTarDecoder({ strict: true })).getReader();
  try {
    for (;;) {
      const { done, value } = await decoded.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(at <= CHUNK && /header|number/i.test(reason) ? `no tar file: ${reason}` : reason, {
      cause: error,
    });
  } finally {
    await decoded.cancel().catch(() => undefined);
  }
}

/** The sample of a file, and its name in there; undefined if it has none. @throws Error for links and devices */
function placeOf({ name, type, linkname }: TarHeader): { key: string; name: string } | undefined {
  if (type === "directory") return undefined;
  const shown = JSON.stringify(name.slice(0, 200));
  if (type !== undefined && type !== "file")
    throw new Error(
      type === "symlink" || type === "link"
        ? `${shown} is a link to ${JSON.stringify(linkname?.slice(0, 200) ?? "")}, and links are not followed`
        : `${shown} is a ${type}, and no file`,
    );
  const parts = name.split("/");
  if (name.length > MAX_NAME || name.startsWith("/") || parts.includes("..") || /[\p{Cc}\\]/u.test(name))
    throw new Error(`${shown} is no name of a sample's file`);
  const base = parts.pop()!;
  const dot = base.indexOf(".");
  // WebDataset's own files about the shard, and files without an extension, are part of no sample.
  if (dot <= 0 || /^__.*__$/.test(base.slice(0, dot))) return undefined;
  return { key: [...parts, base.slice(0, dot)].join("/"), name: base.slice(dot + 1).toLowerCase() };
}

async function bytesOf(body: ReadableStream<Uint8Array>, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes;
    bytes.set(value, at);
    at += value.length;
  }
}

/** One piece of memory for a sample, which threads hand over. */
function joined(key: string, members: readonly Member[]): RawSample {
  const bytes = new Uint8Array(members.reduce((sum, one) => sum + one.bytes.length, 0));
  let start = 0;
  const files = members.map(({ name, bytes: own }) => {
    bytes.set(own, start);
    start += own.length;
    return { name, start: start - own.length, length: own.length };
  });
  return { key, files, bytes };
}

const count = (n: number): string => n.toLocaleString("en-US");
