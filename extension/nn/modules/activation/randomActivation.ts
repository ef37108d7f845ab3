import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../../arguments.ts";
import { rrelu, type RReluOptions } from "../../functional/activation/randomActivation.ts";
import { BuiltIn } from "../../module/module.ts";
import { pyFloat } from "../../module/repr.ts";

type RReLUArguments = Omit<RReluOptions, "training">;

/**
 * x where it is positive, else a · x with a from U(lower, upper) for each value in training, and
 * a = (lower + upper) / 2 in evaluation (https://arxiv.org/abs/1505.00853).
 *
 * ```ts
 * new nn.RReLU(0.1, 0.3)(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RReLU.html
 */
export class RReLU extends BuiltIn {
  readonly lower: number;
  readonly upper: number;
  readonly inplace: boolean;

  /** @param lower smallest slope, 1/8 by default @param upper largest slope, 1/3 by default */
  constructor(lower?: number, upper?: number, inplace?: boolean);
  constructor(options: RReLUArguments);
  constructor(lower: number, upper: number, options: { inplace?: boolean });
  constructor(...args: Arguments<RReLUArguments, "lower upper inplace">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<RReLUArguments>("RReLU", args, { lower: 1 / 8, upper: 1 / 3, inplace: false });
    this.lower = bound.lower;
    this.upper = bound.upper;
    this.inplace = bound.inplace;
  }

  forward(input: Tensor): Tensor {
    const { lower, upper, training, inplace } = this;
    return rrelu(input, { lower, upper, training, inplace });
  }

  override extraRepr(): string {
    const inplace = this.inplace ? ", inplace=True" : "";
    return `lower=${pyFloat(this.lower)}, upper=${pyFloat(this.upper)}${inplace}`;
  }
}
