import { cosineSimilarity, pairwiseDistance } from "../../../tensor/functions/reduction/distance.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../../arguments.ts";
import { BuiltIn } from "../../module/module.ts";
import { configured } from "../configured.ts";

/**
 * The cosine of the angle between vectors along `dim` (1): x₁ · x₂ / (max(‖x₁‖, eps) · max(‖x₂‖, eps)), eps 1e-8.
 *
 * ```ts
 * new nn.CosineSimilarity({ dim: 1 })(torch.randn(10, 8), torch.randn(10, 8)).shape; // [10]
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineSimilarity.html
 */
export class CosineSimilarity extends configured<[dim?: number, eps?: number]>()("dim eps", 1, 1e-8) {
  forward(x1: Tensor, x2: Tensor): Tensor {
    return cosineSimilarity(x1, x2, this.dim, this.eps);
  }
}

interface DistanceOptions {
  p?: number;
  eps?: number;
  keepdim?: boolean;
}

/**
 * ‖x₁ − x₂ + eps‖ₚ over the last dimension; p 2, eps 1e-6.
 *
 * ```ts
 * new nn.PairwiseDistance({ p: 1 })(torch.randn(10, 8), torch.randn(10, 8)).shape; // [10]
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PairwiseDistance.html
 */
export class PairwiseDistance extends BuiltIn {
  /** PyTorch's name of p. */
  norm: number;
  eps: number;
  keepdim: boolean;

  constructor(
    ...args: [p?: number, eps?: number, keepdim?: boolean] | Arguments<DistanceOptions, "p eps keepdim">
  ) {
    super();
    const { p, eps, keepdim } = bind<DistanceOptions>("PairwiseDistance", args, {
      p: 2,
      eps: 1e-6,
      keepdim: false,
    });
    this.norm = p;
    this.eps = eps;
    this.keepdim = keepdim;
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return pairwiseDistance(x1, x2, this.norm, this.eps, this.keepdim);
  }
}
