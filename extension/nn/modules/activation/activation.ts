import type { Tensor } from "../../../tensor/core/tensor.ts";
import * as F from "../../functional/activation/activation.ts";
import { BuiltIn } from "../../module/module.ts";
import { py, pyFloat } from "../../module/repr.ts";
import { andInplace, InPlaceActivation } from "./inPlace.ts";
import { configured } from "../configured.ts";

/**
 * The self-normalising exponential unit: {@link ELU} with fixed alpha and scale.
 *
 * ```ts
 * new nn.SELU()(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SELU.html
 */
export class SELU extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.selu(input, this.inplace);
  }
}

/**
 * x · sigmoid(x), element by element.
 *
 * ```ts
 * new nn.SiLU()(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SiLU.html
 */
export class SiLU extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.silu(input, this.inplace);
  }
}

/**
 * x · tanh(softplus(x)), element by element.
 *
 * ```ts
 * new nn.Mish()(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Mish.html
 */
export class Mish extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.mish(input, this.inplace);
  }
}

/**
 * 1 / (1 + e⁻ˣ), element by element.
 *
 * ```ts
 * new nn.Sigmoid()(torch.tensor([0, 100])).tolist(); // [0.5, 1]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
 */
export class Sigmoid extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.sigmoid(input);
  }
}

/**
 * The hyperbolic tangent, element by element.
 *
 * ```ts
 * new nn.Tanh()(torch.tensor([0, 100])).tolist(); // [0, 1]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
 */
export class Tanh extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.tanh(input);
  }
}

/**
 * ln(sigmoid(x)), element by element.
 *
 * ```ts
 * new nn.LogSigmoid()(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html
 */
export class LogSigmoid extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.logsigmoid(input);
  }
}

/**
 * x / (1 + |x|), element by element.
 *
 * ```ts
 * new nn.Softsign()(torch.tensor([-1, 3], { dtype: "float32" })).tolist(); // [-0.5, 0.75]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softsign.html
 */
export class Softsign extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.softsign(input);
  }
}

/**
 * x − tanh(x), element by element.
 *
 * ```ts
 * new nn.Tanhshrink()(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanhshrink.html
 */
export class Tanhshrink extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.tanhshrink(input);
  }
}

/** Base class of the exponential units with `alpha` and `inplace`. */
abstract class AlphaActivation extends configured<[alpha?: number, inplace?: boolean]>()(
  "alpha inplace",
  1,
  false,
) {
  override extraRepr(): string {
    return andInplace(`alpha=${pyFloat(this.alpha)}`, this.inplace);
  }
}

/**
 * x where it is positive, else alpha · (eˣ − 1).
 *
 * ```ts
 * new nn.ELU()(torch.tensor([-1000, 2.5])).tolist(); // [-1, 2.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html
 */
export class ELU extends AlphaActivation {
  forward(input: Tensor): Tensor {
    return F.elu(input, this.alpha, this.inplace);
  }
}

/**
 * x where it is positive, else alpha · (e^(x / alpha) − 1).
 *
 * ```ts
 * new nn.CELU(2)(torch.tensor([-1000, 2.5])).tolist(); // [-2, 2.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html
 */
export class CELU extends AlphaActivation {
  forward(input: Tensor): Tensor {
    return F.celu(input, this.alpha, this.inplace);
  }
}

/**
 * x · Φ(x) with the normal distribution function Φ, or its approximation by tanh.
 *
 * ```ts
 * new nn.GELU({ approximate: "tanh" })(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html
 */
export class GELU extends configured<[approximate?: "none" | "tanh"]>()("approximate", "none") {
  forward(input: Tensor): Tensor {
    return F.gelu(input, this.approximate);
  }

  override extraRepr(): string {
    return `approximate=${py(this.approximate)}`;
  }
}

/**
 * ln(1 + e^(beta · x)) / beta; x itself where beta · x is above the threshold (20).
 *
 * ```ts
 * new nn.Softplus()(torch.tensor([25.5])).tolist(); // [25.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softplus.html
 */
export class Softplus extends configured<[beta?: number, threshold?: number]>()("beta threshold", 1, 20) {
  forward(input: Tensor): Tensor {
    return F.softplus(input, this.beta, this.threshold);
  }

  override extraRepr(): string {
    return `beta=${pyFloat(this.beta)}, threshold=${pyFloat(this.threshold)}`;
  }
}

/**
 * One half of a dimension times the sigmoid of the other.
 *
 * ```ts
 * new nn.GLU()(torch.randn(4, 6)).shape; // [4, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GLU.html
 */
export class GLU extends configured<[dim?: number]>()("dim", -1) {
  forward(input: Tensor): Tensor {
    return F.glu(input, this.dim);
  }

  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}
