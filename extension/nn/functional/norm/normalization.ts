import { apply, applyAll } from "../../../tensor/recording/apply.ts";
import { kindOf, TensorError } from "../../../tensor/core/errors.ts";
import { pow } from "../../../tensor/functions/pointwise/arithmetic.ts";
import {
  composed,
  constant,
  named,
  notImplemented,
  toFloat,
} from "../../../tensor/functions/pointwise/operands.ts";
import { norm } from "../../../tensor/functions/reduction/reduction.ts";
import { copied, reshaped } from "../../../tensor/functions/shape/views.ts";
import { shift, weigh } from "../../../tensor/ops/matrix/affine.ts";
import { add, div, maximum, mul, rsqrt } from "../../../tensor/ops/elementwise/elementwise.ts";
import { layerNorm as layerNormOp } from "../../../tensor/ops/norm/layerNorm.ts";
import { mean } from "../../../tensor/ops/reduction/reduction.ts";
import { formatShape, numel, range, sameShape, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import { avgPool2d } from "../pooling/averagePooling.ts";
import { pad } from "../vision/pad.ts";
import { byGroups } from "./byGroups.ts";
import { checkParameterTypes } from "./parameterTypes.ts";

type Optional = Tensor | null;

/** Checks what is normalised over the last dimensions; `star` is how the message writes all others. */
function checkLast(
  name: string,
  input: Tensor,
  normalizedShape: Shape,
  tensors: Readonly<Record<string, Optional>>,
  star: string,
): void {
  if (!Array.isArray(normalizedShape)) {
    throw new TensorError(
      "value",
      `${name}(): argument 'normalized_shape' (position 2) must be a list of ints, not ${kindOf(normalizedShape)}`,
    );
  }
  const shape = formatShape(normalizedShape);
  if (normalizedShape.length === 0) {
    throw new TensorError(
      "shape",
      `Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = ${shape}`,
    );
  }
  for (const [parameter, tensor] of Object.entries(tensors)) {
    if (tensor === null || sameShape(tensor.shape, normalizedShape)) continue;
    throw new TensorError(
      "shape",
      `Expected ${parameter} to be of same shape as normalized_shape, but got ${parameter} of shape ${formatShape(tensor.shape)} and normalized_shape = ${shape}`,
    );
  }
  const last = input.shape.slice(-normalizedShape.length);
  if (!sameShape(last, normalizedShape)) {
    throw new TensorError(
      "shape",
      `Given normalized_shape=${shape}, expected input with shape [*${star}${shape.slice(1)}, but got input of size${formatShape(input.shape)}`,
    );
  }
}

export interface LayerNormOptions {
  /** A factor of the normalised shape. */
  weight?: Optional;
  /** Added; of the normalised shape. */
  bias?: Optional;
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
}

/**
 * (x − mean) / √(variance + eps) · weight + bias, with mean and biased variance over the last dimensions.
 * @param normalizedShape the sizes of those dimensions
 * @throws TensorError "Given normalized_shape=[4], expected input with shape [*, 4], but got input of size[2, 3]"
 */
export function layerNorm(input: Tensor, normalizedShape: Shape, options?: LayerNormOptions): Tensor;
export function layerNorm(
  input: Tensor,
  normalizedShape: Shape,
  weight?: Optional,
  bias?: Optional,
  eps?: number,
): Tensor;
export function layerNorm(input: Tensor, normalizedShape: Shape, ...rest: unknown[]): Tensor {
  const { weight, bias, eps } = bind<LayerNormOptions>("layer_norm", rest, {
    weight: null,
    bias: null,
    eps: 1e-5,
  });
  checkLast("layer_norm", input, normalizedShape, { weight, bias }, ", ");
  if (input.dtype !== "float32") {
    if (weight === null && bias === null) notImplemented("LayerNormKernelImpl", input.dtype);
    throw new TensorError("dtype", "mixed dtype (CPU): all inputs must share same datatype.");
  }
  checkParameterTypes(weight, bias);
  if (input.numel() === 0) return nothing(input, weight, bias, "NativeLayerNormBackward0");
  return composed(() => {
    const width = numel(normalizedShape);
    const asIs = normalizedShape.length === 1 && input.ndim > 1;
    const rows = asIs ? input : reshaped(input, [input.numel() / width, width]);
    const flat = (t: Tensor): Tensor => (asIs ? t : reshaped(t, [width]));
    // The op takes a bias only after a weight.
    const inputs = weight === null ? [rows] : [rows, flat(weight), ...(bias === null ? [] : [flat(bias)])];
    const y = applyAll(layerNormOp, inputs, { eps })[0]!;
    const moved = weight === null && bias !== null ? apply(shift, [y, flat(bias)], {}) : y;
    return named(
      asIs ? moved : reshaped(moved, input.shape),
      "NativeLayerNormBackward0",
      input,
      weight,
      bias,
    );
  });
}

/** A norm of no values, from which the gradients of weight and bias are zeros. */
function nothing(input: Tensor, weight: Optional, bias: Optional, gradient: string): Tensor {
  return composed(() => {
    const y = copied(input);
    const scaled = weight === null ? y : apply(weigh, [y, weight], {});
    return named(bias === null ? scaled : apply(shift, [scaled, bias], {}), gradient);
  });
}

export interface RMSNormOptions {
  /** A factor of the normalised shape. */
  weight?: Optional;
  /** Added to the mean square; the smallest difference of float32 from 1 (2⁻²³) when null, the default. */
  eps?: number | null;
}

const EPSILON = 2 ** -23;

/**
 * x / √(mean(x²) + eps) · weight, with the mean over the last dimensions.
 * @param normalizedShape the sizes of those dimensions
 */
export function rmsNorm(input: Tensor, normalizedShape: Shape, options?: RMSNormOptions): Tensor;
export function rmsNorm(
  input: Tensor,
  normalizedShape: Shape,
  weight?: Optional,
  eps?: number | null,
): Tensor;
export function rmsNorm(input: Tensor, normalizedShape: Shape, ...rest: unknown[]): Tensor {
  const { weight, eps } = bind<RMSNormOptions>("rms_norm", rest, { weight: null, eps: null });
  checkLast("rms_norm", input, normalizedShape, { weight }, "");
  if (input.dtype !== "float32") notImplemented("rms_norm", input.dtype);
  return composed(() => {
    const dims = range(input.ndim).slice(-normalizedShape.length);
    const square = apply(mean, [apply(mul, [input, input], {})], { dims, keepdim: true });
    const root = apply(rsqrt, [apply(add, [square, constant(eps ?? EPSILON)], {})], {});
    const y = apply(mul, [input, root], {});
    return named(weight === null ? y : apply(weigh, [y, toFloat(weight)], {}), "MulBackward0");
  });
}

export interface GroupNormOptions {
  /** A factor per channel. */
  weight?: Optional;
  /** Added per channel. */
  bias?: Optional;
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
}

/**
 * (x − mean) / √(variance + eps) · weight + bias, with mean and biased variance of each group of channels of each sample
 * of [N, C, *].
 * @throws TensorError "Expected number of channels in input to be divisible by num_groups, but got input of shape [2, 3, 4, 4] and num_groups=2"
 */
export function groupNorm(input: Tensor, numGroups: number, options?: GroupNormOptions): Tensor;
export function groupNorm(
  input: Tensor,
  numGroups: number,
  weight?: Optional,
  bias?: Optional,
  eps?: number,
): Tensor;
export function groupNorm(input: Tensor, numGroups: number, ...rest: unknown[]): Tensor {
  const { weight, bias, eps } = bind<GroupNormOptions>("group_norm", rest, {
    weight: null,
    bias: null,
    eps: 1e-5,
  });
  checkGroups(input, numGroups);
  const { shape } = input;
  for (const [name, tensor] of Object.entries({ weight, bias })) {
    if (tensor === null || sameShape(tensor.shape, [shape[1]!])) continue;
    throw new TensorError(
      "shape",
      `Expected ${name} to be a vector of size equal to the number of channels in input, but got ${name} of shape ${formatShape(tensor.shape)} and input of shape ${formatShape(shape)}`,
    );
  }
  if (input.dtype !== "float32") notImplemented("GroupNormKernelImpl", input.dtype);
  checkParameterTypes(weight, bias);
  for (const [what, count] of [
    ["number of channels", shape[1]!],
    ["HxW", numel(shape.slice(2))],
  ] as const)
    if (count === 0) throw new TensorError("shape", `Expected ${what} to be greater than 0, got 0`);
  const gradient = "NativeGroupNormBackward0";
  if (input.numel() === 0) {
    const column = (t: Optional): Optional => t && reshaped(t, [...t.shape, ...shape.slice(2).map(() => 1)]);
    return nothing(input, column(weight), column(bias), gradient);
  }
  return composed(() => named(byGroups(input, numGroups, weight, bias, eps), gradient));
}

function checkGroups({ shape, ndim }: Tensor, groups: number): void {
  if (ndim < 2) {
    throw new TensorError("shape", `Expected at least 2 dimensions for input tensor but received ${ndim}`);
  }
  if (groups === 0) throw new TensorError("value", "integer division or modulo by zero");
  const [samples, channels, ...spatial] = shape as [number, number, ...number[]];
  const size = [Math.floor((samples * channels) / groups), groups, ...spatial];
  if (numel([size[0]!, ...spatial]) === 1) {
    throw new TensorError(
      "value",
      `Expected more than 1 value per channel when training, got input size ${formatShape(size)}`,
    );
  }
  if (groups < 0) {
    throw new TensorError("value", `Expected num groups to be greater than 0, got ${groups}`);
  }
  if (channels % groups !== 0) {
    throw new TensorError(
      "shape",
      `Expected number of channels in input to be divisible by num_groups, but got input of shape ${formatShape(shape)} and num_groups=${groups}`,
    );
  }
}

export interface LocalResponseNormOptions {
  /** How many neighbouring channels count. */
  size: number;
  /** 1e-4 by default. */
  alpha?: number;
  /** 0.75 by default. */
  beta?: number;
  /** 1 by default. */
  k?: number;
}

/**
 * x / (k + alpha · m)^beta, where m is the mean of x² over `size` neighbouring channels of [N, C, *], with zeros beyond
 * the first and last.
 */
export function localResponseNorm(
  input: Tensor,
  size: number,
  options?: Omit<LocalResponseNormOptions, "size">,
): Tensor;
export function localResponseNorm(
  input: Tensor,
  size: number,
  alpha?: number,
  beta?: number,
  k?: number,
): Tensor;
export function localResponseNorm(input: Tensor, ...rest: unknown[]): Tensor {
  const { size, alpha, beta, k } = bind<LocalResponseNormOptions>("local_response_norm", rest, {
    size: REQUIRED,
    alpha: 1e-4,
    beta: 0.75,
    k: 1,
  });
  if (input.ndim < 3) {
    throw new TensorError(
      "shape",
      `Expected 3D or higher dimensionality                          input (got ${input.ndim} dimensions)`,
    );
  }
  if (input.numel() === 0) return input;
  return composed(() => {
    const x = toFloat(input);
    const [samples, channels, ...spatial] = x.shape as [number, number, ...number[]];
    const squares = reshaped(apply(mul, [x, x], {}), [samples, 1, channels, numel(spatial)]);
    const padded = pad(squares, [0, 0, Math.floor(size / 2), Math.floor((size - 1) / 2)]);
    const means = reshaped(avgPool2d(padded, [size, 1], { stride: 1 }), x.shape);
    const base = apply(add, [apply(mul, [means, constant(alpha)], {}), constant(k)], {});
    return named(apply(div, [x, pow(base, beta)], {}), "DivBackward0");
  });
}

export interface NormalizeOptions {
  /** Exponent of the norm; 2 by default. */
  p?: number;
  /** The dimension, or dimensions, of the vectors; 1 by default. */
  dim?: number | readonly number[];
  /** Lengths below it count as it; 1e-12 by default. */
  eps?: number;
}

/** Vectors along a dimension divided by their p-norm: x / max(‖x‖ₚ, eps). */
export function normalize(input: Tensor, options?: NormalizeOptions): Tensor;
export function normalize(input: Tensor, p?: number, dim?: number | readonly number[], eps?: number): Tensor;
export function normalize(input: Tensor, ...rest: unknown[]): Tensor {
  const { p, dim, eps } = bind<NormalizeOptions>("normalize", rest, { p: 2, dim: 1, eps: 1e-12 });
  return composed(() => {
    const length = norm(input, p, dim, true);
    return named(apply(div, [input, apply(maximum, [length, constant(eps)], {})], {}), "DivBackward0");
  });
}
