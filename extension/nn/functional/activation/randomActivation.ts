// Activations that draw random numbers in training.
import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { add, div, mul, sub } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { detached } from "../../../tensor/functions/creation/conversion.ts";
import { log, neg } from "../../../tensor/functions/pointwise/elementwise.ts";
import { scatter } from "../../../tensor/functions/shape/placing.ts";
import { composed, constant, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { argmax } from "../../../tensor/functions/reduction/extremes.ts";
import { fillValue, Value } from "../../../tensor/recording/graph.ts";
import * as op from "../../../tensor/ops/elementwise/elementwise.ts";
import { exponential, leaks } from "../../../tensor/random/operations.ts";
import { defaultStream } from "../../../tensor/random/stream.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { leakyRelu, type InPlace } from "./activation.ts";
import { softmax } from "./softmax.ts";

export interface RReluOptions extends InPlace {
  /** Smallest slope of negative values; 1/8 by default. */
  lower?: number;
  /** Largest slope of negative values; 1/3 by default. */
  upper?: number;
  /** Draw a slope for each value; else all have the mean of both. */
  training?: boolean;
}

/**
 * x where it is positive, else a · x with a random slope a for each value in training (its values are computed at once:
 * how much is drawn depends on them), and (lower + upper) / 2 otherwise.
 * @throws TensorError "Lower bound should be less than or equal to the upper bound"
 */
export function rrelu(input: Tensor, options?: RReluOptions): Tensor;
export function rrelu(
  input: Tensor,
  lower?: number,
  upper?: number,
  training?: boolean,
  inplace?: boolean,
): Tensor;
export function rrelu(input: Tensor, ...rest: unknown[]): Tensor {
  const { lower, upper, training, inplace } = bind<RReluOptions>("rrelu", rest, {
    lower: 1 / 8,
    upper: 1 / 3,
    training: false,
    inplace: false,
  });
  if (lower > upper) {
    throw new TensorError("value", "Lower bound should be less than or equal to the upper bound");
  }
  if (input.dtype !== "float32") notImplemented("rrelu_with_noise_out_cpu", input.dtype);
  if (!training) return leakyRelu(input, (lower + upper) / 2, inplace);
  const values = valuesOf(input.value) as Float32Array;
  const slopes = defaultStream.tensor(leaks(values, lower, upper), input.shape, "float32");
  const { made } = Value;
  const result = named(apply(op.mul, [input, slopes], {}), "RreluWithNoiseBackward0");
  return inplace ? input.write(result, undefined, made) : result;
}

export interface GumbelSoftmaxOptions {
  /** Temperature: the smaller, the closer to one-hot; 1 by default. */
  tau?: number;
  /** One-hot rows, with the gradients of the soft ones. */
  hard?: boolean;
  /** Has no effect. */
  eps?: number;
  /** -1 by default. */
  dim?: number;
}

/**
 * softmax((x + g) / tau) with g from the Gumbel distribution: a sample of the categories with log weights x, through
 * which gradients flow (https://arxiv.org/abs/1611.01144).
 */
export function gumbelSoftmax(logits: Tensor, options?: GumbelSoftmaxOptions): Tensor;
export function gumbelSoftmax(
  logits: Tensor,
  tau?: number,
  hard?: boolean,
  eps?: number,
  dim?: number,
): Tensor;
export function gumbelSoftmax(logits: Tensor, ...rest: unknown[]): Tensor {
  const { tau, hard, dim } = bind<GumbelSoftmaxOptions>("gumbel_softmax", rest, {
    tau: 1,
    hard: false,
    eps: 1e-10,
    dim: -1,
  });
  return composed(() => {
    const { shape } = logits;
    const drawn = defaultStream.tensor(exponential(logits.numel()), shape, "float32");
    const soft = softmax(div(add(logits, neg(log(drawn))), tau), dim);
    if (!hard) return soft;
    const zeros = new Tensor(fillValue(0, shape, "float32"));
    const largest = argmax(soft, dim, true);
    const hot = scatter(
      zeros,
      dim,
      largest,
      mul(constant(1), new Tensor(fillValue(1, largest.shape, "float32"))),
    );
    return add(sub(hot, detached(soft)), soft);
  });
}
