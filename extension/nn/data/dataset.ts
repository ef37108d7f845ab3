import { kindOf, TensorError } from "../../tensor/core/errors.ts";
import { randomSplit as splitAtRandom } from "../../tensor/random/dataSamplers.ts";
import { defaultStream, type RandomStream } from "../../tensor/random/stream.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { numel } from "../../tensor/core/shape.ts";
import type { Slice } from "../../tensor/functions/shape/slice.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { listTensors } from "../../tensor/core/tensorLike.ts";
import { IterableDataset, listDatasets } from "./iterable.ts";
import { warnOnce } from "../warnings.ts";
import { bind, REQUIRED, type Call } from "../arguments.ts";
import type { Blocks } from "./blocks.ts";
import { numbersOf, type Numbers } from "./sampler.ts";

/**
 * Samples by number. Subclasses say how many there are and what each one is:
 *
 * ```ts
 * class Squares extends data.Dataset<[Tensor, Tensor]> {
 *   length = 100;
 *   get(i: number): [Tensor, Tensor] { return [torch.tensor(i), torch.tensor(i * i)]; }
 * }
 * ```
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- subclasses say by it what their samples are
export abstract class Dataset<Sample = unknown> {
  /** Number of samples. */
  abstract readonly length: number;
  /** One sample: tensors, numbers, strings, or arrays and objects of them. */
  abstract get(index: number): Sample;

  /** Several samples as one batch, quicker than one by one; undefined when the data set has no such way. */
  getBatch?(indices: readonly number[]): unknown;

  /**
   * @internal Whether batches may be read before it is their turn: reading them draws nothing and calls no code of the
   * user's.
   */
  get fixed(): boolean {
    return false;
  }

  /** @internal Has threads read ahead the parts of samples that user code doesn't make, in this order. */
  readAhead?(indices: readonly number[]): void;

  /** @internal Discards what was read ahead and not used. */
  endReadAhead?(): void;

  /** @internal How to read a set larger than the memory; undefined for sets with equal access to all samples. */
  get blocks(): Blocks | undefined {
    return undefined;
  }

  /** Derives facts about the data, such as the scaling of numbers, from these samples alone. */
  fit?(indices: readonly number[]): void;

  /** Converts unscaled numbers to the input of a sample. */
  encodeRow?(row: readonly number[]): number[];

  /** Converts texts by the names of their columns to the input of a sample; undefined where a column is not there. */
  encodeCells?(cells: ReadonlyMap<string, string>): number[] | undefined;

  // By its `get`: a subclass may leave out what its samples are.
  *[Symbol.iterator](): IterableIterator<ReturnType<this["get"]>> {
    for (let i = 0; i < this.length; i++) yield this.get(i) as ReturnType<this["get"]>;
  }
}

/** Samples by number, in any object. */
export interface Indexable<Sample> {
  readonly length: number;
  get(index: number): Sample;
}

/** Source of a data set: a data set, another object with `length` and `get`, or an array of samples. */
export type SampleSource<Sample> = Dataset<Sample> | Indexable<Sample> | readonly Sample[];

/** A plain list as a data set. */
class ListDataset<Sample> extends Dataset<Sample> {
  private readonly list: readonly Sample[];

  constructor(list: readonly Sample[]) {
    super();
    this.list = list;
  }

  get length(): number {
    return this.list.length;
  }

  get(index: number): Sample {
    return this.list[checkIndex(index, this.length)]!;
  }
}

class RowDataset extends Dataset<Tensor> {
  private readonly tensor: Tensor;

  constructor(tensor: Tensor) {
    super();
    this.tensor = tensor;
  }

  get length(): number {
    return this.tensor.shape[0] ?? 0;
  }

  get(index: number): Tensor {
    return new TensorDataset(this.tensor).get(index)[0];
  }

  override getBatch(indices: readonly number[]): Tensor {
    return rows(this.tensor, checkIndices(indices, this.length));
  }
}

/**
 * Returns the data set of a source: itself, an array of samples, the rows of a tensor.
 * @throws TensorError for a source without samples by number
 */
export function asDataset<Sample>(source: SampleSource<Sample> | Tensor): Dataset<Sample> {
  if (source instanceof Dataset) return source;
  if (source instanceof Tensor) return new RowDataset(source) as Dataset<unknown> as Dataset<Sample>;
  if (Array.isArray(source)) return new ListDataset(source as readonly Sample[]);
  const { length, get } = (source ?? {}) as Partial<Indexable<Sample>>;
  if (typeof length === "number" && typeof get === "function") return source as Dataset<Sample>;
  throw new TensorError(
    "value",
    `object of type '${kindOf(source)}' has no samples by number`,
    "a data set is an array, or an object with length and get(index)",
  );
}

/** Rows of a tensor by number, copied on the host. Neighbouring rows share the tensor's memory. */
export function rows(tensor: Tensor, indices: readonly number[]): Tensor {
  const { shape, dtype } = tensor;
  const first = indices[0] ?? 0;
  const neighbours = indices.every((index, i) => index === first + i);
  // In-place changes of a batch don't change the data.
  if (neighbours && indices.length === shape[0]) return new Tensor(tensor.value.copied() ?? tensor.value);
  const values = valuesOf(tensor.value);
  const size = numel(shape.slice(1));
  const outShape = [indices.length, ...shape.slice(1)];
  if (neighbours) {
    return fromHost(values.subarray(first * size, (first + indices.length) * size), outShape, dtype);
  }
  const out = values.slice(0, indices.length * size);
  indices.forEach((index, i) => out.set(values.subarray(index * size, (index + 1) * size), i * size));
  return fromHost(out, outShape, dtype);
}

/** A sample's number, counted from the end when it is negative. @throws TensorError when there is no such sample */
export function checkIndex(index: number, length: number): number {
  const at = index < 0 ? index + length : index;
  if (Number.isInteger(at) && at >= 0 && at < length) return at;
  throw new TensorError("index", `index ${index} is out of range for ${length} samples`);
}

/** The numbers of the samples of a batch, counted from the front. @throws TensorError for a number out of range */
export function checkIndices(indices: readonly number[], length: number): readonly number[] {
  const isPlain = (i: number): boolean => Number.isInteger(i) && i >= 0 && i < length;
  return indices.every(isPlain) ? indices : indices.map((i) => checkIndex(i, length));
}

/**
 * Samples that are rows of tensors: sample i is `[tensor[i], …]`.
 *
 * ```ts
 * const set = new data.TensorDataset(torch.randn(10, 3), torch.randint(0, 2, [10]));
 * set.get(0); // [tensor of 3 numbers, tensor of a class]
 * set.get("0:5"); // [tensor of 5 rows, tensor of 5 classes]
 * ```
 * @throws TensorError "Size mismatch between tensors"
 */
export class TensorDataset<T extends readonly Tensor[] = readonly Tensor[]> extends Dataset<T> {
  readonly tensors: T;

  constructor(...tensors: T) {
    super();
    listTensors("TensorDataset", "tensors", tensors);
    if (tensors.some((t) => t.ndim === 0 || t.shape[0] !== tensors[0]!.shape[0])) {
      throw new TensorError("shape", "Size mismatch between tensors");
    }
    this.tensors = tensors;
  }

  get length(): number {
    return this.tensors[0]?.shape[0] ?? 0;
  }

  /** One sample; with a slice ("0:5"), a list of numbers or a tensor, the chosen rows of each tensor. */
  get(index: number | string | readonly number[] | Slice | Tensor): T {
    if (typeof index !== "number") return this.tensors.map((t) => t.index(index)) as unknown as T;
    const at = checkIndex(index, this.length);
    return this.tensors.map((t) => {
      const { shape, dtype } = t;
      const size = numel(shape.slice(1));
      const row = valuesOf(t.value).subarray(at * size, (at + 1) * size);
      return fromHost(row, shape.slice(1), dtype);
    }) as unknown as T;
  }

  override getBatch(indices: readonly number[]): Tensor[] {
    const at = checkIndices(indices, this.length);
    return this.tensors.map((t) => rows(t, at));
  }

  override get fixed(): boolean {
    return this.getBatch === TensorDataset.prototype.getBatch;
  }
}

/**
 * Some samples of another data set, in the order of their numbers.
 *
 * ```ts
 * new data.Subset(data.iris(), [0, 50, 100]).length; // 3
 * ```
 */
export class Subset<Sample = unknown> extends Dataset<Sample> {
  readonly dataset: Dataset<Sample>;
  readonly indices: readonly number[];

  constructor(dataset: SampleSource<Sample>, ...rest: Call<{ indices: Numbers }, "indices">) {
    super();
    this.dataset = asDataset(dataset);
    this.indices = numbersOf(bind<{ indices: Numbers }>("Subset", rest, { indices: REQUIRED }).indices);
  }

  get length(): number {
    return this.indices.length;
  }

  get(index: number): Sample {
    return this.dataset.get(this.indices[checkIndex(index, this.length)]!);
  }

  override getBatch(indices: readonly number[]): unknown {
    return this.dataset.getBatch?.(this.numbersIn(indices));
  }

  override get fixed(): boolean {
    return this.getBatch === Subset.prototype.getBatch && this.dataset.fixed;
  }

  override readAhead(indices: readonly number[]): void {
    this.dataset.readAhead?.(this.numbersIn(indices));
  }

  /** The numbers that samples have in the other data set. */
  private numbersIn(indices: readonly number[]): number[] {
    return checkIndices(indices, this.length).map((i) => this.indices[i]!);
  }

  override endReadAhead(): void {
    this.dataset.endReadAhead?.();
  }

  override get blocks(): Blocks | undefined {
    const { blocks } = this.dataset;
    return blocks && { ...blocks, of: (index) => blocks.of(this.indices[index]!) };
  }
}

/**
 * Data sets one after the other.
 *
 * ```ts
 * new data.ConcatDataset([data.iris(), data.iris()]).length; // 300
 * ```
 * @throws TensorError "datasets should not be an empty iterable", "ConcatDataset does not support IterableDataset"
 */
export class ConcatDataset<Sample = unknown> extends Dataset<Sample> {
  readonly datasets: readonly Dataset<Sample>[];

  constructor(datasets: Iterable<SampleSource<Sample>>) {
    super();
    const list = listDatasets("ConcatDataset", datasets);
    if (list.length === 0) {
      throw new TensorError("value", "datasets should not be an empty iterable");
    }
    if (list.some((one) => one instanceof IterableDataset)) {
      throw new TensorError("value", "ConcatDataset does not support IterableDataset");
    }
    this.datasets = list.map((one) => asDataset(one));
  }

  get length(): number {
    return this.datasets.reduce((n, d) => n + d.length, 0);
  }

  /** For each data set, the number of samples in it and in those before it. */
  get cumulativeSizes(): number[] {
    let total = 0;
    return this.datasets.map((one) => (total += one.length));
  }

  get(index: number): Sample {
    let at = checkIndex(index, this.length);
    for (const dataset of this.datasets) {
      if (at < dataset.length) return dataset.get(at);
      at -= dataset.length;
    }
    throw new TensorError("index", `index ${index} is out of range for ${this.length} samples`);
  }
}

/** A data set, or another object or array with samples by number. */
// oxlint-disable-next-line typescript/no-explicit-any -- a part of any samples
type Part = SampleSource<any>;
const isPlainObject = (x: unknown): boolean =>
  typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype && !("get" in x);

type Parts = readonly Part[] | Readonly<Record<string, Part>>;

/** One sample of each part, in the parts' form. */
export type Stacked<P extends Parts> = {
  -readonly [K in keyof P]: P[K] extends SampleSource<infer Sample> ? Sample : P[K];
};

/**
 * Data sets of equal length side by side: sample i has sample i of each.
 *
 * ```ts
 * new data.StackDataset(images, texts).get(0); // [image, text]
 * new data.StackDataset({ image: images, text: ["a", "b"] }).get(0); // { image, text: "a" }
 * ```
 *
 * @throws TensorError "Size mismatch between datasets", "At least one dataset should be passed"
 */
export class StackDataset<P extends Parts = Parts> extends Dataset<Stacked<P>> {
  readonly datasets: P;
  readonly length: number;

  constructor(datasets: P & Readonly<Record<string, Part>>);
  constructor(...datasets: P & readonly Part[]);
  constructor(...datasets: readonly unknown[]) {
    super();
    const [first] = datasets;
    const named = datasets.length === 1 && isPlainObject(first);
    this.datasets = (named ? first : datasets) as P;
    const parts = Object.values(this.datasets as Readonly<Record<string, Part>>).map((one) => asDataset(one));
    if (parts.length === 0) throw new TensorError("value", "At least one dataset should be passed");
    this.length = parts[0]!.length;
    if (parts.some(({ length }) => length !== this.length)) {
      throw new TensorError("value", "Size mismatch between datasets");
    }
  }

  get(index: number): Stacked<P> {
    const at = checkIndex(index, this.length);
    const of = (one: Part): unknown => asDataset(one).get(at);
    const sample: unknown = Array.isArray(this.datasets)
      ? this.datasets.map(of)
      : Object.fromEntries(
          Object.entries(this.datasets as Record<string, Part>).map(([name, one]) => [name, of(one)]),
        );
    return sample as Stacked<P>;
  }
}

interface SplitOptions {
  /** How many samples each part gets, or fractions that add up to 1. */
  lengths: Numbers;
  /** Where the order is drawn from; the global generator by default. */
  generator?: RandomStream | null;
}

/**
 * Splits a data set at random, as PyTorch does for the same seed. The parts of a set that is read in blocks, such as a large Parquet
 * file, have its order.
 * @throws TensorError "Sum of input lengths does not equal the length of the input dataset!"
 */
export function randomSplit<Sample>(
  dataset: SampleSource<Sample>,
  ...rest: Call<SplitOptions, "lengths generator">
): Subset<Sample>[] {
  const { lengths, generator } = bind<SplitOptions>("random_split", rest, {
    lengths: REQUIRED,
    generator: null,
  });
  const parts = splitAtRandom(asDataset(dataset).length, numbersOf(lengths), generator ?? defaultStream);
  parts.forEach((part, i) => {
    if (part.length === 0) {
      warnOnce(`Length of split at index ${i} is 0. This might result in an empty dataset.`);
    }
  });
  const inBlocks = dataset instanceof Dataset && dataset.blocks !== undefined;
  return parts.map((indices) => new Subset(dataset, inBlocks ? indices.sort((a, b) => a - b) : indices));
}
