// Functions that repeat elements.
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { demandMemory } from "../../core/memory.ts";
import { formatShape, normalizeDim, numel, range } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import * as ops from "../../ops/movement/movement.ts";
import { indexSelect } from "../indexing/gathering.ts";
import { valuesNow } from "../indexing/places.ts";
import { composed, named, notImplemented, sizesOf, type Sizes } from "../pointwise/operands.ts";
import { copied, reshaped } from "./views.ts";

/**
 * Copies of the tensor side by side: `repeats[d]` of them along dimension d.
 * @throws TensorError "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
 */
export function repeat(input: Tensor, ...repeats: Sizes): Tensor {
  const times = sizesOf(repeats);
  const lead = times.length - input.ndim;
  if (lead < 0) {
    throw new TensorError(
      "shape",
      "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor",
    );
  }
  if (times.some((n) => !(n >= 0))) {
    throw new TensorError("value", `Trying to create tensor with negative dimension: ${formatShape(times)}`);
  }
  return composed(() => {
    let x = reshaped(copied(input), [...range(lead).map(() => 1), ...input.shape]);
    times.forEach((n, d) => {
      if (n !== 1) x = repeatedBlocks(x, d, d, n);
    });
    return named(x, "RepeatBackward0");
  });
}

/** Everything from dimension `from` on, `n` times in a row; the copies lengthen dimension `dim`. */
function repeatedBlocks(x: Tensor, from: number, dim: number, n: number): Tensor {
  const before = numel(x.shape.slice(0, from));
  const block = numel(x.shape.slice(from));
  const spread = apply(ops.expand, [reshaped(x, [before, 1, block])], { shape: [before, n, block] });
  return reshaped(
    spread,
    x.shape.map((m, d) => (d === dim ? m * n : m)),
  );
}

/** As {@link repeat}, with missing leading repetitions taken as 1. */
export function tile(input: Tensor, ...repeats: Sizes): Tensor {
  const times = [...sizesOf(repeats)];
  while (times.length < input.ndim) times.unshift(1);
  return repeat(input, times);
}

/**
 * Every element `repeats` times in a row, along `dim` or (without one) of the flattened tensor. A tensor of `repeats` has a
 * number for each element along the dimension, and is read now.
 * @throws TensorError "repeats must have the same size as input along dim, but got repeats.size(0) = 3 and input.size(0) = 2"
 */
export function repeatInterleave(input: Tensor, repeats: number | Tensor, dim?: number): Tensor {
  return composed(() => {
    const x = dim === undefined ? reshaped(input, [input.numel()]) : input;
    const at = normalizeDim(dim ?? 0, x.ndim);
    if (repeats instanceof Tensor) return indexSelect(x, at, repeatedPositions(repeats, x.shape[at]!, at));
    if (!(repeats >= 0)) throw new TensorError("value", "repeats must be non-negative");
    return repeatedBlocks(x, at + 1, at, repeats);
  });
}

/** The positions from 0 to `size`, each as often as the tensor says. */
function repeatedPositions(repeats: Tensor, size: number, dim: number): Tensor {
  if (repeats.dtype !== "int64") notImplemented("repeat_interleave_cpu", repeats.dtype);
  if (repeats.ndim > 1) throw new TensorError("shape", "repeats must be 0-dim or 1-dim tensor");
  const n = repeats.numel();
  if (n !== 1 && n !== size) {
    throw new TensorError(
      "shape",
      `repeats must have the same size as input along dim, but got repeats.size(0) = ${n} and input.size(${dim}) = ${size}`,
    );
  }
  const times = valuesNow(
    repeats,
    "repeatInterleave() with a tensor of repeats",
    "A number of repeats keeps the shape known",
  );
  if (times.some((m) => m < 0)) throw new TensorError("value", "repeats can not be negative");
  let length = 0;
  for (let i = 0; i < size; i++) length += times[n === 1 ? 0 : i]!;
  demandMemory([length]);
  const positions = new Int32Array(length);
  for (let i = 0, at = 0; i < size; i++) positions.fill(i, at, (at += times[n === 1 ? 0 : i]!));
  return fromHost(positions, [length], "int64");
}
