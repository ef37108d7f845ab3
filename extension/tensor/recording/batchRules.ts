// Batching rules that many ops share.
import type { Tensor } from "../core/tensor.ts";
import type { BatchContext, BatchRule } from "./op.ts";

/** Kernels that broadcast: samples align by dimensions of length 1. */
export const broadcasting: BatchRule<object> = (c) => {
  const rank = Math.max(...c.signature.outputs.map(({ shape }) => shape.length));
  return c.applyAll(c.inputs.map((_, i) => c.aligned(i, rank)));
};

/** The batch is one more leading dimension: of elements, rows or matrices that the op treats one by one. */
export const leading: BatchRule<object> = (c) => c.applyAll(c.inputs.map((_, i) => c.whole(i)));

/** {@link leading} for ops of the last dimension, which numbers are given. */
export const rowwise: BatchRule<object> = (c) => {
  const { inputs, outputs } = c.signature;
  if (inputs.every(({ shape }) => shape.length > 0)) return leading(c);
  const results = c.applyAll(inputs.map((_, i) => c.aligned(i, 1)));
  return results.map((y, i) => c.reshaped(y, [c.size, ...outputs[i]!.shape]));
};

/** Attributes that count dimensions count one more. */
export const reducing: BatchRule<{ readonly dims: readonly number[] }> = (c) =>
  c.apply(c.inputs, { ...c.attributes, dims: c.attributes.dims.map((d) => d + 1) });

export const along: BatchRule<{ readonly dim: number }> = (c) =>
  c.apply(
    c.inputs.map((_, i) => c.whole(i)),
    { ...c.attributes, dim: c.attributes.dim + 1 },
  );

/**
 * Samples become rows, images or channels: they are merged into a dimension of each input, and the outputs split along a
 * dimension of theirs. The outputs of all other dimensions don't depend on how many there are.
 * @param inner whether the samples take turns
 */
export const merging =
  (inputs: readonly number[], outputs: readonly number[], inner = false) =>
  <A>(c: BatchContext<A>): readonly Tensor[] =>
    c
      .applyAll(c.inputs.map((_, i) => c.merged(c.whole(i), inputs[i]!, inner)))
      .map((y, i) => c.split(y, outputs[i]!, inner));

/** {@link leading}, but for a first matrix that all samples share: they are more columns of the second. */
export const columnwise: BatchRule<object> = (c) => {
  if (c.batched[0]) return leading(c);
  const last = c.signature.inputs[1]!.shape.length - 1;
  return c.split(c.apply([c.inputs[0]!, c.merged(c.inputs[1]!, last)]), last);
};
