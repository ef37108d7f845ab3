// Lengths, dimensions and scales of transforms, as PyTorch's functions take them.
import { SCALAR_TYPE } from "../core/dtype.ts";
import { TensorError } from "../core/errors.ts";
import { normalizeDim, range, type Shape } from "../core/shape.ts";
import type { Tensor } from "../core/tensor.ts";
import { ComplexTensor } from "../complex/complexTensor.ts";
import { toFloat, type Dims } from "../functions/pointwise/operands.ts";
import { pad, reshape } from "../ops/movement/movement.ts";
import { sliceAlong } from "../ops/movement/slicing.ts";
import { apply } from "../recording/apply.ts";
import type { Parts } from "./dft.ts";

/** Which direction has the factor 1/n: the inverse, the forward transform, or half of it each. */
export type Norm = "backward" | "forward" | "ortho";

/**
 * The factor of a transform of n numbers.
 * @throws TensorError 'Invalid normalization mode: "x"'
 */
export function scaleOf(norm: Norm | null | undefined, n: number, forward: boolean): number {
  const mode = norm ?? "backward";
  if (mode === "ortho") return 1 / Math.sqrt(n);
  if (mode !== "backward" && mode !== "forward") {
    throw new TensorError("value", `Invalid normalization mode: "${String(mode)}"`);
  }
  return (mode === "forward") === forward ? 1 / n : 1;
}

/** The parts of what is transformed. */
export const partsFrom = (x: Tensor): Parts =>
  x instanceof ComplexTensor ? { re: x.re, im: x.im } : { re: toFloat(x), im: undefined };

/** @throws TensorError "rfft expects a real input tensor, but got ComplexFloat" */
export function realInput(name: string, x: Tensor): Tensor {
  if (!(x instanceof ComplexTensor)) return toFloat(x);
  const real = name.endsWith("n") || name.endsWith("2") ? "real-valued" : "real";
  throw new TensorError("dtype", `${name} expects a ${real} input tensor, but got ${SCALAR_TYPE[x.dtype]}`);
}

/** @throws TensorError "Invalid number of data points (0) specified" */
export function checkedLength(n: number): number {
  if (n >= 1) return n;
  throw new TensorError("value", `Invalid number of data points (${n}) specified`);
}

/** @throws TensorError "Dimension specified as -1 but tensor has no dimensions" */
export function checkedDim(dim: number, rank: number): number {
  if (rank > 0) return normalizeDim(dim, rank);
  throw new TensorError("index", `Dimension specified as ${dim} but tensor has no dimensions`);
}

/** Dimensions and lengths of a transform of several. A length of -1 is that of the input. */
export function dimensions(
  shape: Shape,
  s: Dims | null | undefined,
  dim: Dims | null | undefined,
): { dims: readonly number[]; lengths: readonly number[] } {
  const rank = shape.length;
  const sizes = typeof s === "number" ? [s] : (s ?? undefined);
  const given = typeof dim === "number" ? [dim] : (dim ?? undefined);
  if (given !== undefined && sizes !== undefined && given.length !== sizes.length) {
    throw new TensorError("value", "When given, dim and shape arguments must have the same length");
  }
  if (given === undefined && sizes !== undefined && sizes.length > rank) {
    throw new TensorError(
      "value",
      `Got shape with ${sizes.length} values but input tensor only has ${rank} dimensions.`,
    );
  }
  const dims =
    given?.map((d) => normalizeDim(d, rank)) ??
    range(rank).slice(sizes === undefined ? 0 : rank - sizes.length);
  if (new Set(dims).size !== dims.length) throw new TensorError("value", "FFT dims must be unique");
  const lengths = dims.map((d, i) => {
    const length = sizes?.[i] ?? -1;
    return length === -1 ? shape[d]! : length;
  });
  return { dims, lengths };
}

/** A dimension cut off or padded with zeros to a length. */
export function resized(x: Parts, dim: number, length: number): Parts {
  const each = (part: Tensor): Tensor => {
    const size = part.shape[dim]!;
    if (size === length) return part;
    if (size > length) return sliceAlong(part, dim, 0, length);
    const none = part.shape.map(() => 0);
    return apply(pad, [part], { before: none, after: none.with(dim, length - size), value: 0 });
  };
  return { re: each(x.re), im: x.im && each(x.im) };
}

/** A transform of the middle of three dimensions, along one of many. */
export function along<P extends Parts>(x: Parts, dim: number, transform: (x: Parts) => P): P {
  const { shape } = x.re;
  const size = (from: number, to: number): number => shape.slice(from, to).reduce((n, d) => n * d, 1);
  const middle = [size(0, dim), shape[dim]!, size(dim + 1, shape.length)];
  const given = (part: Tensor): Tensor => apply(reshape, [part], { shape: middle });
  const result = transform({ re: given(x.re), im: x.im && given(x.im) });
  const back = (part: Tensor): Tensor => apply(reshape, [part], { shape: shape.with(dim, part.shape[1]!) });
  return { ...result, re: back(result.re), im: result.im && back(result.im) };
}
