// Code shared by group and instance norm.
import { applyAll } from "../../../tensor/recording/apply.ts";
import { reshaped } from "../../../tensor/functions/shape/views.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { groupNorm } from "../../../tensor/ops/norm/groupNorm.ts";
import { layerNorm } from "../../../tensor/ops/norm/layerNorm.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { perChannel } from "../vision/affine.ts";

type Optional = Tensor | null;

/** [N, C, *] with groups of the channels of each sample normalised, times a weight and plus a bias per channel. */
export function byGroups(x: Tensor, groups: number, weight: Optional, bias: Optional, eps: number): Tensor {
  const { shape, ndim } = x;
  // Kernels are made for sequences, images and volumes.
  if (ndim < 3 || ndim > 5) {
    const count = shape[0]! * groups;
    const rows = reshaped(x, [count, x.numel() / count]);
    return perChannel(reshaped(applyAll(layerNorm, [rows], { eps })[0]!, shape), weight, bias);
  }
  const factor = weight ?? filled(1, shape[1]!);
  const offset = bias ?? filled(0, shape[1]!);
  const learned = Number(weight !== null) + Number(bias !== null);
  return applyAll(groupNorm, [x, factor, offset], { groups, eps, learned })[0]!;
}

const filled = (value: number, length: number): Tensor => new Tensor(fillValue(value, [length], "float32"));
