import { clipped } from "../../protocol/text/clip.ts";
import { TensorError } from "../../tensor/core/errors.ts";

/** Type of a column's cells. */
export type ColumnType = "number" | "category" | "text" | "skip";

/** A column of a table: its cells as they were read, undefined where one is missing. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly cells: readonly (string | undefined)[];
  /** The cells' numbers, NaN where one is missing; undefined where a cell is no number. */
  readonly numbers?: Float64Array;
  /** Where a row's cell is in its file: `file:line:column`. */
  readonly at: (row: number) => string;
}

/** Characters of a cell that an error quotes. */
export const LONGEST = 100;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function isNumber(text: string): boolean {
  return NUMBER.test(text);
}

/** A column is numeric when nearly all of its cells are: among so many, another is a slip. */
const MIN_NUMBERS = 10;
const NUMERIC_SHARE = 0.9;

/** Whether a column is one of numbers: so many of its cells without the missing ones are. */
export function isNumeric(numbers: number, cells: number): boolean {
  return numbers === cells || (numbers >= MIN_NUMBERS && numbers >= NUMERIC_SHARE * cells);
}

/** Numbers of a column, NaN where one is missing. @throws TensorError at the first cell that is none */
export function numbersOf({ name, cells, numbers, at }: Column): Float64Array {
  if (numbers !== undefined) return numbers;
  const bad = cells.findIndex((cell) => cell !== undefined && !isNumber(cell));
  if (bad < 0) return Float64Array.from(cells, (cell) => (cell === undefined ? Number.NaN : Number(cell)));
  throw new TensorError(
    "file",
    `${at(bad)}: expected a number in column "${name}", got "${clipped(cells[bad]!, LONGEST)}"`,
    `if the column is no number: types: { ${JSON.stringify(name)}: "category" }, or "text" to leave it out. ` +
      "missingValues lists the texts of missing values",
  );
}

/** Different values of a column, sorted: numbers by size, all else by its characters. */
export function categoriesOf({ cells }: Column): string[] {
  return sortedCategories(cells.filter((cell) => cell !== undefined));
}

/** Different values, sorted: numbers by size, all else by its characters. */
export function sortedCategories(all: Iterable<string>): string[] {
  const values = [...new Set(all)];
  if (values.every(isNumber)) return values.sort((a, b) => Number(a) - Number(b));
  return values.sort((a, b) => (a < b ? -1 : 1));
}

/** A function that turns the cells of one column into the features that a model sees. */
export interface Encoder {
  /** Names of its features. */
  readonly names: readonly string[];
  /** Values of sample `row`, into `out` from `at` on. */
  write(row: number, out: Float32Array, at: number): void;
  /** The same for a text that isn't in the table, undefined where it is missing. */
  encode(text: string | undefined, out: Float32Array, at: number): void;
  /** The same for a number that isn't in the table; undefined for columns of another type. */
  readonly scale?: (value: number) => number;
}

/** Turns one cell into features. */
export interface Feature {
  /** Names of its features. */
  readonly names: readonly string[];
  /** Writes a number, NaN where it is missing, or the number of a category, -1 where it is missing. */
  write(value: number, out: Float32Array, at: number): void;
  readonly scale?: (value: number) => number;
}

/** A column of numbers. @param fill Replacement of a missing one */
export function numberFeature(name: string, { shift, scale }: Scaling, fill: number): Feature {
  const encode = (value: number): number => ((Number.isNaN(value) ? fill : value) - shift) / scale;
  return { names: [name], write: (value, out, at) => void (out[at] = encode(value)), scale: encode };
}

/** A column of categories. @param fill The category that replaces a missing one, -1 for none */
export function categoryFeature(
  name: string,
  categories: readonly string[],
  fill: number,
  encoding: "onehot" | "index",
): Feature {
  if (encoding === "index")
    return { names: [name], write: (value, out, at) => void (out[at] = value < 0 ? fill : value) };
  return {
    names: categories.map((category) => `${name}=${category}`),
    write: (value, out, at) => {
      const index = value < 0 ? fill : value;
      if (index >= 0) out[at + index] = 1;
    },
  };
}

/** How numbers are scaled: by mean and standard deviation, into [0, 1], or not. */
export type Normalization = "standard" | "minmax" | "none";

/** How to handle a missing value: refuse it, leave the row out, or replace it. */
export type MissingPolicy = "error" | "drop" | "mean" | "median" | "mode" | number;

/**
 * Numbers, scaled by statistics of the given rows: (x − mean) / std, with the standard deviation of the population, or
 * (x − min) / (max − min). A column that never changes is only moved (as in scikit-learn).
 */
export function numberEncoder(
  column: Column,
  rows: readonly number[],
  normalize: Normalization,
  missing: MissingPolicy,
): Encoder {
  const values = numbersOf(column);
  const given = new Float64Array(rows.length);
  let count = 0;
  for (const row of rows) if (!Number.isNaN(values[row]!)) given[count++] = values[row]!;
  const known = given.subarray(0, count);
  const fill = typeof missing === "number" ? missing : filling(known, missing);
  const feature = numberFeature(column.name, scaling(known, normalize), fill);
  return {
    ...feature,
    write: (row, out, at) => feature.write(values[row]!, out, at),
    encode(text, out, at) {
      if (text !== undefined && !isNumber(text))
        throw new TensorError(
          "value",
          `expected a number in column "${column.name}", got "${clipped(text, LONGEST)}"`,
        );
      feature.write(text === undefined ? Number.NaN : Number(text), out, at);
    },
  };
}

/** Returns the replacement of a missing number, computed from the known ones; NaN for none. */
export function filling(known: Float64Array, policy: string): number {
  if (policy === "mean") return mean(known);
  if (policy === "median") return median(known);
  return policy === "mode" ? mostFrequent([...known].sort((a, b) => a - b)) : Number.NaN;
}

/** Scaling of numbers: x becomes (x − shift) / scale. */
export interface Scaling {
  readonly shift: number;
  readonly scale: number;
}

/** Returns the scaling of numbers, computed from the known ones. Numbers that are all equal are only moved. */
export function scaling(known: Float64Array, normalize: Normalization): Scaling {
  if (normalize === "none" || known.length === 0) return { shift: 0, scale: 1 };
  if (normalize === "standard") {
    const middle = mean(known);
    const deviation = Math.sqrt(mean(known.map((x) => (x - middle) ** 2)));
    return { shift: middle, scale: deviation === 0 ? 1 : deviation };
  }
  const least = known.reduce((a, b) => Math.min(a, b));
  const range = known.reduce((a, b) => Math.max(a, b)) - least;
  return { shift: least, scale: range === 0 ? 1 : range };
}

/** Categories as one feature each, 1 where it is (one-hot), or as one feature with their number. */
export function categoryEncoder(
  column: Column,
  rows: readonly number[],
  encoding: "onehot" | "index",
  missing: MissingPolicy,
): Encoder {
  const { name, cells } = column;
  const categories = categoriesOf(column);
  const numbers = new Map(categories.map((category, i) => [category, i]));
  const known = rows.flatMap((row) => numbers.get(cells[row] ?? "") ?? []).sort((a, b) => a - b);
  // There is no mean of categories: the most frequent one is the nearest to it.
  const fill = typeof missing === "number" || known.length === 0 ? -1 : mostFrequent(known);
  const feature = categoryFeature(name, categories, fill, encoding);
  return {
    names: feature.names,
    write: (row, out, at) => feature.write(numbers.get(cells[row] ?? "") ?? -1, out, at),
    encode(text, out, at) {
      const number = text === undefined ? -1 : numbers.get(text);
      if (number === undefined)
        throw new TensorError(
          "value",
          `"${clipped(text!, LONGEST)}" is none of the categories of column "${name}": ${clipped(categories.join(", "), LONGEST)}`,
        );
      feature.write(number, out, at);
    },
  };
}

function mean(values: Float64Array): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

function median(values: Float64Array): number {
  const sorted = values.toSorted();
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** The most frequent of sorted values, the first of equally frequent ones. */
function mostFrequent(sorted: readonly number[]): number {
  let best = Number.NaN;
  let most = 0;
  for (let from = 0, to = 0; from < sorted.length; from = to) {
    while (to < sorted.length && sorted[to] === sorted[from]) to++;
    if (to - from > most) [best, most] = [sorted[from]!, to - from];
  }
  return best;
}
