import type { Tensor } from "../../../tensor/core/tensor.ts";
import { rrelu } from "../../functional/activation/randomActivation.ts";
import { pyFloat } from "../../module/repr.ts";
import { configured } from "../configured.ts";

/**
 * x where it is positive, else a · x with a from U(lower, upper) for each value in training, and
 * a = (lower + upper) / 2 in evaluation (https://arxiv.org/abs/1505.00853).
 *
 * ```ts
 * new nn.RReLU(0.1, 0.3)(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RReLU.html
 */
export class RReLU extends configured<[lower?: number, upper?: number, inplace?: boolean]>()(
  "lower upper inplace",
  1 / 8,
  1 / 3,
  false,
) {
  forward(input: Tensor): Tensor {
    const { lower, upper, training, inplace } = this;
    return rrelu(input, { lower, upper, training, inplace });
  }

  override extraRepr(): string {
    const inplace = this.inplace ? ", inplace=True" : "";
    return `lower=${pyFloat(this.lower)}, upper=${pyFloat(this.upper)}${inplace}`;
  }
}
