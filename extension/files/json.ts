import { clipped } from "../protocol/text/clip.ts";
import * as v from "valibot";
import { FileError } from "./fileError.ts";

/** Most parts of a text, which take time and memory in proportion to their number. */
export interface JsonParts {
  /** Values, but for the first of each list and object. A million whole numbers take 20 ms. */
  readonly values: number;
  /** Objects and lists: each takes many times the two bytes that it has in the text. */
  readonly containers: number;
  /** Names of values in objects: a new one takes 1 µs. */
  readonly keys: number;
  /** Texts, with those names. */
  readonly texts: number;
  /** Numbers with a fraction take 0.2 µs. */
  readonly fractions: number;
}

/** What counts parts: bytes that each of them has, and what to call them. Texts may have these too, so it counts too many. */
const MARKS: readonly (readonly [part: keyof JsonParts, bytes: string, name: string])[] = [
  ["containers", "[{", "objects and lists"],
  ["values", ",", "values"],
  ["keys", ":", "names of values"],
  ["texts", '"', "texts"],
  ["fractions", ".", "fractions"],
];

const ANY: Partial<JsonParts> = { containers: 2 ** 20 };

/** @throws FileError "too-large" */
function demandParts(path: string, bytes: Uint8Array, most: Partial<JsonParts>): void {
  const counts = new Uint32Array(256);
  // A loop over an iterator takes five times as long.
  for (let i = 0; i < bytes.length; i++) counts[bytes[i]!]!++;
  for (const [part, marks, name] of MARKS) {
    const limit = most[part] ?? Infinity;
    let count = 0;
    for (const mark of marks) count += counts[mark.charCodeAt(0)]!;
    if (part === "texts") count /= 2;
    if (count > limit)
      throw new FileError(
        path,
        "too-large",
        `the file has more than ${limit.toLocaleString("en-US")} ${name}`,
      );
  }
}

/** Most characters of a problem, which may quote what was found. */
const PROBLEM = 300;

/**
 * Parses and checks JSON that may be a stranger's, in memory that is in proportion to its length.
 * @param most most parts; by default only a million objects and lists
 * @throws FileError "too-large" for more of them; SyntaxError; Error saying the first thing that is not as the schema has it
 */
export function checkedJson<T>(
  path: string,
  bytes: Uint8Array,
  schema: v.GenericSchema<unknown, T>,
  most: Partial<JsonParts> = {},
): T {
  demandParts(path, bytes, { ...ANY, ...most });
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
