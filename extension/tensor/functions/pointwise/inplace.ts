// Functions that write into a tensor: all that share its memory see the new values.
import { apply } from "../../recording/apply.ts";
import { promoteTypes, SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { fillValue } from "../../recording/graph.ts";
import { expand as expandOp } from "../../ops/movement/movement.ts";
import * as draws from "../../random/draws.ts";
import { defaultStream, type RandomStream, type ReadyDraw } from "../../random/stream.ts";
import { broadcastShapes, numel, sameShape, strides } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import * as arithmetic from "./arithmetic.ts";
import * as elementwise from "./elementwise.ts";
import { tril, triu } from "../creation/creation.ts";
import * as gathering from "../indexing/gathering.ts";
import * as placing from "../shape/placing.ts";
import { castTo, notImplemented, type Operand } from "./operands.ts";
import { isContiguous } from "../shape/parts.ts";
import { permute } from "../shape/shape.ts";
import { copied, overwrite } from "../shape/views.ts";

/**
 * Writes a result into the tensor it was computed from.
 * @throws TensorError "result type Float can't be cast to the desired output type Long"
 */
export function assign(input: Tensor, result: Tensor): Tensor {
  if (promoteTypes(input.dtype, result.dtype) !== input.dtype) {
    throw new TensorError(
      "dtype",
      `result type ${SCALAR_TYPE[result.dtype]} can't be cast to the desired output type ${SCALAR_TYPE[input.dtype]}`,
    );
  }
  return input.write(castTo(result, input.dtype));
}

/** input += alpha · other. */
export const add_ = (input: Tensor, other: Operand, options?: { alpha?: number }): Tensor =>
  assign(input, arithmetic.add(input, other, options));
/** input −= alpha · other. */
export const sub_ = (input: Tensor, other: Operand, options?: { alpha?: number }): Tensor =>
  assign(input, arithmetic.sub(input, other, options));
/** input ·= other. */
export const mul_ = (input: Tensor, other: Operand): Tensor => assign(input, arithmetic.mul(input, other));
/** input /= other. */
export const div_ = (
  input: Tensor,
  other: Operand,
  options?: { roundingMode?: arithmetic.RoundingMode },
): Tensor => assign(input, arithmetic.div(input, other, options));
/** input = inputᵉ. */
export const pow_ = (input: Tensor, exponent: Operand): Tensor =>
  assign(input, arithmetic.pow(input, exponent));
/** input = input mod other, with the sign of other. */
export const remainder_ = (input: Tensor, other: Operand): Tensor =>
  assign(input, arithmetic.remainder(input, other));
/** input += value · tensor1 · tensor2. */
export const addcmul_ = (input: Tensor, a: Tensor, b: Tensor, options?: { value?: number }): Tensor =>
  assign(input, arithmetic.addcmul(input, a, b, options));
/** input += value · tensor1 / tensor2. */
export const addcdiv_ = (input: Tensor, a: Tensor, b: Tensor, options?: { value?: number }): Tensor =>
  assign(input, arithmetic.addcdiv(input, a, b, options));
/** input += weight · (end − input). */
export const lerp_ = (input: Tensor, end: Tensor, weight: Operand): Tensor =>
  assign(input, arithmetic.lerp(input, end, weight));
/** Elements moved into [min, max]. */
export const clamp_ = (
  input: Tensor,
  min?: Operand | null | { min?: Operand | null; max?: Operand | null },
  max?: Operand | null,
): Tensor => assign(input, arithmetic.clamp(input, min, max));
export const neg_ = (input: Tensor): Tensor => assign(input, elementwise.neg(input));
export const abs_ = (input: Tensor): Tensor => assign(input, elementwise.abs(input));
export const exp_ = (input: Tensor): Tensor => assign(input, elementwise.exp(input));
export const log_ = (input: Tensor): Tensor => assign(input, elementwise.log(input));
export const sqrt_ = (input: Tensor): Tensor => assign(input, elementwise.sqrt(input));
export const square_ = (input: Tensor): Tensor => assign(input, elementwise.square(input));
export const reciprocal_ = (input: Tensor): Tensor => assign(input, elementwise.reciprocal(input));
export const relu_ = (input: Tensor): Tensor => assign(input, elementwise.relu(input));
export const sigmoid_ = (input: Tensor): Tensor => assign(input, elementwise.sigmoid(input));
export const tanh_ = (input: Tensor): Tensor => assign(input, elementwise.tanh(input));
export const floor_ = (input: Tensor): Tensor => assign(input, elementwise.floor(input));
export const ceil_ = (input: Tensor): Tensor => assign(input, elementwise.ceil(input));
export const round_ = (input: Tensor, options?: { decimals?: number }): Tensor =>
  assign(input, elementwise.round(input, options));
/** `value` where the mask holds. */
export const maskedFill_ = (input: Tensor, mask: Tensor, value: Operand): Tensor =>
  input.write(elementwise.maskedFill(input, mask, value));
/** The values of `source` at the places of an index along a dimension. */
export const scatter_ = (
  input: Tensor,
  dim: number,
  indices: Tensor,
  source: Tensor | number,
  options?: { reduce?: "add" },
): Tensor => input.write(gathering.scatter(input, dim, indices, source, options));
/** `source` added at the places of an index along a dimension. */
export const scatterAdd_ = (input: Tensor, dim: number, indices: Tensor, source: Tensor): Tensor =>
  input.write(gathering.scatterAdd(input, dim, indices, source));

/** alpha · the rows of `source` added at the places of an index. */
export const indexAdd_ = (
  input: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor,
  options?: { alpha?: number },
): Tensor => input.write(placing.indexAdd(input, dim, index, source, options));
/** The rows of `source` at the places of an index. */
export const indexCopy_ = (input: Tensor, dim: number, index: Tensor, source: Tensor): Tensor =>
  input.write(placing.indexCopy(input, dim, index, source));
/** One value in the rows at the places of an index. */
export const indexFill_ = (input: Tensor, dim: number, index: Tensor, value: number | Tensor): Tensor =>
  input.write(placing.indexFill(input, dim, index, value));
/** The elements of `source`, one after the other, where the mask holds. */
export const maskedScatter_ = (input: Tensor, mask: Tensor, source: Tensor): Tensor =>
  input.write(placing.maskedScatter(input, mask, source));
/** The values of `source` at the places of an index combined with what is there. */
export const scatterReduce_ = (
  input: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor,
  reduce: placing.ScatterReduction,
  options?: { includeSelf?: boolean },
): Tensor => input.write(placing.scatterReduce(input, dim, index, source, reduce, options));
/** The lower triangle, zeros elsewhere. */
export const tril_ = (input: Tensor, diagonal?: number): Tensor => input.write(tril(input, diagonal));
/** The upper triangle, zeros elsewhere. */
export const triu_ = (input: Tensor, diagonal?: number): Tensor => input.write(triu(input, diagonal));

/**
 * Writes a number on the main diagonal, in place; with `wrap` the diagonal of a tall matrix begins again below itself.
 * @throws TensorError "dimensions must larger than 1", "all dimensions of input must be of equal length"
 */
export function fillDiagonal_(
  input: Tensor,
  fillValue: number,
  wrap: boolean | { wrap?: boolean } = false,
): Tensor {
  const { shape } = input;
  if (shape.length < 2) throw new TensorError("shape", "dimensions must larger than 1");
  if (shape.length > 2 && shape.some((size) => size !== shape[0])) {
    throw new TensorError("shape", "all dimensions of input must be of equal length");
  }
  const length = numel(shape);
  const columns = shape.at(-1)!;
  const around = (typeof wrap === "boolean" ? wrap : wrap.wrap === true) && shape.length === 2;
  const end = around || shape.length > 2 ? length : Math.min(length, columns * columns);
  const step = strides(shape).reduce((sum, stride) => sum + stride, 0);
  const mask = new Uint8Array(length);
  for (let i = 0; i < end; i += step) mask[i] = 1;
  return maskedFill_(input, fromHost(mask, shape, "bool"), fillValue);
}
export const trunc_ = (input: Tensor): Tensor => assign(input, arithmetic.trunc(input));
export const sign_ = (input: Tensor): Tensor => assign(input, elementwise.sign(input));
export const rsqrt_ = (input: Tensor): Tensor => assign(input, elementwise.rsqrt(input));
export const sin_ = (input: Tensor): Tensor => assign(input, elementwise.sin(input));
export const cos_ = (input: Tensor): Tensor => assign(input, elementwise.cos(input));
/** Elements moved up to a bound. */
export const clampMin_ = (input: Tensor, min: Operand): Tensor => assign(input, arithmetic.clamp(input, min));
/** Elements moved down to a bound. */
export const clampMax_ = (input: Tensor, max: Operand): Tensor =>
  assign(input, arithmetic.clamp(input, null, max));
/** input = ⌊input / other⌋. */
export const floorDivide_ = (input: Tensor, other: Operand): Tensor =>
  assign(input, arithmetic.floorDivide(input, other));
/** input = input mod other, with the sign of input. */
export const fmod_ = (input: Tensor, other: Operand): Tensor => assign(input, arithmetic.fmod(input, other));

/** All elements 0. */
export function zero_(input: Tensor): Tensor {
  return overwrite(input, new Tensor(fillValue(0, input.shape, input.dtype)));
}

/**
 * All elements one value.
 * @throws TensorError "fill_ only supports 0-dimension value tensor but got tensor with 1 dimensions."
 */
export function fill_(input: Tensor, value: Operand): Tensor {
  if (!(value instanceof Tensor)) {
    const number = Number(value);
    const fitting =
      input.dtype === "bool" ? Number(number !== 0) : input.dtype === "int64" ? Math.trunc(number) : number;
    return overwrite(input, new Tensor(fillValue(fitting, input.shape, input.dtype)));
  }
  if (value.ndim > 0) {
    throw new TensorError(
      "shape",
      `fill_ only supports 0-dimension value tensor but got tensor with ${value.ndim} dimensions.`,
    );
  }
  return copy_(input, value);
}

/** The values of another tensor, broadcast and converted. */
export function copy_(input: Tensor, source: Tensor): Tensor {
  const shape = broadcastShapes(input.shape, source.shape);
  const values = castTo(source, input.dtype);
  return overwrite(
    input,
    sameShape(values.shape, shape) ? copied(values) : apply(expandOp, [values], { shape }),
  );
}

function redraw(input: Tensor, name: string, draw: ReadyDraw, generator: RandomStream | undefined): Tensor {
  if (input.dtype !== "float32") notImplemented(name, input.dtype);
  return drawInto(input, draw, generator);
}

/** Writes what is drawn into a tensor in the order in which its elements lie in PyTorch's memory. */
export function drawInto(input: Tensor, draw: ReadyDraw, generator: RandomStream = defaultStream): Tensor {
  const steps = input.viewStrides();
  const order = [...input.shape.keys()];
  if (steps !== undefined) order.sort((a, b) => steps[b]! - steps[a]!);
  const sizes = order.map((d) => input.shape[d]!);
  const drawn = castTo(generator.tensor(draw, sizes, "float32"), input.dtype);
  return overwrite(input, order.every((d, i) => d === i) ? drawn : permute(drawn, invert(order)));
}

const invert = (order: readonly number[]): number[] => order.map((_, d) => order.indexOf(d));

/** What the functions that draw take. */
export interface DrawOptions {
  /** Draws from this generator instead of the global one. */
  generator?: RandomStream;
}

/** Uniform numbers of [from, to). */
export function uniform_(input: Tensor, from = 0, to = 1, options: DrawOptions = {}): Tensor {
  const draw = draws.uniform(input.numel(), from, to);
  return redraw(input, "check_uniform_bounds", draw, options.generator);
}

/** Normal numbers of a mean and standard deviation. */
export function normal_(input: Tensor, mean = 0, std = 1, options: DrawOptions = {}): Tensor {
  const draw = draws.normal(input.numel(), mean, std, isContiguous(input));
  return redraw(input, "normal_kernel_cpu", draw, options.generator);
}

/** 1 with probability p, else 0. */
export function bernoulli_(input: Tensor, p = 0.5, options: DrawOptions = {}): Tensor {
  return drawInto(input, draws.bernoulli(input.numel(), p), options.generator);
}

/** Exponential numbers of a rate. */
export function exponential_(input: Tensor, lambda = 1, options: DrawOptions = {}): Tensor {
  return redraw(input, "exponential_kernel_cpu", draws.exponential(input.numel(), lambda), options.generator);
}
