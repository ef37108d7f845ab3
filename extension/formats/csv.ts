import { CsvError, parse } from "csv-parse/sync";
import type { CsvFormat, CsvRow } from "../nn/data/access.ts";
import { TensorError } from "../tensor/errors.ts";

interface Parsed {
  record: string[];
  /** `lines`: of the file, up to the record's end. */
  info: { lines: number };
}

/**
 * Parses a table of comma-separated values (RFC 4180): cells may be quoted, quotes in them are doubled, empty lines are
 * skipped, and spaces around cells are no part of them.
 * @param file Named in errors
 * @throws TensorError "file:line:column: …"
 */
export function parseCsv(file: string, text: string, { delimiter = ",", comment }: CsvFormat = {}): CsvRow[] {
  let records: Parsed[];
  try {
    records = parse(text, {
      delimiter,
      ...(comment === undefined ? {} : { comment }),
      bom: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as Parsed[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const { lines } = error as CsvError & { lines?: number };
    throw new TensorError("file", `${file}:${lines ?? 1}:1: ${error.message}`);
  }
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  let before = 0;
  return records.map(({ record, info }) => {
    // A record begins after the one before it, after empty lines and comments.
    let line = before;
    while (line + 1 < info.lines && isSkipped(lines[line] ?? "", comment)) line++;
    before = info.lines;
    return { line: line + 1, cells: record, columns: starts(lines[line] ?? "", record.length, delimiter) };
  });
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
