import { clipped } from "../protocol/text/clip.ts";
import * as v from "valibot";
import { FileError } from "./fileError.ts";

/** Most objects and lists in a text: each takes many times the two bytes that it has there. */
const CONTAINERS = 2 ** 20;
/** Most characters of a problem, which may quote what was found. */
const PROBLEM = 300;

/**
 * Parses and checks JSON that may be a stranger's, in memory that is in proportion to its length.
 * @param values Most values; no limit by default
 * @throws FileError "too-large" for more values, or more than a million objects and lists; SyntaxError; Error saying the first thing that
 * is not as the schema has it
 */
export function checkedJson<T>(
  path: string,
  bytes: Uint8Array,
  schema: v.GenericSchema<unknown, T>,
  values = Infinity,
): T {
  let containers = 0;
  let commas = 0;
  for (const byte of bytes) {
    if (byte === 0x5b || byte === 0x7b) containers++;
    else if (byte === 0x2c) commas++;
  }
  const refuse = (most: number, of: string): never => {
    throw new FileError(path, "too-large", `the file has more than ${most.toLocaleString("en-US")} ${of}`);
  };
  if (containers > CONTAINERS) refuse(CONTAINERS, "objects and lists");
  if (commas > values) refuse(values, "values");
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  const checked = firstIssue(schema, JSON.parse(text));
  if (checked.success) return checked.output;
  throw new Error(clipped(v.summarize(checked.issues), PROBLEM));
}

/**
 * Parses and checks a line of a stranger's file, in a moment: objects with very many names take most of the time.
 * @param names Most names of fields, in the line and in its texts
 * @returns undefined for a line that is invalid, or has more names
 */
export function checkedLine<T>(
  line: string,
  schema: v.GenericSchema<unknown, T>,
  names: number,
): T | undefined {
  let count = 0;
  for (let at = line.indexOf(":"); at >= 0; at = line.indexOf(":", at + 1))
    if (++count > names) return undefined;
  try {
    const checked = firstIssue(schema, JSON.parse(line));
    return checked.success ? checked.output : undefined;
  } catch {
    return undefined;
  }
}

/** Checks a stranger's value. Only the first issue is kept: a list of a million has as many. */
export function firstIssue<T>(
  schema: v.GenericSchema<unknown, T>,
  value: unknown,
): v.SafeParseResult<v.GenericSchema<unknown, T>> {
  return v.safeParse(schema, value, { abortEarly: true });
}
