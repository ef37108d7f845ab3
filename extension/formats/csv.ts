import { CsvError, parse } from "csv-parse/sync";
import type { CsvFormat, CsvRow } from "../nn/data/access.ts";
import { TensorError } from "../tensor/core/errors.ts";

/** Most rows and cells of a table: a row takes some hundred bytes of memory, whatever is in it. */
const MAX_ROWS = 2 ** 23;
const MAX_CELLS = 2 ** 26;

/**
 * Parses a table of comma-separated values (RFC 4180): cells may be quoted, quotes in them are doubled, empty lines are
 * skipped, and spaces around cells are no part of them.
 * @param file Named in errors
 * @throws TensorError "file:line:column: …"; for a table of too many rows or cells
 */
export function parseCsv(file: string, text: string, { delimiter = ",", comment }: CsvFormat = {}): CsvRow[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  const rows: CsvRow[] = [];
  let [before, cells] = [0, 0];
  // A record begins after the one before it, after empty lines and comments.
  const add = (record: string[], end: number): void => {
    let line = before;
    while (line + 1 < end && isSkipped(lines[line] ?? "", comment)) line++;
    before = end;
    cells += record.length;
    if (rows.length === MAX_ROWS) throw tooMany(file, MAX_ROWS, "rows");
    if (cells > MAX_CELLS) throw tooMany(file, MAX_CELLS, "cells");
    const columns = starts(lines[line] ?? "", record.length, delimiter);
    rows.push({ line: line + 1, cells: record, columns });
  };
  try {
    parse(text, {
      delimiter,
      ...(comment === undefined ? {} : { comment }),
      bom: true,
      // Takes each record at once: kept until the end, their circumstances take more memory than they do.
      on_record(record, context) {
        add(record, context.lines);
        return null;
      },
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const { lines: at } = error as CsvError & { lines?: number };
    throw new TensorError("file", `${file}:${at ?? 1}:1: ${error.message}`);
  }
  return rows;
}

function tooMany(file: string, limit: number, what: string): TensorError {
  return new TensorError("file", `${file}: more than ${limit.toLocaleString("en-US")} ${what}, the limit`);
}

function isSkipped(line: string, comment: string | undefined): boolean {
  const content = line.trim();
  return content === "" || (comment !== undefined && content.startsWith(comment));
}

/** Where the cells of a line begin. Those that a line break within quotes moves away are where the line ends. */
function starts(line: string, cells: number, delimiter: string): number[] {
  const found: number[] = [];
  let at = 0;
  while (found.length < cells) {
    while (line[at] === " ") at++;
    found.push(Math.min(at, line.length) + 1);
    if (line[at] === '"') {
      for (at++; at < line.length; at++) {
        if (line[at] !== '"') continue;
        if (line[at + 1] !== '"') break;
        at++;
      }
    }
    const next = line.indexOf(delimiter, at);
    at = next < 0 ? line.length : next + delimiter.length;
  }
  return found;
}
