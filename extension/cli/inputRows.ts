import { clipped } from "../protocol/text/clip.ts";
import { parse } from "csv-parse/sync";
import { UsageError } from "./command.ts";

/** Characters of a cell that an error quotes. */
const LONGEST = 100;

/** Rows of numbers; of a CSV file with names, also its texts. */
export interface InputRows {
  readonly rows?: number[][];
  readonly table?: { names: string[]; rows: string[][] };
}

/**
 * Parses rows from CSV or JSON (an array of arrays, nested as deeply as a sample; one flat array is one row). Texts need
 * a first line of names.
 * @param name The input's name in errors
 * @throws UsageError naming the invalid row
 */
export function parseRows(text: string, name: string): InputRows {
  const source = name === "-" ? "standard input" : name;
  const given = /^\s*\[/.test(text) ? { rows: parseJson(text, source) } : parseCsv(text, source);
  if ((given.rows ?? given.table?.rows)?.length === 0) throw new UsageError(`${source} has no rows.`);
  return given;
}

function parseJson(text: string, source: string): number[][] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${source}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const outer = json as unknown[];
  const rows = outer.every((one) => typeof one === "number") && outer.length > 0 ? [outer] : outer;
  return rows.map((row, i) => {
    const values = Array.isArray(row) ? flattened(row) : undefined;
    if (values === undefined || values.length === 0)
      throw new UsageError(`${source}: row ${i + 1} is not an array of numbers.`);
    return values;
  });
}

/** The numbers of nested lists, in order; undefined if there is anything else. Lists may be nested deeper than calls can. */
function flattened(row: readonly unknown[]): number[] | undefined {
  const values: number[] = [];
  const lists = [row.values()];
  for (let list = lists.at(-1); list !== undefined; list = lists.at(-1)) {
    const { done, value } = list.next();
    if (done === true) lists.pop();
    else if (Array.isArray(value)) lists.push(value.values());
    else if (typeof value === "number") values.push(value);
    else return undefined;
  }
  return values;
}

function parseCsv(text: string, source: string): InputRows {
  let cells: string[][];
  try {
    cells = parse(text, { skip_empty_lines: true, trim: true, bom: true, comment: "#", relax_quotes: true });
  } catch (error) {
    throw new UsageError(`${source}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const numbers = (row: readonly string[]): number[] =>
    row.map((cell) => (cell === "" ? Number.NaN : Number(cell)));
  // A header has at least one name.
  const header = cells[0] !== undefined && numbers(cells[0]).some((value) => Number.isNaN(value));
  const [names = [], ...rest] = header ? cells : [[], ...cells];
  const values = rest.map(numbers);
  const row = values.findIndex((one) => one.some((value) => Number.isNaN(value)));
  if (row < 0) return { rows: values, ...(header ? { table: { names, rows: rest } } : {}) };
  if (header) return { table: { names, rows: rest } };
  const bad = values[row]!.findIndex((value) => Number.isNaN(value));
  throw new UsageError(
    `${source}: line ${row + 1}, column ${bad + 1}: expected a number, got "${clipped(rest[row]![bad] ?? "", LONGEST)}". ` +
      "Texts need a first line with the names of the columns.",
  );
}
