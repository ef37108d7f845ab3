import fs from "node:fs";
import type { ParquetFacts, ParquetFile } from "../../nn/data/access.ts";
import { reading } from "./threads.ts";

/** Facts of the files opened last, each with a stamp of its file: a preview opens its data at every keystroke. */
const known = new Map<string, { stamp: string; facts: ParquetFacts }>();
const MAX_KNOWN = 16;

/** Opens a Parquet file; threads read its row groups. @throws the file system's error; TensorError for other files */
export function openParquet(path: string): ParquetFile {
  const { mtimeMs, size } = fs.statSync(path);
  const stamp = `${mtimeMs} ${size}`;
  const before = known.get(path);
  const facts =
    before?.stamp === stamp ? before.facts : reading("parquet", { file: path }, { subject: path }).take();
  known.delete(path);
  known.set(path, { stamp, facts });
  for (const [oldest] of known) if (known.size > MAX_KNOWN) known.delete(oldest);
  return {
    ...facts,
    path,
    read: (group, columns, limit = facts.groups[group]?.rows ?? 0) =>
      reading("rowGroup", { file: path, group, columns, limit }, { subject: path }),
  };
}
