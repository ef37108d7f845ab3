// Limits for reading other tools' files, which may be a stranger's.
import { FileError } from "../../files/fileError.ts";
import { isInherited } from "../../protocol/data/own.ts";

/** Most runs of one import. */
export const MOST_RUNS = 500;
/** Most metrics, parameters and tags of a run. */
export const MOST_SERIES = 1000;
export const MOST_NOTES = 200;
/** Values of a metric that are kept: a screen shows a tenth of it. */
export const MOST_POINTS = 20_000;
/** Values of a run that are read. */
export const MOST_VALUES = 20_000_000;
/** Pictures and histograms of a run. */
export const MOST_PICTURES = 200;
export const MOST_HISTOGRAMS = 20_000;
/** Most problems of a run that are reported. */
export const MOST_PROBLEMS = 20;
/** Entries of folders that are searched, and how deep. */
export const MOST_ENTRIES = 50_000;
export const DEEPEST = 12;
/** Characters of a name or a text. */
export const LONGEST_NAME = 200;
export const LONGEST_TEXT = 1000;
/** Bytes of a database, which SQLite has in its memory. */
export const MOST_DATABASE = 512 * 2 ** 20;

/** The latest time that a date can have, in seconds since 1970. */
const LATEST = 8.64e12;

/** A time in seconds since 1970; undefined if it is invalid. */
export function timeOf(seconds: number | undefined): number | undefined {
  return seconds !== undefined && Number.isFinite(seconds) && seconds > 0 && seconds < LATEST
    ? seconds
    : undefined;
}

/** A name, cut to the shown length; undefined if a record can't have it. */
export function nameOf(name: string): string | undefined {
  const short = name.slice(0, LONGEST_NAME);
  return short === "" || isInherited(short) ? undefined : short;
}

/** A refusal of a file that says what is wrong with it. */
export class ForeignError extends Error {
  override readonly name = "ForeignError";

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
  }
}

/** An error's message, with the path that it is about. */
export function problemOf(path: string, error: unknown): string {
  if (error instanceof ForeignError || error instanceof FileError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  return message.includes(path) ? message : `${path}: ${message}`;
}
