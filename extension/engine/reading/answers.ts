import { statSync } from "node:fs";
import { readRegularSync } from "../../files/regular.ts";
import { readImage } from "../../formats/images/image.ts";
import { ParquetReader } from "../../formats/parquet.ts";
import { decodeSample } from "../../formats/sampleFiles.ts";
import { tarSamples } from "../../formats/tarSamples.ts";
import type { DecodedFile, ParquetCells, RawSample } from "../../nn/data/access.ts";
import { toPlanes } from "../../nn/data/planes.ts";
import type { ReadingAnswer, ReadingKind, ReadingRequest, Readings } from "./messages.ts";

/** Most Parquet files that a thread keeps open. */
const MOST_OPEN = 16;
/** Bytes and samples of a tar file that are sent together. */
const CHUNK_BYTES = 2 ** 22;
const CHUNK_SAMPLES = 256;

/** Bytes of an image's file. */
const MAX_IMAGE = 2 ** 30;

/** An answer, and the memory in it that is handed over. */
export interface Reply {
  answer: ReadingAnswer;
  transfer: ArrayBuffer[];
}

type Result<K extends ReadingKind> = {
  value: Readings[K]["answer"];
  transfer?: readonly Uint8Array["buffer"][];
};

/** Reads the requested rows. @param alive Called at each progress */
export async function answerTo(request: ReadingRequest, alive: () => void): Promise<Reply> {
  const { id } = request;
  try {
    const { value, transfer = [] } = await resultOf(request, alive);
    return { answer: { id, value }, transfer: [...new Set(transfer)] as ArrayBuffer[] };
  } catch (error) {
    return { answer: { id, error: messageOf(error) }, transfer: [] };
  }
}

async function resultOf(request: ReadingRequest, alive: () => void): Promise<Result<ReadingKind>> {
  switch (request.kind) {
    case "parquet":
      return { value: readerOf(request.file).facts };
    case "rowGroup": {
      const { file, group, columns, limit } = request;
      const value = readerOf(file).read(group, columns, limit, alive);
      return { value, transfer: value.map(cellsMemory) };
    }
    case "samples":
      return nextSamples(request.stream, request.file, alive);
    case "closed": {
      const samples = streams.get(request.stream);
      streams.delete(request.stream);
      await samples?.return(undefined);
      return { value: undefined };
    }
    case "image": {
      const bytes = readRegularSync(request.file, { limit: MAX_IMAGE, follow: true });
      const image = readImage(request.file, bytes);
      const planes = toPlanes(image, request.channels);
      const value = { planes, shape: [request.channels, image.height, image.width] as const };
      return { value, transfer: [planes.buffer] };
    }
    case "decoded": {
      const value = decodeSample(request.shard, request.sample, request.wanted, request.channels);
      return { value, transfer: value.flatMap(fileMemory) };
    }
  }
}

const cellsMemory = (cells: ParquetCells): Uint8Array["buffer"] =>
  ("numbers" in cells ? cells.numbers : cells.indices).buffer;

function fileMemory(file: DecodedFile): Uint8Array["buffer"][] {
  if ("planes" in file) return [file.planes.buffer];
  if ("array" in file) return [file.array.values.buffer];
  return file.value instanceof Uint8Array ? [file.value.buffer] : [];
}

const sampleMemory = ({ bytes }: RawSample): Uint8Array["buffer"] => bytes.buffer;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Tar files that are being read, by the number of their stream. */
const streams = new Map<number, AsyncGenerator<RawSample>>();

async function nextSamples(stream: number, file: string, alive: () => void): Promise<Result<"samples">> {
  let open = streams.get(stream);
  if (open === undefined) streams.set(stream, (open = tarSamples(file, alive)));
  const samples: RawSample[] = [];
  for (let bytes = 0; bytes < CHUNK_BYTES && samples.length < CHUNK_SAMPLES;) {
    const next = await open.next().catch((error: unknown) => messageOf(error));
    if (typeof next === "string" || next.done === true) {
      streams.delete(stream);
      const failure = typeof next === "string" ? { failure: next } : {};
      return { value: { samples, done: true, ...failure }, transfer: samples.map(sampleMemory) };
    }
    samples.push(next.value);
    bytes += next.value.bytes.length;
  }
  return { value: { samples, done: false }, transfer: samples.map(sampleMemory) };
}

/** Parquet files in use, the newest last, with what says that they are still the same. */
const files = new Map<string, { stamp: string; reader: ParquetReader }>();

function readerOf(file: string): ParquetReader {
  const { mtimeMs, size, ino } = statSync(file);
  const stamp = [mtimeMs, size, ino].join(" ");
  const known = files.get(file);
  files.delete(file);
  if (known !== undefined && known.stamp !== stamp) known.reader.close();
  const reader = known?.stamp === stamp ? known.reader : new ParquetReader(file);
  files.set(file, { stamp, reader });
  for (const [oldest, { reader: old }] of files) {
    if (files.size <= MOST_OPEN) break;
    old.close();
    files.delete(oldest);
  }
  return reader;
}
