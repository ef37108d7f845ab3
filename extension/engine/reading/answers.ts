import { statSync } from "node:fs";
import { ParquetReader } from "../../formats/parquet.ts";
import type { ParquetCells } from "../../nn/data/access.ts";
import type { ReadingAnswer, ReadingRequest } from "./messages.ts";

/** Most files that a thread keeps open. */
const MOST_OPEN = 16;

/** Files in use, the newest last, with what says that they are still the same. */
const open = new Map<string, { stamp: string; reader: ParquetReader }>();

/** An answer, and the memory in it that is handed over. */
export interface Reply {
  answer: ReadingAnswer;
  transfer: ArrayBuffer[];
}

/** Reads what is asked for. @param alive Called whenever it gets on */
export async function answerTo(request: ReadingRequest, alive: () => void): Promise<Reply> {
  const { id } = request;
  try {
    if (request.kind === "parquet")
      return { answer: { id, value: readerOf(request.file).facts }, transfer: [] };
    const value = await readerOf(request.file).read(request.group, request.columns, request.limit, alive);
    return { answer: { id, value }, transfer: value.map(memoryOf) };
  } catch (error) {
    return { answer: { id, error: error instanceof Error ? error.message : String(error) }, transfer: [] };
  }
}

function memoryOf(cells: ParquetCells): ArrayBuffer {
  return ("numbers" in cells ? cells.numbers : cells.indices).buffer as ArrayBuffer;
}

function readerOf(file: string): ParquetReader {
  const { mtimeMs, size, ino } = statSync(file);
  const stamp = [mtimeMs, size, ino].join(" ");
  const known = open.get(file);
  open.delete(file);
  if (known !== undefined && known.stamp !== stamp) known.reader.close();
  const reader = known?.stamp === stamp ? known.reader : new ParquetReader(file);
  open.set(file, { stamp, reader });
  for (const [oldest, { reader: old }] of open) {
    if (open.size <= MOST_OPEN) break;
    old.close();
    open.delete(oldest);
  }
  return reader;
}
