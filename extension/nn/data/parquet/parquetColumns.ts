import { ownValue } from "../../../protocol/data/own.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import type { ParquetFile, ParquetKind } from "../access.ts";
import {
  categoryFeature,
  filling,
  numberFeature,
  sortedCategories,
  type ColumnType,
  type Feature,
  type MissingPolicy,
  type Normalization,
  type Scaling,
} from "../columns.ts";
import { scan, type ColumnChoice } from "./groups.ts";
import { isCategorical } from "../table.ts";

/** A column of a Parquet file that is used, or may be. */
export interface ParquetUse extends ColumnChoice {
  readonly type: ColumnType;
}

/** More categories than this are refused before they fill the memory. */
const MAX_CATEGORIES = 2 ** 20;

const TYPES: Readonly<Record<ParquetKind, ColumnType>> = {
  number: "number",
  boolean: "category",
  text: "category",
  // As in a .csv file, where a date is a text.
  time: "text",
  binary: "skip",
  nested: "skip",
};

/**
 * Returns the types of a file's columns.
 * @throws TensorError for a nested or binary column that isn't skipped; for unknown names
 */
export function usesOf(
  file: ParquetFile,
  columns: readonly string[] | undefined,
  types: Readonly<Record<string, ColumnType>>,
): ParquetUse[] {
  const known = new Map(file.columns.map((column) => [column.name, column]));
  for (const name of [...(columns ?? []), ...Object.keys(types)])
    if (!known.has(name)) throw missingColumn(name, [...known.keys()]);
  const chosen = columns?.map((name) => known.get(name)!) ?? file.columns;
  return chosen.map(({ name, kind }) => {
    const given = ownValue(types, name);
    const type = given ?? TYPES[kind];
    if (!isFlat(kind) && type !== "text" && (type !== "skip" || given === undefined))
      throw new TensorError(
        "value",
        `data.parquet(): column "${name}" has ${kind === "nested" ? "lists, maps or structs" : "bytes"}, which are no features`,
        `leave it out: types: { ${JSON.stringify(name)}: "skip" }, or name the others in columns`,
      );
    if (type === "number" && kind === "text")
      throw new TensorError("value", `data.parquet(): expected numbers in column "${name}", which has texts`);
    return { name, type, as: type === "number" ? "number" : "text" };
  });
}

/** Whether cells of a kind can be read. */
export const isFlat = (kind: ParquetKind): boolean => kind !== "nested" && kind !== "binary";

export const missingColumn = (name: string, names: readonly string[]): TensorError =>
  new TensorError("value", `data.parquet(): there is no column "${name}"`, `columns are ${names.join(", ")}`);

/** The categories of columns, by name. A preview needs them at every keystroke. */
const found = new WeakMap<object, Map<string, readonly string[]>>();

/**
 * The different values of columns, sorted.
 * @param kept Whether a row counts
 * @throws TensorError for a column of which nearly every row has its own value
 */
export function categoriesIn(
  file: ParquetFile,
  columns: readonly ParquetUse[],
  kept: ((row: number) => boolean) | undefined,
): ReadonlyMap<string, readonly string[]> {
  const known =
    (kept === undefined ? found.get(file.groups) : undefined) ?? new Map<string, readonly string[]>();
  const unknown = columns.filter(({ name }) => !known.has(name));
  if (unknown.length > 0) {
    const values = unknown.map(() => new Set<string>());
    scan(file, unknown, (start, cells) =>
      cells.forEach((column, i) => {
        if (!("texts" in column)) return;
        const { texts, indices } = column;
        const used = kept === undefined ? undefined : new Set<number>();
        if (used !== undefined) indices.forEach((index, row) => kept!(start + row) && used.add(index));
        texts.forEach((text, index) => (used === undefined || used.has(index)) && values[i]!.add(text));
        if (values[i]!.size > MAX_CATEGORIES)
          throw notCategories(unknown[i]!.name, values[i]!.size, file.rows);
      }),
    );
    unknown.forEach(({ name }, i) => known.set(name, sortedCategories(values[i]!)));
    if (kept === undefined) found.set(file.groups, known);
  }
  for (const { name } of columns) {
    const { length } = known.get(name)!;
    if (!isCategorical(length, file.rows)) throw notCategories(name, length, file.rows);
  }
  return new Map(columns.map(({ name }) => [name, known.get(name)!]));
}

const notCategories = (name: string, count: number, rows: number): TensorError =>
  new TensorError(
    "value",
    `data.parquet(): column "${name}" has ${count} different values in ${rows} rows, which are no categories`,
    `leave it out: types: { "${name}": "text" }`,
  );

/** How features are computed from cells. */
export interface FeatureOptions {
  readonly normalize: Normalization;
  readonly encoding: "onehot" | "index";
  readonly missing: MissingPolicy;
}

/** Makes the features of columns, by statistics of the given rows. */
export function featuresOf(
  file: ParquetFile,
  columns: readonly ParquetUse[],
  categories: ReadonlyMap<string, readonly string[]>,
  rows: ((row: number) => boolean) | undefined,
  { normalize, encoding, missing }: FeatureOptions,
): Feature[] {
  const numeric = columns.filter(({ type }) => type === "number");
  const counted = columns.filter(({ type }) => type !== "number" && typeof missing !== "number");
  const moments = new Map(numeric.map(({ name }) => [name, new Moments()]));
  const counts = new Map(counted.map(({ name }) => [name, new Map<string, number>()]));
  const fills = ["mean", "median", "mode"].includes(String(missing));
  const first = [
    ...(normalize !== "none" || missing === "mean" ? numeric : []),
    // Only a missing category needs the most frequent one.
    ...(fills ? counted : []),
  ];
  if (first.length > 0)
    scan(file, first, (start, cells) =>
      cells.forEach((column, i) => {
        const { name } = first[i]!;
        if ("numbers" in column) moments.get(name)!.add(column.numbers, start, rows);
        else {
          const count = counts.get(name)!;
          const each = new Float64Array(column.texts.length);
          column.indices.forEach((index, row) => {
            if (index >= 0 && (rows === undefined || rows(start + row))) each[index]!++;
          });
          column.texts.forEach((text, index) => count.set(text, (count.get(text) ?? 0) + each[index]!));
        }
      }),
    );
  return columns.map(({ name, type }) => {
    if (type === "number") {
      const known = moments.get(name)!;
      const fill = typeof missing === "number" ? missing : fillOf(file, name, rows, missing, known);
      return numberFeature(name, known.scaling(normalize), fill);
    }
    const all = categories.get(name)!;
    return categoryFeature(name, all, mostFrequent(all, counts.get(name)), encoding);
  });
}

/** The mean is known; a median or mode needs all numbers of the column. */
function fillOf(
  file: ParquetFile,
  name: string,
  rows: ((row: number) => boolean) | undefined,
  missing: MissingPolicy,
  known: Moments,
): number {
  if (missing === "mean") return known.count === 0 ? Number.NaN : known.mean;
  if (missing !== "median" && missing !== "mode") return Number.NaN;
  const values = new Float64Array(file.rows);
  let count = 0;
  scan(file, [{ name, as: "number" }], (start, [column]) => {
    if (column === undefined || !("numbers" in column)) return;
    column.numbers.forEach((value, row) => {
      if (!Number.isNaN(value) && (rows === undefined || rows(start + row))) values[count++] = value;
    });
  });
  return filling(values.subarray(0, count), missing);
}

function mostFrequent(
  categories: readonly string[],
  counts: ReadonlyMap<string, number> | undefined,
): number {
  let [best, most] = [-1, 0];
  categories.forEach((name, i) => {
    const count = counts?.get(name) ?? 0;
    if (count > most) [best, most] = [i, count];
  });
  return best;
}

/** Mean, deviation and range of numbers that come in parts: https://doi.org/10.1080/00031305.1983.10483115 */
class Moments {
  count = 0;
  mean = 0;
  /** Sum of the squares of differences from the mean. */
  #squares = 0;
  #least = Infinity;
  #most = -Infinity;

  add(numbers: Float64Array, start: number, rows: ((row: number) => boolean) | undefined): void {
    const known = rows === undefined ? numbers : numbers.filter((_, i) => rows(start + i));
    let [count, sum, least, most] = [0, 0, this.#least, this.#most];
    for (let i = 0; i < known.length; i++) {
      const x = known[i]!;
      // NaN is missing.
      if (x !== x) continue;
      count++;
      sum += x;
      if (x < least) least = x;
      if (x > most) most = x;
    }
    if (count === 0) return;
    [this.#least, this.#most] = [least, most];
    const mean = sum / count;
    let squares = 0;
    for (let i = 0; i < known.length; i++) {
      const difference = known[i]! - mean;
      if (difference === difference) squares += difference * difference;
    }
    const total = this.count + count;
    const difference = mean - this.mean;
    this.#squares += squares + (difference * difference * this.count * count) / total;
    this.mean += (difference * count) / total;
    this.count = total;
  }

  scaling(normalize: Normalization): Scaling {
    if (normalize === "none" || this.count === 0) return { shift: 0, scale: 1 };
    const [shift, scale] =
      normalize === "standard"
        ? [this.mean, Math.sqrt(this.#squares / this.count)]
        : [this.#least, this.#most - this.#least];
    return { shift, scale: scale === 0 ? 1 : scale };
  }
}
