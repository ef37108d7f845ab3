import { apply, applyAll } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { select } from "../../../tensor/functions/shape/parts.ts";
import { reshaped } from "../../../tensor/functions/shape/views.ts";
import * as ops from "../../../tensor/ops/norm/batchNorm.ts";
import { add, mul, sub } from "../../../tensor/ops/elementwise/elementwise.ts";
import { mean as meanOp } from "../../../tensor/ops/reduction/reduction.ts";
import { formatShape, numel, range } from "../../../tensor/core/shape.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { py } from "../../module/repr.ts";
import { refuseGradient } from "../refuseGradient.ts";
import { byGroups } from "./byGroups.ts";
import { checkParameterTypes } from "./parameterTypes.ts";
import { followStatistics, unbiased } from "./statistics.ts";

type Optional = Tensor | null;

export interface BatchNormOptions {
  /** A factor per channel. */
  weight?: Optional;
  /** Added per channel. */
  bias?: Optional;
  /** Normalises by the batch's own statistics and moves the running ones towards them; false by default. */
  training?: boolean;
  /** How far the running statistics move, 0.1 by default; a 0-d tensor where that changes from call to call. */
  momentum?: number | Tensor;
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
}

/**
 * (x − mean) / √(variance + eps) · weight + bias per channel (dimension 1) of [N, C, *].
 *
 * In training, mean and biased variance are those of the batch, and the running statistics, if there are any, become
 * (1 − momentum) · running + momentum · batch, in place and with the unbiased variance. Else the running ones are used.
 * @throws TensorError "Expected more than 1 value per channel when training, got input size torch.Size([1, 3])"
 * @throws TensorError "running_mean should contain 3 elements not 4"
 */
export function batchNorm(
  input: Tensor,
  runningMean: Optional,
  runningVar: Optional,
  options?: BatchNormOptions,
): Tensor;
export function batchNorm(
  input: Tensor,
  runningMean: Optional,
  runningVar: Optional,
  weight?: Optional,
  bias?: Optional,
  training?: boolean,
  momentum?: number | Tensor,
  eps?: number,
): Tensor;
export function batchNorm(
  input: Tensor,
  runningMean: Optional,
  runningVar: Optional,
  ...rest: unknown[]
): Tensor {
  const { weight, bias, training, momentum, eps } = bind<BatchNormOptions>("batch_norm", rest, {
    weight: null,
    bias: null,
    training: false,
    momentum: 0.1,
    eps: 1e-5,
  });
  const { shape } = input;
  if (training && numel([shape[0] ?? 1, ...shape.slice(2)]) === 1) {
    throw new TensorError(
      "value",
      `Expected more than 1 value per channel when training, got input size torch.Size(${formatShape(shape)})`,
    );
  }
  if (training ? eps <= 0 : eps < 0) {
    const rule = training ? "positive during training" : "non-negative";
    throw new TensorError("value", `batch_norm eps must be ${rule}, but got ${py(eps)}`);
  }
  if (input.numel() === 0) return empty(input, weight, bias);
  const channels = shape[1] ?? 0;
  checkStatistics(channels, runningMean, runningVar, training);
  checkLength("weight", weight, channels);
  checkLength("bias", bias, channels);
  for (const statistic of [runningMean, runningVar]) {
    if (statistic === null || statistic.ndim === 1) continue;
    throw new TensorError("shape", `TensorAccessor expected 1 dims but tensor has ${statistic.ndim}`);
  }
  if (training && (runningMean === null) !== (runningVar === null)) {
    throw new TensorError(
      "value",
      "running_mean and running_var must either both be None or neither be None",
    );
  }
  if (input.dtype !== "float32") notImplemented("batch_norm", input.dtype);
  checkParameterTypes(weight, bias, runningMean, runningVar);
  refuseGradient("native_batch_norm", { running_mean: runningMean, running_var: runningVar });
  return composed(() => {
    const asIs = input.ndim === 4 || input.ndim === 5;
    const images = asIs ? input : reshaped(input, [shape[0]!, channels, numel(shape.slice(2)), 1]);
    // PyTorch's kernel reads weights of any shape with one element for each channel.
    const vector = (t: Tensor): Tensor => (t.ndim === 1 ? t : reshaped(t, [channels]));
    const factor = weight === null ? new Tensor(fillValue(1, [channels], "float32")) : vector(weight);
    const offset = bias === null ? new Tensor(fillValue(0, [channels], "float32")) : vector(bias);
    const normal = training
      ? byBatch(images, factor, offset, eps, runningMean, runningVar, momentum)
      : apply(ops.fixedBatchNorm, [images, factor, offset, runningMean!, runningVar!], { eps });
    return named(asIs ? normal : reshaped(normal, shape), "NativeBatchNormBackward0");
  });
}

function byBatch(
  images: Tensor,
  weight: Tensor,
  bias: Tensor,
  eps: number,
  runningMean: Optional,
  runningVar: Optional,
  momentum: number | Tensor,
): Tensor {
  const [y, mean, variance] = applyAll(ops.batchNorm, [images, weight, bias], { eps }) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  if (runningMean !== null && runningVar !== null) {
    const count = images.numel() / mean.numel();
    followStatistics(runningMean, runningVar, momentum, () => [mean, unbiased(variance, count)]);
  }
  return y;
}

/** PyTorch's answer for a batch without values: nothing is normalised, and gradients are zeros. */
function empty(input: Tensor, weight: Optional, bias: Optional): Tensor {
  return composed(() => {
    let y = reshaped(input, input.shape);
    if (weight !== null) y = apply(mul, [y, select(weight, 0, 0)], {});
    return bias === null ? y : named(apply(add, [y, select(bias, 0, 0)], {}), "AddBackward0");
  });
}

function checkLength(name: string, tensor: Optional, length: number, times = 1): void {
  if (tensor === null || tensor.numel() === length) return;
  throw new TensorError(
    "shape",
    `${name} should contain ${length * times} elements not ${tensor.numel() * times}`,
  );
}

function checkStatistics(channels: number, mean: Optional, variance: Optional, training: boolean): void {
  for (const [name, tensor] of [
    ["running_mean", mean],
    ["running_var", variance],
  ] as const) {
    checkLength(name, tensor, channels);
    if (tensor === null && !training)
      throw new TensorError("value", `${name} must be defined in evaluation mode`);
  }
}

export interface InstanceNormOptions {
  runningMean?: Optional;
  runningVar?: Optional;
  /** A factor per channel. */
  weight?: Optional;
  /** Added per channel. */
  bias?: Optional;
  /** Normalises by the input's own statistics; true by default. */
  useInputStats?: boolean;
  /** How far the running statistics move; 0.1 by default. */
  momentum?: number;
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
}

/**
 * As {@link batchNorm}, with statistics of every channel of every sample of [N, C, *] on its own. Running statistics
 * move towards the mean of those over the samples.
 * @throws TensorError "Expected more than 1 spatial element when training, got input size torch.Size([1, 3, 1, 1])"
 */
export function instanceNorm(input: Tensor, options?: InstanceNormOptions): Tensor;
export function instanceNorm(
  input: Tensor,
  runningMean?: Optional,
  runningVar?: Optional,
  weight?: Optional,
  bias?: Optional,
  useInputStats?: boolean,
  momentum?: number,
  eps?: number,
): Tensor;
export function instanceNorm(input: Tensor, ...rest: unknown[]): Tensor {
  const bound = bind<InstanceNormOptions>("instance_norm", rest, {
    runningMean: null,
    runningVar: null,
    weight: null,
    bias: null,
    useInputStats: true,
    momentum: 0.1,
    eps: 1e-5,
  });
  const { runningMean, runningVar, weight, bias, useInputStats, momentum, eps } = bound;
  const { shape } = input;
  const [samples = 0, channels = 0] = shape;
  if (useInputStats && numel(shape.slice(2)) === 1) {
    throw new TensorError(
      "value",
      `Expected more than 1 spatial element when training, got input size torch.Size(${formatShape(shape)})`,
    );
  }
  if (!useInputStats && (runningMean === null || runningVar === null)) {
    throw new TensorError(
      "value",
      "Expected running_mean and running_var to be defined when use_input_stats is false",
    );
  }
  if (input.numel() === 0) return empty(input, weight, bias);
  // PyTorch repeats all of these for every sample.
  for (const tensor of [runningMean, runningVar, weight, bias]) {
    if (tensor === null || tensor.ndim <= 1) continue;
    throw new TensorError(
      "shape",
      "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor",
    );
  }
  checkLength("running_mean", runningMean, channels, samples);
  checkLength("running_var", runningVar, channels, samples);
  checkLength("weight", weight, channels, samples);
  checkLength("bias", bias, channels, samples);
  if ((runningMean === null) !== (runningVar === null)) {
    throw new TensorError(
      "value",
      "running_mean and running_var must either both be None or neither be None",
    );
  }
  if (input.dtype !== "float32") notImplemented("batch_norm", input.dtype);
  checkParameterTypes(weight, bias, runningMean, runningVar);
  refuseGradient("native_batch_norm", { running_mean: runningMean, running_var: runningVar });
  if (!useInputStats) {
    const rest = [weight, bias, false, momentum, eps] as const;
    return named(batchNorm(input, runningMean, runningVar, ...rest), "ViewBackward0");
  }
  return composed(() => {
    const y = byGroups(input, channels, weight, bias, eps);
    if (runningMean !== null && runningVar !== null) {
      followStatistics(runningMean, runningVar, momentum, () => instanceStatistics(input));
    }
    return named(y, "ViewBackward0");
  });
}

/** Means over samples of the mean and unbiased variance of each channel of each sample. */
function instanceStatistics(input: Tensor): [mean: Tensor, variance: Tensor] {
  const dims = range(input.ndim).filter((d) => d !== 1);
  const distance = apply(sub, [input, apply(meanOp, [input], { dims: dims.slice(1), keepdim: true })], {});
  const variance = apply(meanOp, [apply(mul, [distance, distance], {})], { dims, keepdim: false });
  return [apply(meanOp, [input], { dims, keepdim: false }), unbiased(variance, numel(input.shape.slice(2)))];
}
