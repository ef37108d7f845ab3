import * as v from "valibot";
import { firstIssue } from "../../files/json.ts";
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

/** The last records of a run's file of JSON lines. Lines that are none, such as a torn one, are left out. */
export async function readLastRecords<T>(
  directory: string,
  name: string,
  schema: v.GenericSchema<unknown, T>,
  most: number,
): Promise<T[]> {
  const lines = (await readTail(directory, name)).split("\n").filter((line) => line.trim() !== "");
  return lines.slice(-most).flatMap((line) => {
    try {
      const checked = firstIssue(schema, JSON.parse(line));
      return checked.success ? [checked.output] : [];
    } catch {
      return [];
    }
  });
}
