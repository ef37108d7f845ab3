import type { DType } from "../tensor/core/dtype.ts";
import { TensorError } from "../tensor/core/errors.ts";
import { castTo } from "../tensor/functions/pointwise/operands.ts";
import { valuesOf } from "../tensor/planning/barrier.ts";
import { fromHost, type Tensor } from "../tensor/core/tensor.ts";

const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * Sequences of different lengths without padding: step by step, the rows of all sequences that are that long. Made by
 * `nn.utils.rnn.packPaddedSequence` and `packSequence`; recurrent layers take it and answer with one.
 */
export class PackedSequence {
  /** [rows, *]: first elements of all sequences, then second ones, … */
  readonly data: Tensor;
  /** How many sequences have each step, an int64 vector. */
  readonly batchSizes: Tensor;
  /** Where each of the sequences, longest first, comes from; null when they came in that order. */
  readonly sortedIndices: Tensor | null;
  /** The inverse: where each original sequence is now. */
  readonly unsortedIndices: Tensor | null;

  constructor(
    data: Tensor,
    batchSizes: Tensor,
    sortedIndices: Tensor | null = null,
    unsortedIndices: Tensor | null = null,
  ) {
    this.data = data;
    this.batchSizes = batchSizes;
    this.sortedIndices = sortedIndices;
    this.unsortedIndices = unsortedIndices ?? invertPermutation(sortedIndices);
  }

  /** Other rows in the same arrangement. */
  with(data: Tensor): PackedSequence {
    return new PackedSequence(data, this.batchSizes, this.sortedIndices, this.unsortedIndices);
  }

  /** With the rows in another type. */
  to(target: DType | "cpu"): PackedSequence {
    const data = target === "cpu" ? this.data : castTo(this.data, target);
    return data === this.data ? this : this.with(data);
  }

  /** `const [data, batchSizes, sortedIndices, unsortedIndices] = packed`. */
  *[Symbol.iterator](): Iterator<Tensor | null> {
    yield this.data;
    yield this.batchSizes;
    yield this.sortedIndices;
    yield this.unsortedIndices;
  }

  toString(): string {
    const text = (x: Tensor | null): string => (x === null ? "None" : x.toString());
    return `PackedSequence(data=${text(this.data)}, batch_sizes=${text(this.batchSizes)}, sorted_indices=${text(this.sortedIndices)}, unsorted_indices=${text(this.unsortedIndices)})`;
  }

  [INSPECT](): string {
    return this.toString();
  }
}

/** The permutation that takes another one back. */
export function invertPermutation(permutation: Tensor): Tensor;
export function invertPermutation(permutation: Tensor | null): Tensor | null;
export function invertPermutation(permutation: Tensor | null): Tensor | null {
  if (permutation === null) return null;
  const inverse = new Int32Array(permutation.numel());
  valuesOf(permutation.value).forEach((to, from) => (inverse[to] = from));
  return indices(inverse);
}

/** An int64 vector. */
export function indices(values: ArrayLike<number>): Tensor {
  const data = Int32Array.from(values);
  return fromHost(data, [data.length], "int64");
}

/**
 * The numbers of steps that sequences have, longest first, as sizes of the steps.
 * @throws TensorError for a length below 1
 */
export function sizesOfLengths(lengths: readonly number[]): number[] {
  if (lengths.some((n) => n <= 0)) {
    throw new TensorError(
      "value",
      "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0",
    );
  }
  return Array.from({ length: lengths[0]! }, (_, t) => lengths.findLastIndex((n) => n > t) + 1);
}

/** The opposite: how many steps each sequence has. */
export function lengthsOfSizes(sizes: ArrayLike<number>): number[] {
  const lengths: number[] = [];
  for (let t = sizes.length - 1; t >= 0; t--) while (lengths.length < sizes[t]!) lengths.push(t + 1);
  return lengths;
}

/** Row of the first sequence at each step. */
export function rowStarts(sizes: ArrayLike<number>): number[] {
  let at = 0;
  return Array.from(sizes, (size) => (at += size) - size);
}
