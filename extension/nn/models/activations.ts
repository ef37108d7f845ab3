// The activations that Hugging Face's configurations name.
import { TensorError } from "../../tensor/core/errors.ts";
import { mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sigmoid } from "../../tensor/functions/pointwise/elementwise.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { gelu, mish, silu } from "../functional/activation/activation.ts";
import { BuiltIn, type Layer } from "../module/module.ts";
import { Sigmoid, SiLU, Tanh } from "../modules/activation/activation.ts";
import { Hardswish, LeakyReLU, ReLU, ReLU6 } from "../modules/activation/piecewise.ts";

/** x · Φ(x) with the normal distribution function Φ. */
export class GELUActivation extends BuiltIn {
  forward(input: Tensor): Tensor {
    return gelu(input);
  }
}

/** {@link GELUActivation}, approximated by tanh. */
export class NewGELUActivation extends BuiltIn {
  forward(input: Tensor): Tensor {
    return gelu(input, { approximate: "tanh" });
  }
}

/** The same function as {@link NewGELUActivation}, under another name. */
export class FastGELUActivation extends NewGELUActivation {}

/** The same function as {@link NewGELUActivation}, under another name. */
export class GELUTanh extends NewGELUActivation {}

/** x · sigmoid(1.702 x). */
export class QuickGELUActivation extends BuiltIn {
  forward(input: Tensor): Tensor {
    return mul(input, sigmoid(mul(input, 1.702)));
  }
}

/** x · sigmoid(x). */
export class SiLUActivation extends BuiltIn {
  forward(input: Tensor): Tensor {
    return silu(input);
  }
}

/** x · tanh(softplus(x)). */
export class MishActivation extends BuiltIn {
  forward(input: Tensor): Tensor {
    return mish(input);
  }
}

/** The input itself. */
export class LinearActivation extends BuiltIn {
  forward(input: Tensor): Tensor {
    return input;
  }
}

const ACTIVATIONS: Readonly<Record<string, new () => Layer>> = {
  gelu: GELUActivation,
  gelu_python: GELUActivation,
  gelu_new: NewGELUActivation,
  gelu_fast: FastGELUActivation,
  gelu_pytorch_tanh: GELUTanh,
  quick_gelu: QuickGELUActivation,
  hardswish: Hardswish,
  leaky_relu: LeakyReLU,
  linear: LinearActivation,
  mish: MishActivation,
  relu: ReLU,
  relu6: ReLU6,
  sigmoid: Sigmoid,
  silu: SiLUActivation,
  swish: SiLU,
  tanh: Tanh,
};

/** @throws TensorError "function x not found in ACT2FN mapping […]" */
export function activationNamed(name: string): Layer {
  const type = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (type !== undefined) return new type();
  const known = Object.keys(ACTIVATIONS).map((key) => `'${key}'`);
  throw new TensorError("value", `function ${name} not found in ACT2FN mapping [${known.join(", ")}]`);
}
