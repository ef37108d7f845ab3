import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { checkedLine } from "../../files/json.ts";
import { openRegular } from "../../files/regular.ts";
import { runPath } from "../../files/runFiles.ts";
import { isMissing } from "../../files/fileError.ts";

/** Bytes that are read of the end of a file. */
const TAIL = 4 * 2 ** 20;

/** The end of a run's file of lines, as text, from its first whole line on. Empty where there is no such file. */
export async function readTail(directory: string, name: string, bytes = TAIL): Promise<string> {
  const handle = await runPath(directory, name)
    .then((path) => openRegular(path))
    .catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
  if (handle === undefined) return "";
  try {
    const { size } = await handle.stat();
    const tail = Buffer.alloc(Math.min(bytes, size));
    const { bytesRead } = await handle.read(tail, 0, tail.length, size - tail.length);
    const text = tail.subarray(0, bytesRead).toString("utf8");
    return size > bytes ? text.slice(text.indexOf("\n") + 1) : text;
  } finally {
    await handle.close();
  }
}

/** Characters of a line, at most; and how many are read before others have their turn. */
const LONGEST = 2 ** 20;
const AT_ONCE = 2 ** 18;

/**
 * The last records of a run's file of JSON lines. Lines that are none, such as a torn one, are left out.
 * @param names Most names of fields in a record: a stranger's may have very many
 */
export async function readLastRecords<T>(
  directory: string,
  name: string,
  schema: v.GenericSchema<unknown, T>,
  { most, names }: { most: number; names: number },
): Promise<T[]> {
  const lines = (await readTail(directory, name)).split("\n").filter((line) => line.trim() !== "");
  const records: T[] = [];
  let read = 0;
  for (const line of lines.slice(-most)) {
    const record = line.length > LONGEST ? undefined : checkedLine(line, schema, names);
    if (record !== undefined) records.push(record);
    read += line.length;
    if (read < AT_ONCE) continue;
    read = 0;
    await setImmediate();
  }
  return records;
}
