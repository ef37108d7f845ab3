import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { isLazy, UninitializedParameter } from "../../module/uninitialized.ts";
import { Linear } from "../linear.ts";
import { firstCall, waits, type LazyModule } from "./lazyModule.ts";

interface LazyLinearArguments {
  outFeatures: number;
  bias?: boolean;
}

/**
 * {@link Linear} whose `inFeatures` is the last size of the first input. Until then its parameters have no shape, and an
 * optimizer can take them already; from then on it is a `Linear`.
 *
 * - weight [outFeatures, inFeatures] and bias [outFeatures], drawn at the first call
 * - input [*, inFeatures], output [*, outFeatures]
 *
 * ```ts
 * const layer = new nn.LazyLinear(10);
 * layer(torch.randn(4, 7));
 * String(layer); // "Linear(in_features=7, out_features=10, bias=True)"
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html
 */
export class LazyLinear extends Linear implements LazyModule {
  constructor(outFeatures: number, options?: boolean | { bias?: boolean });
  constructor(...args: Arguments<LazyLinearArguments, "outFeatures bias">);
  constructor(...args: unknown[]) {
    const { outFeatures, bias } = bind<LazyLinearArguments>("LazyLinear", args, {
      outFeatures: REQUIRED,
      bias: true,
    });
    super(0, 0, { bias: false });
    this.outFeatures = outFeatures;
    this.weight = new UninitializedParameter();
    if (bias) this.bias = new UninitializedParameter();
  }

  override resetParameters(): void {
    // Linear's constructor calls this before there are sizes.
    if (this.inFeatures !== 0 && !this.hasUninitializedParams()) super.resetParameters();
  }

  hasUninitializedParams(): boolean {
    return waits(this);
  }

  /**
   * Infers `inFeatures` from an input, and draws the parameters unless a state dict has given them.
   * @throws TensorError "The in_features inferred from input: 3 is not equal to in_features from self.weight: 4"
   */
  initializeParameters(input: Tensor): void {
    const inFeatures = input.shape.at(-1)!;
    const { weight, bias } = this;
    if (this.hasUninitializedParams()) {
      this.inFeatures = inFeatures;
      if (isLazy(weight)) weight.materialize([this.outFeatures, inFeatures]);
      if (isLazy(bias)) bias.materialize([this.outFeatures]);
      this.resetParameters();
    } else if (inFeatures !== weight.shape[1]) {
      throw new TensorError(
        "shape",
        `The in_features inferred from input: ${inFeatures} is not equal to in_features from self.weight: ${weight.shape[1]}`,
      );
    } else {
      this.inFeatures = inFeatures;
    }
  }

  override forward(input: Tensor): Tensor {
    return firstCall<Linear>(this, Linear, [input]);
  }
}
