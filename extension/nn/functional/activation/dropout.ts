import { Value } from "../../../tensor/recording/graph.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, constant, named } from "../../../tensor/functions/pointwise/operands.ts";
import { add, mul } from "../../../tensor/ops/elementwise/elementwise.ts";
import { permute } from "../../../tensor/ops/movement/movement.ts";
import {
  alphaDropoutConstants,
  bernoulli,
  dropout as factors,
  featureNoiseShape,
} from "../../../tensor/random/operations.ts";
import { defaultStream, type ReadyDraw } from "../../../tensor/random/stream.ts";
import { memoryOrder, numel, range, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { warnOnce } from "../../warnings.ts";

/** @throws TensorError "dropout probability has to be between 0 and 1, but got 1.5" */
export function checkProbability(p: number): void {
  if (!(p >= 0 && p <= 1)) {
    throw new TensorError("value", `dropout probability has to be between 0 and 1, but got ${p}`);
  }
}

/** The input times factors of `shape`: 0 with probability p, else 1 / (1 − p). */
function dropped(input: Tensor, p: number, shape: Shape, inplace: boolean): Tensor {
  requireFloats(input);
  if (p === 0 || input.numel() === 0) return input;
  const { made } = Value;
  const result = composed(() => apply(mul, [input, drawnLike(factors(numel(shape), p), shape, input)], {}));
  return inplace ? input.write(result, undefined, made) : result;
}

function requireFloats({ dtype }: Tensor): void {
  // A complex tensor is refused when it is multiplied.
  if (dtype === "int64" || dtype === "bool")
    throw new TensorError(
      "dtype",
      `result type Float can't be cast to the desired output type ${SCALAR_TYPE[dtype]}`,
    );
}

/** Random numbers of a shape, or, where it is that of the input, in the order in which the input lies in PyTorch's memory. */
function drawnLike(draw: ReadyDraw, shape: Shape, input: Tensor): Tensor {
  const steps = input.viewStrides();
  const order = steps === undefined ? range(shape.length) : memoryOrder(shape, steps);
  if (shape !== input.shape || order.every((d, i) => d === i)) {
    return defaultStream.tensor(draw, shape, "float32");
  }
  const lying = order.map((d) => shape[d]!);
  const noise = defaultStream.tensor(draw, lying, "float32");
  return apply(permute, [noise], { order: order.map((_, i) => order.indexOf(i)) });
}

/** In training: each value dropped with probability p, the others scaled by 1 / (1 − p). */
export function dropout(input: Tensor, p = 0.5, training = true, inplace = false): Tensor {
  checkProbability(p);
  return training ? dropped(input, p, input.shape, inplace) : input;
}

/** Whole channels dropped; `unbatched` inputs get a batch dimension for the draw. */
function channels(input: Tensor, p: number, training: boolean, inplace: boolean, unbatched: boolean): Tensor {
  if (!training) return input;
  if (!unbatched) return dropped(input, p, featureNoiseShape(input.shape), inplace);
  return dropped(input, p, featureNoiseShape([1, ...input.shape]).slice(1), inplace);
}

/**
 * Channels of [N, C, L] or [C, L] dropped whole.
 * @throws TensorError for other dimensions
 */
export function dropout1d(input: Tensor, p = 0.5, training = true, inplace = false): Tensor {
  checkProbability(p);
  if (input.ndim !== 2 && input.ndim !== 3) {
    throw new TensorError(
      "shape",
      `dropout1d: Expected 2D or 3D input, but received a ${input.ndim}D input. Note that dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs).`,
    );
  }
  return channels(input, p, training, inplace, input.ndim === 2);
}

/** Channels of [N, C, H, W] dropped whole. */
export function dropout2d(input: Tensor, p = 0.5, training = true, inplace = false): Tensor {
  checkProbability(p);
  if (input.ndim !== 3 && input.ndim !== 4) {
    warnOnce(
      `dropout2d: Received a ${input.ndim}-D input to dropout2d, which is deprecated and will result in an error in a future release. To retain the behavior and silence this warning, please use dropout instead. Note that dropout2d exists to provide channel-wise dropout on inputs with 2 spatial dimensions, a channel dimension, and an optional batch dimension (i.e. 3D or 4D inputs).`,
    );
  }
  if (input.ndim === 3) {
    warnOnce(
      "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise dropout behavior, please switch to using dropout1d instead.",
    );
  }
  return channels(input, p, training, inplace, false);
}

/** Channels of [N, C, D, H, W] or [C, D, H, W] dropped whole. */
export function dropout3d(input: Tensor, p = 0.5, training = true, inplace = false): Tensor {
  checkProbability(p);
  if (input.ndim !== 4 && input.ndim !== 5) {
    warnOnce(
      `dropout3d: Received a ${input.ndim}-D input to dropout3d, which is deprecated and will result in an error in a future release. To retain the behavior and silence this warning, please use dropout instead. Note that dropout3d exists to provide channel-wise dropout on inputs with 3 spatial dimensions, a channel dimension, and an optional batch dimension (i.e. 4D or 5D inputs).`,
    );
  }
  return channels(input, p, training, inplace, input.ndim === 4);
}

/** Alpha dropout of `shape` values at a time, each for all that they are broadcast to. */
function alpha(input: Tensor, p: number, training: boolean, inplace: boolean, shape: Shape): Tensor {
  checkProbability(p);
  if (!training || p === 0 || input.numel() === 0) return input;
  requireFloats(input);
  const { made } = Value;
  const result = composed(() => {
    if (p === 1) return named(apply(mul, [input, constant(0)], {}), "MulBackward0");
    const { a, slope, shift } = alphaDropoutConstants(p);
    const keep = drawnLike(bernoulli(numel(shape), 1 - p), shape, input);
    const scaled = apply(mul, [input, apply(mul, [keep, constant(a)], {})], {});
    const lost = apply(mul, [apply(add, [keep, constant(-1)], {}), constant(slope)], {});
    return apply(add, [scaled, apply(add, [lost, constant(shift)], {})], {});
  });
  return inplace ? input.write(result, undefined, made) : result;
}

/** Dropout that keeps mean and variance of the output of {@link selu}; off by default, as in PyTorch. */
export function alphaDropout(input: Tensor, p = 0.5, training = false, inplace = false): Tensor {
  return alpha(input, p, training, inplace, input.shape);
}

/** {@link alphaDropout} of whole channels of [N, C, *]. */
export function featureAlphaDropout(input: Tensor, p = 0.5, training = false, inplace = false): Tensor {
  return alpha(input, p, training, inplace, training ? featureNoiseShape(input.shape) : input.shape);
}
