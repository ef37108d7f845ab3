import { TensorError } from "../../tensor/core/errors.ts";
import { splitLengths } from "../../tensor/random/dataSamplers.ts";
import type { RandomStream } from "../../tensor/random/stream.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { dataFiles } from "./access.ts";
import {
  categoriesOf,
  categoryEncoder,
  numberEncoder,
  numbersOf,
  type Column,
  type ColumnType,
  type Encoder,
  type MissingPolicy,
  type Normalization,
} from "./columns.ts";
import { checkDelimiter, checkWidths, columnsOf } from "./csvColumns.ts";
import { Dataset, randomSplit, Subset, TensorDataset } from "./dataset.ts";

/** How {@link csv} reads a table. */
export interface CsvOptions {
  /** Whether the first line has the columns' names (default), or the names themselves, for a file that has none. */
  header?: boolean | readonly string[];
  /** "," by default. */
  delimiter?: string;
  /** Encoding of the file's text, such as "latin1"; by default UTF-8, or UTF-16 where the file begins with its mark. */
  charset?: string;
  /** Prefix of comment lines; there are none by default. */
  comment?: string;
  /** The column to predict, or several of numbers; by default the last one. `null` for none. */
  target?: string | readonly string[] | null;
  /** The columns to predict it from; by default all others but those of text. */
  features?: readonly string[];
  /**
   * Types of columns that differ from the default: numbers when all cells are, or nearly all (then the first that is
   * none is an error), else categories. A target that is a category is a class.
   */
  types?: Readonly<Record<string, ColumnType>>;
  /** Texts of missing values; by default an empty cell, NA, N/A, NaN, nan, null, NULL, None and ?. */
  missingValues?: readonly string[];
  /**
   * How to handle missing values: "error" (default), "drop" the row, or replace them by the "mean", "median" or "mode"
   * (most frequent value) of the training part, or by a number. Categories take the most frequent one.
   */
  missing?: MissingPolicy;
  /** How categories become features: one feature each, 1 where it is ("onehot", default), or their number ("index"). */
  encoding?: "onehot" | "index";
  /** How numbers are scaled, by statistics of the training part: "standard", "minmax", or "none" (default). */
  normalize?: Normalization;
}

/** Default texts of missing values. */
export const MISSING_VALUES = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"];
/** More categories than this, one for nearly every row, are no categories. */
const MAX_CATEGORIES = 100;

/**
 * A table as samples `[features, target]`: features float32 [F]; the target a class (int64) when it is a category, else
 * float32 [1], or [T] of several.
 *
 * Scaling and the values for missing ones come from the training part alone, once there is one: {@link fit} is called
 * by {@link split}, and by an experiment for the part that its `validation` leaves. Until then, all rows count.
 *
 * ```ts
 * const [train, test] = data.csv("flowers.csv").split([0.8, 0.2]);
 * ```
 */
export class TableDataset extends Dataset<[features: Tensor, target: Tensor] | [features: Tensor]> {
  /** Names of the features, in their order. */
  featureNames: readonly string[] = [];
  /** Names of the target's classes; undefined when it is a number. */
  readonly classes: readonly string[] | undefined;
  readonly length: number;
  readonly #columns: ReadonlyMap<string, Column>;
  readonly #features: readonly Column[];
  readonly #options: CsvOptions;
  readonly #targets: Tensor | undefined;
  #encoders: readonly Encoder[] = [];
  #tensors: TensorDataset | undefined;

  /** @internal See {@link csv}. */
  constructor(columns: readonly Column[], options: CsvOptions) {
    super();
    this.#columns = new Map(columns.map((column) => [column.name, column]));
    this.#options = options;
    this.length = columns[0]?.cells.length ?? 0;
    const targets = this.#targetNames(columns).map((name) => this.#column(name));
    const chosen = options.features?.map((name) => this.#column(name));
    this.#features =
      chosen ??
      columns.filter((one) => !targets.includes(one) && (one.type === "number" || one.type === "category"));
    for (const column of [...this.#features, ...targets]) checkCategories(column);
    const [first] = targets;
    this.classes = first?.type === "category" ? categoriesOf(first) : undefined;
    this.#targets = first === undefined ? undefined : this.#targetTensor(targets);
    this.fit(Array.from({ length: this.length }, (_, i) => i));
  }

  #targetNames(columns: readonly Column[]): readonly string[] {
    const { target = columns.findLast(({ type }) => type !== "skip" && type !== "text")?.name ?? null } =
      this.#options;
    if (target === null) return [];
    return typeof target === "string" ? [target] : target;
  }

  #column(name: string): Column {
    const found = this.#columns.get(name);
    if (found !== undefined) return found;
    throw new TensorError(
      "value",
      `data.csv(): there is no column "${name}"`,
      `columns are ${[...this.#columns.keys()].join(", ")}`,
    );
  }

  #targetTensor(targets: readonly Column[]): Tensor {
    const [first] = targets;
    const { length } = this;
    if (this.classes !== undefined) {
      if (targets.length > 1)
        throw new TensorError(
          "value",
          "data.csv(): expected one target that is a category, or several of numbers",
        );
      const numbers = new Map(this.classes.map((name, i) => [name, i]));
      return fromHost(
        Int32Array.from(first!.cells, (cell) => numbers.get(cell ?? "") ?? -1),
        [length],
        "int64",
      );
    }
    const values = targets.map(numbersOf);
    const width = targets.length;
    const out = Float32Array.from(
      { length: length * width },
      (_, i) => values[i % width]![Math.floor(i / width)]!,
    );
    return fromHost(out, [length, width], "float32");
  }

  /** Derives the scaling of numbers, and the replacements of missing values, from these samples alone. */
  override fit(rows: readonly number[]): void {
    const { normalize = "none", encoding = "onehot", missing = "error" } = this.#options;
    this.#encoders = this.#features.map((column) =>
      column.type === "category"
        ? categoryEncoder(column, rows, encoding, missing)
        : numberEncoder(column, rows, normalize, missing),
    );
    this.featureNames = this.#encoders.flatMap(({ names }) => names);
    this.#tensors = undefined;
  }

  /**
   * Splits the table at random, as `randomSplit`, and fits it to the first part.
   * @param lengths how many samples each part gets, or fractions that add up to 1
   */
  split(lengths: readonly number[], options: { generator?: RandomStream } = {}): Subset<readonly Tensor[]>[] {
    splitLengths(this.length, lengths);
    const parts = randomSplit<readonly Tensor[]>(this, lengths, options);
    this.fit(parts[0]!.indices);
    return parts;
  }

  /** All features [N, F]. */
  get inputs(): Tensor {
    return this.#samples.tensors[0]!;
  }

  /** All targets: classes [N], or numbers [N, T]. */
  get targets(): Tensor {
    if (this.#targets === undefined) throw new TensorError("value", "data.csv(): the table has no target");
    return this.#targets;
  }

  /** The cells of a column as they are in the file; undefined where one is missing. */
  column(name: string): (string | undefined)[] {
    return [...this.#column(name).cells];
  }

  /**
   * Converts numbers as in the file, one for each feature, to a model's input.
   * @throws TensorError when features are categories, or the row has another length
   */
  override encodeRow(row: readonly number[]): number[] {
    return encodeNumbers(row, this.#encoders, this.featureNames);
  }

  /**
   * Converts cells as in the file to a model's input; other columns, such as the target, may be there too.
   * @throws TensorError for a cell that is no number, or none of the column's categories
   */
  override encodeCells(cells: ReadonlyMap<string, string>): number[] | undefined {
    const texts = this.#features.map(({ name }) => cells.get(name));
    if (texts.includes(undefined)) return undefined;
    const missing = new Set(this.#options.missingValues ?? MISSING_VALUES);
    const out = new Float32Array(this.featureNames.length);
    let at = 0;
    this.#encoders.forEach((encoder, i) => {
      encoder.encode(missing.has(texts[i]!) ? undefined : texts[i], out, at);
      at += encoder.names.length;
    });
    return [...out];
  }

  get(index: number): [Tensor, Tensor] {
    return this.#samples.get(index) as unknown as [Tensor, Tensor];
  }

  override getBatch(indices: readonly number[]): Tensor[] {
    return this.#samples.getBatch(indices);
  }

  get #samples(): TensorDataset {
    if (this.#tensors !== undefined) return this.#tensors;
    const width = this.featureNames.length;
    const out = new Float32Array(this.length * width);
    for (let row = 0; row < this.length; row++) {
      let at = row * width;
      for (const encoder of this.#encoders) {
        encoder.write(row, out, at);
        at += encoder.names.length;
      }
    }
    const inputs = fromHost(out, [this.length, width], "float32");
    return (this.#tensors = new TensorDataset(
      ...(this.#targets === undefined ? [inputs] : [inputs, this.#targets]),
    ));
  }
}

/**
 * Reads a table of comma-separated values, also a `.csv.gz`:
 *
 * ```ts
 * const table = data.csv("flowers.csv", { target: "species", normalize: "standard", missing: "median" });
 * const [train, test] = table.split([0.8, 0.2]); // scaled by what `train` says
 * ```
 *
 * @param file relative to the `.nn.ts` file or to the working directory, or absolute
 * @throws TensorError "file:line:column: …" at the first cell that is wrong; for unknown columns
 */
export function csv(file: string, options: CsvOptions = {}): TableDataset {
  const files = dataFiles("csv");
  const path = files.resolve(file);
  const { delimiter = ",", comment, charset, header = true, missing = "error" } = options;
  const format = {
    ...(comment === undefined ? {} : { comment }),
    ...(charset === undefined ? {} : { charset }),
  };
  const table = files.csv(file, { delimiter, ...format });
  const [first] = table.rows;
  const start = header === true ? 1 : 0;
  if (first === undefined || table.rows.length === start)
    throw table.error ?? new TensorError("file", `${path}: the table has no rows`);
  checkDelimiter(table, delimiter);
  const titles = typeof header === "object" ? header : header ? first : first.map((_, i) => `column${i + 1}`);
  const twice = titles.find((name, i) => titles.indexOf(name) !== i);
  if (twice !== undefined) throw new TensorError("file", `${path}:1:1: the column "${twice}" is there twice`);
  const known = new Set(titles);
  for (const name of Object.keys(options.types ?? {}))
    if (!known.has(name))
      throw new TensorError(
        "value",
        `data.csv(): there is no column "${name}"`,
        `columns are ${titles.join(", ")}`,
      );
  checkWidths(table, start, titles, delimiter);
  if (table.error !== undefined) throw table.error;
  const missingValues = new Set(options.missingValues ?? MISSING_VALUES);
  const columns = columnsOf(table, start, titles, missingValues, options.types ?? {});
  return new TableDataset(missing === "drop" ? complete(columns) : filled(columns, options), options);
}

/**
 * Converts numbers as in a file, one for each feature, to a model's input.
 * @throws TensorError when features are categories, or the row has another length
 */
export function encodeNumbers(
  row: readonly number[],
  encoders: readonly Pick<Encoder, "scale">[],
  names: readonly string[],
): number[] {
  const scales = encoders.map(({ scale }) => scale);
  if (!scales.every((scale) => scale !== undefined))
    throw new TensorError(
      "value",
      "a row of numbers can't be encoded: the table has features that are categories",
    );
  if (row.length !== scales.length)
    throw new TensorError(
      "shape",
      `expected ${scales.length} numbers (${names.join(", ")}), got ${row.length}`,
    );
  return row.map((value, i) => scales[i]!(value));
}

/** Whether so many different values in so many rows are categories. */
export const isCategorical = (distinct: number, rows: number): boolean =>
  distinct <= MAX_CATEGORIES || distinct < rows / 2;

const COMMA_NUMBER = /^[+-]?\d[\d.]*,[\d.,]*\d$/;

/** A column of which nearly every row has its own value is a name or a date, not a category. */
function checkCategories(column: Column): void {
  const { name, cells, type } = column;
  if (type !== "category") return;
  const count = new Set(cells).size;
  if (isCategorical(count, cells.length)) return;
  throw new TensorError(
    "value",
    `data.csv(): column "${name}" has ${count} different values in ${cells.length} rows, which are no categories`,
    COMMA_NUMBER.test(cells.find((cell) => cell !== undefined) ?? "")
      ? "numbers with a comma aren't read: write 1234.5, with a point and without separators"
      : `leave it out: types: { "${name}": "text" }`,
  );
}

/** Whether a column's missing values matter. */
function isUsed({ type }: Column): boolean {
  return type === "number" || type === "category";
}

/** The rows without missing values. */
function complete(columns: readonly Column[]): Column[] {
  const used = columns.filter(isUsed);
  const rows = columns[0]!.cells.flatMap((_, row) =>
    used.every(({ cells }) => cells[row] !== undefined) ? [row] : [],
  );
  if (rows.length === 0) throw new TensorError("value", "data.csv(): every row misses a value");
  return columns.map((column) => ({
    name: column.name,
    type: column.type,
    cells: rows.map((row) => column.cells[row]),
    at: (row) => column.at(rows[row]!),
  }));
}

/** Returns the columns unchanged. @throws TensorError for a missing value that is not allowed, as in a target */
function filled(
  columns: readonly Column[],
  { missing = "error", target, features }: CsvOptions,
): readonly Column[] {
  const targets: readonly unknown[] =
    target === null ? [] : Array.isArray(target) ? target : [target ?? columns.findLast(isUsed)?.name];
  columns.forEach((column) => {
    const { name, cells } = column;
    const isTarget = targets.includes(name);
    const matters = isTarget || (missing === "error" && (features?.includes(name) ?? isUsed(column)));
    if (!matters) return;
    const row = cells.indexOf(undefined);
    if (row < 0) return;
    throw new TensorError(
      "file",
      `${column.at(row)}: a value is missing in column "${name}"`,
      isTarget
        ? 'missing: "drop" leaves such rows out'
        : 'missing: "drop", "mean", "median", "mode" or a number says what to do about it',
    );
  });
  return columns;
}
