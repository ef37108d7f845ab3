// Layers and the batch normalization after them as one layer, for evaluation.
import { TensorError } from "../../tensor/core/errors.ts";
import { Parameter, type Tensor } from "../../tensor/core/tensor.ts";
import { onesLike, zerosLike } from "../../tensor/functions/creation/creation.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { deepcopy } from "../module/copy.ts";
import type { Module } from "../module/module.ts";

/** A layer that a normalization can be fused into. */
interface Fusible extends Module {
  weight: Parameter;
  bias: Parameter | null;
}

/** A batch normalization with running statistics. */
interface Normalization extends Module {
  readonly numFeatures: number;
  readonly eps: number;
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
  readonly runningMean: Tensor | null;
  readonly runningVar: Tensor | null;
}

type Fused = [weight: Parameter, bias: Parameter];

/** @throws TensorError "Fusion only for eval!" */
function checked(layer: Module, bn: Normalization): { mean: Tensor; variance: Tensor } {
  if (layer.training || bn.training) throw new TensorError("value", "Fusion only for eval!");
  const { runningMean: mean, runningVar: variance } = bn;
  if (mean === null || variance === null)
    throw new TensorError("value", "bn.running_mean and bn.running_var must not be None");
  return { mean, variance };
}

/**
 * A copy of a convolution that computes what the convolution and the batch normalization after it do in evaluation.
 * @param transpose for a transposed convolution
 * @throws TensorError "Fusion only for eval!"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_eval.html
 */
export function fuseConvBnEval<C extends Fusible>(
  conv: C,
  bn: Normalization,
  transpose: boolean | { transpose?: boolean } = false,
): C {
  const { mean, variance } = checked(conv, bn);
  const fused = deepcopy(conv);
  const { weight, bias } = conv;
  [fused.weight, fused.bias] = fuseConvBnWeights(
    weight,
    bias,
    mean,
    variance,
    bn.eps,
    bn.weight,
    bn.bias,
    transpose,
  );
  return fused;
}

/**
 * Weight and bias of {@link fuseConvBnEval}, of those of a convolution, and a normalization's statistics, eps, weight and bias.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_weights.html
 */
export function fuseConvBnWeights(
  convW: Tensor,
  convB: Tensor | null,
  bnRm: Tensor,
  bnRv: Tensor,
  bnEps: number,
  bnW: Tensor | null,
  bnB: Tensor | null,
  transpose: boolean | { transpose?: boolean } = false,
): Fused {
  const transposed = typeof transpose === "object" ? (transpose.transpose ?? false) : transpose;
  const channels = convW.shape.map((_, i) => (i === (transposed ? 1 : 0) ? -1 : 1));
  return noGrad(() => {
    const bias = convB ?? zerosLike(bnRm);
    const inverse = bnRv.add(bnEps).rsqrt();
    const scale = (bnW ?? onesLike(bnRm)).mul(inverse);
    const shift = bias
      .sub(bnRm)
      .mul(inverse)
      .mul(bnW ?? onesLike(bnRm));
    return [
      new Parameter(convW.mul(scale.reshape(channels)), convW.requiresGrad),
      new Parameter(shift.add(bnB ?? zerosLike(bnRm)), convB?.requiresGrad ?? false),
    ];
  });
}

/**
 * A copy of a linear layer that computes what the layer and the batch normalization after it do in evaluation.
 * @throws TensorError "Fusion only for eval!"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_linear_bn_eval.html
 */
export function fuseLinearBnEval<L extends Fusible & { readonly outFeatures: number }>(
  linear: L,
  bn: Normalization,
): L {
  if (linear.training || bn.training) throw new TensorError("value", "Fusion only for eval!");
  if (linear.outFeatures !== bn.numFeatures && bn.numFeatures !== 1) {
    throw new TensorError(
      "value",
      `To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got linear.out_features=${linear.outFeatures} and bn.num_features=${bn.numFeatures}`,
    );
  }
  const { mean, variance } = checked(linear, bn);
  const fused = deepcopy(linear);
  const affine = [bn.weight ?? onesLike(mean), bn.bias ?? zerosLike(mean)] as const;
  [fused.weight, fused.bias] = fuseLinearBnWeights(
    linear.weight,
    linear.bias,
    mean,
    variance,
    bn.eps,
    ...affine,
  );
  return fused;
}

/**
 * Weight and bias of {@link fuseLinearBnEval}, of those of a linear layer, and a normalization's statistics, eps, weight and bias.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_linear_bn_weights.html
 */
export function fuseLinearBnWeights(
  linearW: Tensor,
  linearB: Tensor | null,
  bnRm: Tensor,
  bnRv: Tensor,
  bnEps: number,
  bnW: Tensor,
  bnB: Tensor,
): Fused {
  return noGrad(() => {
    const scale = bnW.mul(bnRv.add(bnEps).rsqrt());
    const shift = (linearB ?? zerosLike(bnRm)).sub(bnRm).mul(scale);
    return [
      new Parameter(linearW.mul(scale.unsqueeze(-1)), linearW.requiresGrad),
      new Parameter(shift.add(bnB), linearB?.requiresGrad ?? false),
    ];
  });
}
