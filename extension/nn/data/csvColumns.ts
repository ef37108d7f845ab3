import { ownValue } from "../../protocol/data/own.ts";
import { clipped } from "../../protocol/text/clip.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import type { CsvTable } from "./access.ts";
import { isNumber, isNumeric, LONGEST, type Column, type ColumnType } from "./columns.ts";

/** What may separate cells, by its name. */
const DELIMITERS = { ",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars" } as const;

/** @throws TensorError for a table of one column whose rows another delimiter would divide alike */
export function checkDelimiter({ rows, place }: CsvTable, delimiter: string): void {
  const [first, second] = rows;
  if (first?.length !== 1) return;
  const count = (row: readonly string[] | undefined, by: string): number =>
    row?.join(delimiter).split(by).length ?? 0;
  for (const [other, name] of Object.entries(DELIMITERS))
    if (count(first, other) > 1 && (second === undefined || count(second, other) === count(first, other)))
      throw new TensorError(
        "file",
        `${place(0, 0)}: the table has one column only, "${clipped(first[0] ?? "", LONGEST)}"`,
        `if ${name} separate its cells: delimiter: ${JSON.stringify(other)}`,
      );
}

/** @throws TensorError at the first row that has too many cells, or too few */
export function checkWidths(
  table: CsvTable,
  start: number,
  titles: readonly string[],
  delimiter: string,
): void {
  const row = table.rows.findIndex((cells, i) => i >= start && cells.length !== titles.length);
  if (row < 0) return;
  const cells = table.rows[row]!;
  const long = cells.findIndex((cell) => cell.includes(delimiter) || /[\r\n]/.test(cell));
  throw new TensorError(
    "file",
    `${table.place(row, Math.min(cells.length, titles.length))}: expected ${titles.length} cells (${titles.join(", ")}), got ${cells.length}`,
    long < 0
      ? undefined
      : `the quoted cell at ${table.place(row, long)} holds what may be several: is its closing quote missing?`,
  );
}

/** Reads row by row, as they are in memory: by column, a large table takes several times as long. */
export function columnsOf(
  { rows, place }: CsvTable,
  start: number,
  titles: readonly string[],
  missing: ReadonlySet<string>,
  types: Readonly<Record<string, ColumnType>>,
): Column[] {
  const count = rows.length - start;
  const cells = titles.map(() => Array.from<string | undefined>({ length: count }).fill(undefined));
  const numbers = titles.map(() => new Float64Array(count).fill(Number.NaN));
  const [filled, numeric] = [titles.map(() => 0), titles.map(() => 0)];
  for (let row = 0; row < count; row++) {
    const texts = rows[start + row]!;
    for (let i = 0; i < titles.length; i++) {
      const text = texts[i]!;
      if (missing.has(text)) continue;
      filled[i]!++;
      cells[i]![row] = text;
      if (!isNumber(text)) continue;
      numeric[i]!++;
      numbers[i]![row] = Number(text);
    }
  }
  return titles.map((name, i) => ({
    name,
    type: ownValue(types, name) ?? (isNumeric(numeric[i]!, filled[i]!) ? "number" : "category"),
    cells: cells[i]!,
    ...(numeric[i] === filled[i] ? { numbers: numbers[i]! } : {}),
    at: (row) => place(start + row, i),
  }));
}
