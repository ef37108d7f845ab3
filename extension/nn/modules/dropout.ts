import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../arguments.ts";
import * as F from "../functional/activation/dropout.ts";
import { BuiltIn } from "../module/module.ts";
import { py, pyFloat } from "../module/repr.ts";

interface DropoutArguments {
  p?: number;
  inplace?: boolean;
}

/** Base class of all kinds of dropout. */
abstract class DropoutBase extends BuiltIn {
  p: number;
  inplace: boolean;

  /** @param p probability of being dropped; 0.5 by default */
  constructor(options?: DropoutArguments);
  constructor(p?: number, inplace?: boolean);
  constructor(p: number, options?: Omit<DropoutArguments, "p">);
  constructor(...args: Arguments<DropoutArguments, "p inplace">);
  constructor(...args: unknown[]) {
    super();
    const { p, inplace } = bind<DropoutArguments>(this.constructor.name, args, { p: 0.5, inplace: false });
    F.checkProbability(p);
    this.p = p;
    this.inplace = inplace;
  }

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}, inplace=${py(this.inplace)}`;
  }
}

/**
 * In training each value is dropped (0) with probability p, and the others are scaled by 1 / (1 − p). In evaluation
 * the input passes unchanged.
 *
 * ```ts
 * new nn.Dropout(0.2)(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @throws TensorError "dropout probability has to be between 0 and 1, but got 1.5"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
 */
export class Dropout extends DropoutBase {
  forward(input: Tensor): Tensor {
    return F.dropout(input, this.p, this.training, this.inplace);
  }
}

/**
 * {@link Dropout} of whole channels of [N, C, L] or [C, L].
 *
 * ```ts
 * new nn.Dropout1d(0.2)(torch.randn(20, 16, 32)).shape; // [20, 16, 32]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html
 */
export class Dropout1d extends DropoutBase {
  forward(input: Tensor): Tensor {
    return F.dropout1d(input, this.p, this.training, this.inplace);
  }
}

/**
 * {@link Dropout} of whole channels of [N, C, H, W].
 *
 * ```ts
 * new nn.Dropout2d(0.2)(torch.randn(2, 16, 8, 8)).shape; // [2, 16, 8, 8]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html
 */
export class Dropout2d extends DropoutBase {
  forward(input: Tensor): Tensor {
    return F.dropout2d(input, this.p, this.training, this.inplace);
  }
}

/**
 * {@link Dropout} of whole channels of [N, C, D, H, W] or [C, D, H, W].
 *
 * ```ts
 * new nn.Dropout3d(0.2)(torch.randn(2, 3, 4, 4, 4)).shape; // [2, 3, 4, 4, 4]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout3d.html
 */
export class Dropout3d extends DropoutBase {
  forward(input: Tensor): Tensor {
    return F.dropout3d(input, this.p, this.training, this.inplace);
  }
}

/**
 * Dropout that keeps the mean and variance of self-normalising activations.
 *
 * ```ts
 * new nn.AlphaDropout(0.2)(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html
 */
export class AlphaDropout extends DropoutBase {
  forward(input: Tensor): Tensor {
    return F.alphaDropout(input, this.p, this.training, this.inplace);
  }
}

/**
 * {@link AlphaDropout} of whole channels of [N, C, *].
 *
 * ```ts
 * new nn.FeatureAlphaDropout(0.2)(torch.randn(20, 16, 4, 32, 32)).shape; // [20, 16, 4, 32, 32]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.FeatureAlphaDropout.html
 */
export class FeatureAlphaDropout extends DropoutBase {
  forward(input: Tensor): Tensor {
    return F.featureAlphaDropout(input, this.p, this.training);
  }
}
