import { TensorError } from "../../../tensor/core/errors.ts";
import { fromHost, type Tensor } from "../../../tensor/core/tensor.ts";
import { splitLengths } from "../../../tensor/random/dataSamplers.ts";
import type { RandomStream } from "../../../tensor/random/stream.ts";
import { dataFiles, type ParquetCells, type ParquetFile } from "../access.ts";
import type { Blocks } from "../blocks.ts";
import type { Feature } from "../columns.ts";
import type { ParquetOptions } from "./parquetOptions.ts";
import { checkIndex, checkIndices, Dataset, randomSplit, type Subset } from "../dataset.ts";
import { copyRow, GroupCache, isMissing, lengthOf, membership, scan, startsOf } from "./groups.ts";
import {
  categoriesIn,
  featuresOf,
  isFlat,
  missingColumn,
  usesOf,
  type ParquetUse,
} from "./parquetColumns.ts";
import { encodeNumbers } from "../table.ts";

const CACHE_BYTES = 2 ** 27;

/** A row group as a model sees it. */
interface Encoded {
  readonly inputs: Float32Array;
  readonly targets: Float32Array | Int32Array | undefined;
  readonly bytes: number;
}

/**
 * A Parquet file as samples `[features, target]`, as those of a table from {@link csv}: features float32 [F]; the target a class
 * (int64) when it is a category, else float32 [1], or [T] of several.
 *
 * Row groups are read when they are needed, so the file may be larger than the memory. A file of several row groups whose features
 * take more than half of `cacheBytes` is shuffled in windows: row groups at random, and within as many as fit, all rows at random.
 * A smaller file has the order of any data set.
 */
export class ParquetDataset extends Dataset<[features: Tensor, target: Tensor] | [features: Tensor]> {
  /** Names of the features, in their order. */
  readonly featureNames: readonly string[];
  /** Names of the target's classes; undefined when it is a number. */
  readonly classes: readonly string[] | undefined;
  readonly length: number;
  /** Absolute path. */
  readonly path: string;
  readonly #file: ParquetFile;
  readonly #options: Required<Pick<ParquetOptions, "normalize" | "encoding" | "missing" | "cacheBytes">>;
  readonly #uses: readonly ParquetUse[];
  readonly #columns: readonly ParquetUse[];
  readonly #targets: readonly ParquetUse[];
  readonly #categories: ReadonlyMap<string, readonly string[]>;
  /** First rows of the row groups, and where the last one ends. */
  readonly #starts: Float64Array;
  /** Rows without missing values, where others are left out. */
  readonly #kept: Int32Array | undefined;
  #fitted: readonly number[] | undefined;
  #features: readonly Feature[] | undefined;
  #cache: GroupCache<Encoded> | undefined;

  /** @internal See {@link parquet}. */
  constructor(file: ParquetFile, options: ParquetOptions) {
    super();
    const { target, missing = "error", normalize = "none", encoding = "onehot" } = options;
    const { cacheBytes = CACHE_BYTES } = options;
    if (!(cacheBytes > 0))
      throw new TensorError("value", `data.parquet(): expected cacheBytes above 0, got ${cacheBytes}`);
    this.#file = file;
    this.path = file.path;
    this.#options = { missing, normalize, encoding, cacheBytes };
    this.#uses = usesOf(file, options.columns, options.types ?? {});
    const last = this.#uses.findLast(({ type }) => type === "number" || type === "category")?.name ?? null;
    const wanted = target === undefined ? last : target;
    const names = typeof wanted === "string" ? [wanted] : (wanted ?? []);
    this.#targets = names.map((name) => this.#usable(name));
    this.#columns =
      options.features?.map((name) => this.#usable(name)) ??
      this.#uses.filter((one) => !this.#targets.includes(one) && isUsed(one));
    if (this.#targets.length > 1 && this.#targets.some(({ type }) => type !== "number"))
      throw new TensorError(
        "value",
        "data.parquet(): expected one target that is a category, or several of numbers",
      );
    this.#starts = startsOf(file);
    this.#kept = missing === "drop" ? this.#completeRows() : undefined;
    this.length = this.#kept?.length ?? file.rows;
    if (this.length === 0)
      throw new TensorError(
        "file",
        file.rows === 0 ? `${file.path}: the table has no rows` : "data.parquet(): every row misses a value",
      );
    this.#checkNulls();
    const categorical = [...this.#columns, ...this.#targets].filter(({ type }) => type !== "number");
    this.#categories = categoriesIn(file, categorical, this.#isKept());
    this.classes = this.#categories.get(this.#targets[0]?.name ?? "");
    this.featureNames = this.#columns.flatMap(({ name }) => {
      const categories = encoding === "index" ? undefined : this.#categories.get(name);
      return categories?.map((category) => `${name}=${category}`) ?? [name];
    });
  }

  #use(name: string): ParquetUse {
    const found = this.#uses.find((one) => one.name === name);
    if (found === undefined)
      throw missingColumn(
        name,
        this.#uses.map((one) => one.name),
      );
    return found;
  }

  /** A column that is a feature or target. */
  #usable(name: string): ParquetUse {
    const use = this.#use(name);
    if (isUsed(use)) return use;
    throw new TensorError(
      "value",
      `data.parquet(): column "${name}" is text`,
      `types: { ${JSON.stringify(name)}: "category" }, or "number", says how it is used`,
    );
  }

  /** The rows without missing values in the columns that may be used. */
  #completeRows(): Int32Array {
    const kept = new Int32Array(this.#file.rows);
    let count = 0;
    scan(this.#file, this.#uses.filter(isUsed), (start, cells) => {
      const rows = cells[0] === undefined ? 0 : lengthOf(cells[0]);
      for (let row = 0; row < rows; row++)
        if (!cells.some((column) => isMissing(column, row))) kept[count++] = start + row;
    });
    return kept.slice(0, count);
  }

  #isKept(): ((row: number) => boolean) | undefined {
    const kept = this.#kept;
    return kept && membership(kept, this.#file.rows);
  }

  /** Checks the file's own counts of nulls; nulls that it doesn't count are found when they are read. */
  #checkNulls(): void {
    const { missing } = this.#options;
    if (missing === "drop") return;
    for (const use of missing === "error" ? [...this.#columns, ...this.#targets] : this.#targets) {
      const place = this.#file.columns.findIndex(({ name }) => name === use.name);
      const group = this.#file.groups.findIndex(({ nulls }) => (nulls[place] ?? 0) > 0);
      if (group < 0) continue;
      const [from, to] = [this.#starts[group]!, this.#starts[group + 1]! - 1];
      throw this.#missing(use, `rows ${from} to ${to}`);
    }
  }

  #missing(use: ParquetUse, where: string): TensorError {
    return new TensorError(
      "file",
      `${this.path}: ${where}: a value is missing in column "${use.name}"`,
      this.#targets.includes(use)
        ? 'missing: "drop" leaves such rows out'
        : 'missing: "drop", "mean", "median", "mode" or a number says what to do about it',
    );
  }

  /** Derives the scaling of numbers, and the replacements of missing values, from these samples alone. */
  override fit(indices: readonly number[]): void {
    this.#fitted = indices;
    this.#features = undefined;
    this.#cache = undefined;
  }

  /**
   * Splits the table at random, and fits it to the first part.
   * @param lengths how many samples each part gets, or fractions that add up to 1
   */
  split(lengths: readonly number[], options: { generator?: RandomStream } = {}): Subset<readonly Tensor[]>[] {
    splitLengths(this.length, lengths);
    const parts = randomSplit<readonly Tensor[]>(this, lengths, options);
    this.fit(parts[0]!.indices);
    return parts;
  }

  /** All features [N, F]. They must fit into memory. */
  get inputs(): Tensor {
    return this.getBatch(Array.from({ length: this.length }, (_, i) => i))[0]!;
  }

  /** All targets: classes [N], or numbers [N, T]. They must fit into memory. */
  get targets(): Tensor {
    const [, targets] = this.getBatch(Array.from({ length: this.length }, (_, i) => i));
    if (targets === undefined) throw new TensorError("value", "data.parquet(): the table has no target");
    return targets;
  }

  /** The cells of a column as texts; undefined where one is missing. They must fit into memory. */
  column(name: string): (string | undefined)[] {
    this.#use(name);
    if (!isFlat(this.#file.columns.find((one) => one.name === name)!.kind))
      throw new TensorError("value", `data.parquet(): the cells of column "${name}" are no texts`);
    const all: (string | undefined)[] = [];
    scan(this.#file, [{ name, as: "text" }], (_, [column]) => {
      if (column !== undefined && "texts" in column)
        for (const index of column.indices) all.push(column.texts[index]);
    });
    return this.#kept === undefined ? all : Array.from(this.#kept, (row) => all[row]);
  }

  /**
   * Converts numbers as in the file, one for each feature, to a model's input.
   * @throws TensorError when features are categories, or the row has another length
   */
  override encodeRow(row: readonly number[]): number[] {
    return encodeNumbers(row, this.#encoders(), this.featureNames);
  }

  get(index: number): [Tensor, Tensor] {
    const tensors = this.getBatch([checkIndex(index, this.length)]);
    return tensors.map((tensor) =>
      fromHost(tensor.value.data!, tensor.shape.slice(1), tensor.dtype),
    ) as unknown as [Tensor, Tensor];
  }

  override getBatch(numbers: readonly number[]): Tensor[] {
    const indices = checkIndices(numbers, this.length);
    const width = this.featureNames.length;
    const count = indices.length;
    const inputs = new Float32Array(count * width);
    const wide = this.#targets.length;
    const targets = this.classes === undefined ? new Float32Array(count * wide) : new Int32Array(count);
    const cache = this.#groups();
    for (const [group, places] of this.#byGroup(indices)) {
      const encoded = cache.get(group);
      const start = this.#starts[group]!;
      for (const place of places) {
        const row = this.#row(indices[place]!) - start;
        copyRow(encoded.inputs, row, inputs, place, width);
        if (encoded.targets !== undefined) copyRow(encoded.targets, row, targets, place, wide);
      }
    }
    cache.advance((group) => this.#bytes(group));
    const samples = fromHost(inputs, [count, width], "float32");
    if (wide === 0) return [samples];
    return [
      samples,
      this.classes === undefined
        ? fromHost(targets, [count, wide], "float32")
        : fromHost(targets, [count], "int64"),
    ];
  }

  /** The row of the file that a sample is. */
  #row(index: number): number {
    return this.#kept === undefined ? index : this.#kept[index]!;
  }

  /** Places in a batch by row group: a group is read once for a batch. */
  #byGroup(indices: readonly number[]): Map<number, number[]> {
    const groups = new Map<number, number[]>();
    let [group, places] = [-1, [] as number[]];
    for (let place = 0; place < indices.length; place++) {
      const row = this.#row(indices[place]!);
      if (group < 0 || row < this.#starts[group]! || row >= this.#starts[group + 1]!) {
        group = this.#groupOf(row);
        places = groups.get(group) ?? [];
        groups.set(group, places);
      }
      places.push(place);
    }
    return groups;
  }

  #groupOf(row: number): number {
    let [low, high] = [0, this.#starts.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** @internal Nothing is drawn for batches. */
  override get fixed(): boolean {
    return this.getBatch === ParquetDataset.prototype.getBatch;
  }

  /** @internal */
  override get blocks(): Blocks | undefined {
    const { groups } = this.#file;
    const window = this.#options.cacheBytes / 2;
    const bytes = groups.map((_, group) => this.#bytes(group));
    if (groups.length < 2 || bytes.reduce((sum, one) => sum + one, 0) <= window) return undefined;
    return {
      count: groups.length,
      of: (index) => this.#groupOf(this.#row(index)),
      bytes: (group) => bytes[group]!,
      window,
      announce: (next, first) => this.#groups().announce(next, first),
    };
  }

  /** Bytes of a row group as features and targets. */
  #bytes(group: number): number {
    return 4 * (this.featureNames.length + this.#targets.length) * this.#file.groups[group]!.rows;
  }

  #encoders(): readonly Feature[] {
    const { missing } = this.#options;
    const fitted = this.#fitted?.map((index) => this.#row(index)) ?? this.#kept;
    const counts = fitted && membership(fitted, this.#file.rows);
    this.#features ??= featuresOf(this.#file, this.#columns, this.#categories, counts, {
      ...this.#options,
      missing,
    });
    return this.#features;
  }

  #groups(): GroupCache<Encoded> {
    const { cacheBytes } = this.#options;
    this.#cache ??= new GroupCache(
      this.#file,
      [...this.#columns, ...this.#targets],
      cacheBytes,
      (group, cells) => this.#encode(group, cells),
    );
    return this.#cache;
  }

  #encode(group: number, cells: readonly ParquetCells[]): Encoded {
    const { rows } = this.#file.groups[group]!;
    const features = this.#encoders();
    const inputs = new Float32Array(rows * this.featureNames.length);
    const width = this.featureNames.length;
    let at = 0;
    features.forEach((feature, i) => {
      const values = this.#values(group, this.#columns[i]!, cells[i]!);
      for (let row = 0; row < rows; row++) feature.write(values[row]!, inputs, row * width + at);
      at += feature.names.length;
    });
    const wide = this.#targets.length;
    const targets = this.classes === undefined ? new Float32Array(rows * wide) : new Int32Array(rows);
    this.#targets.forEach((use, t) => {
      const values = this.#values(group, use, cells[features.length + t]!);
      for (let row = 0; row < rows; row++) targets[row * wide + t] = values[row]!;
    });
    return { inputs, targets, bytes: inputs.byteLength + targets.byteLength };
  }

  /** Numbers, NaN where one is missing, or numbers of categories, -1 where one is missing. @throws where none may be */
  #values(group: number, use: ParquetUse, cells: ParquetCells): ArrayLike<number> {
    const { missing } = this.#options;
    const strict = missing === "error" || (missing !== "drop" && this.#targets.includes(use));
    if ("numbers" in cells) {
      const row = strict ? cells.numbers.findIndex(Number.isNaN) : -1;
      if (row >= 0) throw this.#missing(use, `row ${this.#starts[group]! + row}`);
      return cells.numbers;
    }
    const row = strict ? cells.indices.indexOf(-1) : -1;
    if (row >= 0) throw this.#missing(use, `row ${this.#starts[group]! + row}`);
    const numbers = new Map(this.#categories.get(use.name)!.map((name, i) => [name, i]));
    const own = cells.texts.map((text) => numbers.get(text) ?? -1);
    return cells.indices.map((index) => own[index] ?? -1);
  }
}

/**
 * Opens a Parquet file, with the options and samples of {@link csv}:
 *
 * ```ts
 * const table = data.parquet("flights.parquet", { target: "delay", normalize: "standard", missing: "median" });
 * const [train, test] = table.split([0.9, 0.1]); // scaled by what `train` says
 * ```
 *
 * Row groups are read when they are needed, ahead of time by a thread. Compressed by snappy, gzip, zstd, brotli or LZ4, or not.
 *
 * @param file relative to the `.nn.ts` file or to the working directory, or absolute
 * @throws TensorError for a file that is not Parquet; for unknown columns; for nested and binary columns, unless their
 * type is "skip"
 */
export function parquet(file: string, options: ParquetOptions = {}): ParquetDataset {
  return new ParquetDataset(dataFiles("parquet").parquet(file), options);
}

const isUsed = ({ type }: ParquetUse): boolean => type === "number" || type === "category";
