// Functions that combine elements along dimensions.
import { apply } from "../../recording/apply.ts";
import { SCALAR_TYPE, type DType } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import type { Op } from "../../recording/op.ts";
import * as elementwise from "../../ops/elementwise/elementwise.ts";
import * as movement from "../../ops/movement/movement.ts";
import * as ops from "../../ops/reduction/reduction.ts";
import * as scan from "../../ops/reduction/scan.ts";
import * as softmaxes from "../../ops/reduction/softmax.ts";
import { normalizeDim, numel } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { turned } from "../shape/along.ts";
import {
  castTo,
  composed,
  constant,
  named,
  notImplemented,
  toFloat,
  type Dims,
} from "../pointwise/operands.ts";
import {
  extremum,
  optionsOf,
  reduction,
  type DimArgument,
  type KeepdimArgument,
  type ReduceOptions,
} from "./options.ts";
import { copied, reshaped } from "../shape/views.ts";
import { call } from "../../ops/expressions.ts";

export type { DimArgument, KeepdimArgument, ReduceOptions } from "./options.ts";

/** The input as `dtype`; by default booleans as int64. */
const numeric = (x: Tensor, dtype?: DType): Tensor =>
  castTo(x, dtype ?? (x.dtype === "bool" ? "int64" : x.dtype));

/** The sum or product of truth values, a truth value again: whether any or all elements differ from 0. */
function ofTruths(reduce: typeof sum, input: Tensor, options: ReduceOptions): Tensor {
  return composed(() => castTo(reduce(castTo(input, "bool"), { ...options, dtype: "int64" }), "bool"));
}

const isOfAll = ({ dim }: ReduceOptions): boolean => dim === undefined || dim === null;

/** Sum over dimensions; integers and booleans sum to int64. */
export function sum(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  if (dim === undefined && keepdim === undefined && input.dtype === "float32") {
    return named(apply(movement.sum, [input], reduction(input, {})), "SumBackward0");
  }
  const options = optionsOf(dim, keepdim);
  if (options.dtype === "bool") return ofTruths(sum, input, options);
  const x = numeric(input, options.dtype);
  return named(
    apply(movement.sum, [x], reduction(x, options)),
    isOfAll(options) ? "SumBackward0" : "SumBackward1",
  );
}

/**
 * Mean over dimensions.
 * @throws TensorError "mean(): could not infer output dtype. …" for integers
 */
export function mean(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  const options = optionsOf(dim, keepdim);
  const x = options.dtype === undefined ? input : castTo(input, options.dtype);
  if (x.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `mean(): could not infer output dtype. ${options.dtype === undefined ? "Input" : "Optional"} dtype must be either a floating point or complex dtype. Got: ${SCALAR_TYPE[x.dtype]}`,
    );
  }
  return named(
    apply(ops.mean, [x], reduction(x, options)),
    isOfAll(options) ? "MeanBackward0" : "MeanBackward1",
  );
}

/** Product over one dimension or all; integers and booleans multiply to int64. */
export function prod(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  const options = optionsOf(dim, keepdim);
  if (options.dtype === "bool") return ofTruths(prod, input, options);
  const x = numeric(input, options.dtype);
  return named(
    apply(ops.prod, [x], reduction(x, options)),
    isOfAll(options) ? "ProdBackward0" : "ProdBackward1",
  );
}

/** Largest element over dimensions; equal ones share the gradient. */
export function amax(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  return extremum(ops.amax, input, optionsOf(dim, keepdim));
}

/** Smallest element over dimensions; equal ones share the gradient. */
export function amin(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  return extremum(ops.amin, input, optionsOf(dim, keepdim));
}

export interface VarianceOptions extends ReduceOptions {
  /** Number subtracted from the number of elements. Default 1. */
  correction?: number;
  /** PyTorch's older name: true for correction 1, false for 0. */
  unbiased?: boolean;
}

/** Variance over dimensions, divided by N − correction. */
export function variance(
  input: Tensor,
  dim?: Dims | null | VarianceOptions,
  options?: boolean | VarianceOptions,
): Tensor {
  const { x, dims, keepdim, divisor } = spread(input, dim, options);
  return composed(() => {
    const deviation = call(elementwise.sub, x, apply(ops.mean, [x], { dims, keepdim: true }));
    const squares = apply(movement.sum, [call(elementwise.square, deviation)], { dims, keepdim });
    return named(call(elementwise.div, squares, constant(divisor)), "VarBackward0", input);
  });
}

/** Standard deviation over dimensions: the root of `torch.var`, with gradient 0 where it is 0. */
export function std(
  input: Tensor,
  dim?: Dims | null | VarianceOptions,
  options?: boolean | VarianceOptions,
): Tensor {
  const { x, dims, keepdim, divisor } = spread(input, dim, options);
  return composed(() => {
    const deviation = call(elementwise.sub, x, apply(ops.mean, [x], { dims, keepdim: true }));
    const length = apply(ops.norm, [deviation], { dims, keepdim });
    const result = call(elementwise.div, length, constant(Math.sqrt(divisor)));
    return named(result, "StdBackward0", input, result);
  });
}

function spread(
  input: Tensor,
  dim: Dims | null | VarianceOptions | undefined,
  options: boolean | VarianceOptions | undefined,
): { x: Tensor; dims: number[]; keepdim: boolean; divisor: number } {
  if (input.dtype !== "float32") {
    throw new TensorError("dtype", "std and var only support floating point and complex dtypes");
  }
  const all: VarianceOptions = optionsOf(dim, typeof options === "boolean" ? { keepdim: options } : options);
  const { dims, keepdim } = reduction(input, all);
  const correction = all.correction ?? (all.unbiased === false ? 0 : 1);
  const count = numel(dims.map((d) => input.shape[d]!));
  return { x: input, dims, keepdim, divisor: Math.max(0, count - correction) };
}

type VarianceArguments = [dim?: Dims | null | VarianceOptions, options?: VarianceOptions];

/** Variance and mean over dimensions. */
export function varMean(input: Tensor, ...rest: VarianceArguments): [Tensor, Tensor] {
  return [variance(input, ...rest), meanOf(input, ...rest)];
}

/** Standard deviation and mean over dimensions. */
export function stdMean(input: Tensor, ...rest: VarianceArguments): [Tensor, Tensor] {
  return [std(input, ...rest), meanOf(input, ...rest)];
}

/** The mean, also where the sum is beyond the largest number. */
function meanOf(input: Tensor, ...rest: VarianceArguments): Tensor {
  return composed(() => {
    const plain = mean(input, ...rest);
    const scaled = (x: Tensor, by: number): Tensor => call(elementwise.mul, x, constant(by));
    const large = scaled(mean(scaled(input, 2 ** -32), ...rest), 2 ** 32);
    const infinite = call(elementwise.eq, call(elementwise.abs, plain), constant(Infinity));
    return named(call(elementwise.where, infinite, large, plain), "MeanBackward1");
  });
}

/** Applies `any` or `all`: unlike other reductions, they keep the input for an empty list of dimensions. */
function truth(op: typeof ops.any, input: Tensor, options: ReduceOptions): Tensor {
  const x = castTo(input, "bool");
  if (Array.isArray(options.dim) && options.dim.length === 0) return x === input ? copied(x) : x;
  return apply(op, [x], reduction(x, options));
}

/** Whether any element is true (not 0). */
export function any(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  return truth(ops.any, input, optionsOf(dim, keepdim));
}

/** Whether every element is true (not 0). */
export function all(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  return truth(ops.all, input, optionsOf(dim, keepdim));
}

/** Number of elements that are not 0. */
export function countNonzero(input: Tensor, dim?: DimArgument): Tensor {
  return composed(() => sum(castTo(input, "bool"), dim));
}

export interface NormOptions extends ReduceOptions {
  p?: number | "fro";
}

/**
 * (Σ|x|ᵖ)^(1/p) over dimensions; p 2 by default, Infinity the largest |x|, 0 the number of elements that are not 0.
 * @throws TensorError "linalg.vector_norm: Expected a floating point or complex tensor as input. Got Long"
 */
export function norm(
  input: Tensor,
  p: number | "fro" | NormOptions = 2,
  dim?: DimArgument,
  keepdim?: KeepdimArgument,
): Tensor {
  if (typeof p === "object") return norm(input, p.p ?? 2, p);
  if (input.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `linalg.vector_norm: Expected a floating point or complex tensor as input. Got ${SCALAR_TYPE[input.dtype]}`,
    );
  }
  const over = reduction(input, optionsOf(dim, keepdim));
  if (p === 2 || p === "fro") return apply(ops.norm, [input], over);
  return composed(() => {
    const size = call(elementwise.abs, input);
    const length = (x: Tensor): Tensor => named(x, "LinalgVectorNormBackward0", input, x);
    if (p === 1) return length(apply(movement.sum, [size], over));
    if (p === Infinity) return length(apply(ops.amax, [size], over));
    if (p === -Infinity) return length(apply(ops.amin, [size], over));
    if (p === 0) {
      // NaN is not 0.
      const counted = call(elementwise.where, call(elementwise.isnan, size), constant(1), size);
      return length(apply(movement.sum, [call(elementwise.sign, counted)], over));
    }
    return length(powerOf(apply(movement.sum, [powerOf(size, p)], over), 1 / p));
  });
}

/** xᵖ for x ≥ 0, with gradient 0 where x is 0. */
function powerOf(x: Tensor, p: number): Tensor {
  const of = (op: Op<object>, ...inputs: Tensor[]): Tensor => apply(op, inputs, {});
  const zero = of(elementwise.eq, x, constant(0));
  const power = of(elementwise.pow, of(elementwise.where, zero, constant(1), x), constant(p));
  return of(elementwise.where, zero, constant(p < 0 ? Infinity : 0), power);
}

/** log Σ eˣ over dimensions, without overflow. */
export function logsumexp(input: Tensor, dim: DimArgument, keepdim?: KeepdimArgument): Tensor {
  const x = toFloat(input);
  const over = reduction(x, optionsOf(dim, keepdim));
  if (over.dims.some((d) => x.shape[d] === 0))
    return composed(() => named(call(elementwise.log, apply(movement.sum, [x], over)), "LogsumexpBackward0"));
  return composed(() => {
    const top = apply(ops.amax, [new Tensor(x.value)], { dims: over.dims, keepdim: true });
    const infinite = call(elementwise.eq, call(elementwise.abs, top), constant(Infinity));
    const shift = call(elementwise.where, infinite, constant(0), top);
    const powers = call(elementwise.exp, call(elementwise.sub, x, shift));
    const logs = call(elementwise.log, apply(movement.sum, [powers], over));
    const result = call(elementwise.add, logs, reshaped(shift, logs.shape));
    return named(result, "LogsumexpBackward0", input, result);
  });
}

/** Named arguments: the dimension, and the type that the input is converted to first. */
export interface AlongOptions {
  dim: number;
  dtype?: DType;
}

function along(
  input: Tensor,
  dim: number | AlongOptions,
  options: { dtype?: DType } | undefined,
): { at: number; dtype: DType | undefined } {
  if (typeof dim === "object") return along(input, dim.dim, dim);
  return { at: normalizeDim(dim, input.ndim), dtype: options?.dtype };
}

/** exp(x) / Σ exp(x) along a dimension. */
export function softmax(input: Tensor, dim: number | AlongOptions, options?: { dtype?: DType }): Tensor {
  return alongDim(softmaxes.softmax, "softmax", "SoftmaxBackward0", input, dim, options);
}

/** log(softmax(x)) along a dimension, without overflow. */
export function logSoftmax(input: Tensor, dim: number | AlongOptions, options?: { dtype?: DType }): Tensor {
  return alongDim(softmaxes.logSoftmax, "log_softmax", "LogSoftmaxBackward0", input, dim, options);
}

function alongDim(
  op: Op<object>,
  kernel: string,
  gradient: string,
  given: Tensor,
  dim: number | AlongOptions,
  options: { dtype?: DType } | undefined,
): Tensor {
  const { at, dtype } = along(given, dim, options);
  const input = castTo(given, dtype ?? given.dtype);
  if (input.dtype !== "float32") {
    notImplemented(`${kernel}_${at === input.ndim - 1 ? "lastdim_" : ""}kernel_impl`, input.dtype);
  }
  if (input.ndim === 0) return composed(() => named(reshaped(call(op, reshaped(input, [1])), []), gradient));
  if (at === input.ndim - 1) return call(op, input);
  return composed(() => {
    const result = turned(call(op, turned(input, at)), at, true);
    return named(result, gradient, result);
  });
}

/** Running sum along a dimension; booleans sum to int64. */
export function cumsum(input: Tensor, dim: number | AlongOptions, options?: { dtype?: DType }): Tensor {
  const { at, dtype } = along(input, dim, options);
  if (dtype === "bool") notImplemented("cumsum_out_cpu", dtype);
  const x = numeric(input, dtype);
  return x.ndim === 0 ? copied(x) : apply(scan.cumsum, [x], { dim: at, reverse: false });
}

/** Running product along a dimension; booleans multiply to int64. */
export function cumprod(input: Tensor, dim: number | AlongOptions, options?: { dtype?: DType }): Tensor {
  const { at, dtype } = along(input, dim, options);
  if (dtype === "bool") notImplemented("cumprod_out_cpu", dtype);
  const x = numeric(input, dtype);
  return x.ndim === 0 ? copied(x) : apply(scan.cumprod, [x], { dim: at });
}
