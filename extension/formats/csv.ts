import { CsvError, parse } from "csv-parse/sync";
import type { CsvFormat, CsvTable } from "../nn/data/access.ts";
import { TensorError } from "../tensor/core/errors.ts";

/** Most rows and cells of a table: a row takes some hundred bytes of memory, whatever is in it. */
const MAX_ROWS = 2 ** 23;
const MAX_CELLS = 2 ** 26;

/**
 * Parses a table of comma-separated values (RFC 4180): cells may be quoted, quotes in them are doubled, empty lines are
 * skipped, and spaces around cells are no part of them. A quote within a cell that doesn't begin with one is a
 * character like others, as in Python.
 * @param file Named in errors
 * @returns the rows, up to the first that can't be read
 * @throws TensorError for a table of too many rows or cells
 */
export function parseCsv(file: string, text: string, { delimiter = ",", comment }: CsvFormat = {}): CsvTable {
  const rows: string[][] = [];
  /** Number of the line that each row ends on. */
  const ends: number[] = [];
  let cells = 0;
  // Numbers and cells of a row are kept, not their places: few are ever named in an error.
  const positions = (row: number): Position[] => {
    const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
    // A record begins after the one before it, after empty lines and comments.
    let line = row === 0 ? 0 : ends[row - 1]!;
    while (line + 1 < (ends[row] ?? lines.length) && isSkipped(lines[line] ?? "", comment)) line++;
    return positionsFrom(lines, line, delimiter);
  };
  const place = (at: Position): string => `${file}:${at.line}:${at.column}`;
  let error: TensorError | undefined;
  try {
    parse(text, {
      delimiter,
      ...(comment === undefined ? {} : { comment }),
      bom: true,
      // Takes each record at once: kept until the end, their circumstances take more memory than they do.
      on_record(record: string[], { lines }) {
        cells += record.length;
        if (rows.length === MAX_ROWS) throw tooMany(file, MAX_ROWS, "rows");
        if (cells > MAX_CELLS) throw tooMany(file, MAX_CELLS, "cells");
        rows.push(record);
        ends.push(lines);
        return null;
      },
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      trim: true,
    });
  } catch (reason) {
    if (!(reason instanceof CsvError)) throw reason;
    const bad = positions(rows.length).find(({ closed, more }) => !closed || more !== undefined);
    error = new TensorError(
      "file",
      bad === undefined
        ? `${file}:${(ends.at(-1) ?? 0) + 1}:1: ${reason.message}`
        : bad.closed
          ? `${place(bad)}: this cell ends with a quote on line ${bad.more}, but other characters follow`
          : `${place(bad)}: the quote that begins this cell is never closed`,
      bad?.closed === true ? "is its closing quote missing? Quotes in a quoted cell are doubled" : undefined,
    );
  }
  return {
    rows,
    error,
    place(row, cell) {
      const all = positions(row);
      return place(all[cell] ?? all.at(-1)!);
    },
  };
}

function tooMany(file: string, limit: number, what: string): TensorError {
  return new TensorError("file", `${file}: more than ${limit.toLocaleString("en-US")} ${what}, the limit`);
}

function isSkipped(line: string, comment: string | undefined): boolean {
  const content = line.trim();
  return content === "" || (comment !== undefined && content.startsWith(comment));
}

/** Where a cell begins, counted from 1, and whether the quote that it begins with is closed. */
interface Position {
  readonly line: number;
  readonly column: number;
  closed: boolean;
  /** The line on which characters follow the closing quote. */
  more?: number;
}

/** Where the cells of the record begin that begins on a line, counted from 0. */
function positionsFrom(lines: readonly string[], first: number, delimiter: string): Position[] {
  const found: Position[] = [];
  let [line, at] = [first, 0];
  for (;;) {
    const text = lines[line] ?? "";
    while (text[at] === " ") at++;
    const position: Position = { line: line + 1, column: at + 1, closed: text[at] !== '"' };
    found.push(position);
    if (!position.closed) {
      at++;
      // To the quote that is not doubled, which may be on another line.
      while (!position.closed) {
        const quote = lines[line]!.indexOf('"', at);
        if (quote < 0 && line + 1 >= lines.length) return found;
        if (quote < 0) [line, at] = [line + 1, 0];
        else if (lines[line]![quote + 1] === '"') at = quote + 2;
        else [position.closed, at] = [true, quote + 1];
      }
    }
    const next = (lines[line] ?? "").indexOf(delimiter, at);
    const rest = (lines[line] ?? "").slice(at, next < 0 ? undefined : next);
    if (text[position.column - 1] === '"' && rest.trim() !== "") position.more = line + 1;
    if (next < 0) return found;
    at = next + delimiter.length;
  }
}
