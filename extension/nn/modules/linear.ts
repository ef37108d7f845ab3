import { fillValue } from "../../tensor/recording/graph.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../arguments.ts";
import { bilinear, linear } from "../functional/linear.ts";
import { fans, kaimingUniform_, uniform_ } from "../init.ts";
import { BuiltIn } from "../module/module.ts";
import { py } from "../module/repr.ts";

/** A parameter that waits for its initial values. */
export function emptyParameter(shape: Shape, requiresGrad = true): Parameter {
  if (shape.some((n) => n < 0)) {
    throw new TensorError(
      "value",
      `Trying to create tensor with negative dimension ${shape.find((n) => n < 0)}: [${shape.join(", ")}]`,
    );
  }
  return new Parameter(new Tensor(fillValue(0, shape, "float32")), requiresGrad);
}

/** Weights U(±1/√fan_in), then the bias U(±1/√fan_in): how PyTorch starts linear layers and convolutions. */
export function resetUniform(weight: Tensor, bias: Tensor | null): void {
  kaimingUniform_(weight, { a: Math.sqrt(5) });
  if (bias === null) return;
  const { fanIn } = fans(weight.shape);
  if (fanIn > 0) uniform_(bias, -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn));
}

interface LinearArguments {
  inFeatures: number;
  outFeatures: number;
  bias?: boolean;
}

/**
 * y = x Wᵀ + b.
 *
 * - weight [outFeatures, inFeatures] and bias [outFeatures], both from U(−k, k) with k = 1/√inFeatures; `bias: false`
 *   leaves the bias out
 * - input [*, inFeatures], output [*, outFeatures]
 *
 * ```ts
 * new nn.Linear(20, 30)(torch.randn(128, 20)).shape; // [128, 30]
 * ```
 * @throws TensorError "addmm: mat1 and mat2 shapes cannot be multiplied (32x100 and 784x128)"
 */
export class Linear extends BuiltIn {
  inFeatures: number;
  outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options?: { bias?: boolean });
  constructor(inFeatures: number, outFeatures: number, bias: boolean);
  constructor(...args: Arguments<LinearArguments, "inFeatures outFeatures bias">);
  constructor(...args: unknown[]) {
    super();
    const { inFeatures, outFeatures, bias } = bind<LinearArguments>("Linear", args, {
      inFeatures: REQUIRED,
      outFeatures: REQUIRED,
      bias: true,
    });
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = emptyParameter([outFeatures, inFeatures]);
    this.bias = bias ? emptyParameter([outFeatures]) : null;
    this.resetParameters();
  }

  resetParameters(): void {
    resetUniform(this.weight, this.bias);
  }

  forward(input: Tensor): Tensor {
    return linear(input, this.weight, this.bias);
  }

  override extraRepr(): string {
    return `in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${py(this.bias !== null)}`;
  }
}

/**
 * Takes any arguments and returns its input.
 *
 * ```ts
 * new nn.Identity(54, { unused: true })(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html
 */
export class Identity extends BuiltIn {
  constructor(..._unused: unknown[]) {
    super();
  }

  forward(input: Tensor): Tensor {
    return input;
  }
}

interface BilinearArguments {
  in1Features: number;
  in2Features: number;
  outFeatures: number;
  bias?: boolean;
}

/**
 * y = x₁ᵀ W x₂ + b, with a matrix W for each output.
 *
 * - weight [outFeatures, in1Features, in2Features] and bias [outFeatures], both from U(−k, k) with k = 1/√in1Features
 * - inputs [*, in1Features] and [*, in2Features], output [*, outFeatures]
 *
 * ```ts
 * new nn.Bilinear(20, 30, 40)(torch.randn(128, 20), torch.randn(128, 30)).shape; // [128, 40]
 * ```
 * @throws TensorError "bilinear(): input1 size does not match weight size: got 3 but expected 4"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Bilinear.html
 */
export class Bilinear extends BuiltIn {
  in1Features: number;
  in2Features: number;
  outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(
    in1Features: number,
    in2Features: number,
    outFeatures: number,
    bias?: boolean | { bias?: boolean },
  );
  constructor(options: BilinearArguments);
  constructor(...args: Arguments<BilinearArguments, "in1Features in2Features outFeatures bias">);
  constructor(...args: unknown[]) {
    super();
    const { in1Features, in2Features, outFeatures, bias } = bind<BilinearArguments>("Bilinear", args, {
      in1Features: REQUIRED,
      in2Features: REQUIRED,
      outFeatures: REQUIRED,
      bias: true,
    });
    this.in1Features = in1Features;
    this.in2Features = in2Features;
    this.outFeatures = outFeatures;
    this.weight = emptyParameter([outFeatures, in1Features, in2Features]);
    this.bias = bias ? emptyParameter([outFeatures]) : null;
    this.resetParameters();
  }

  resetParameters(): void {
    if (this.in1Features <= 0) {
      throw new TensorError("value", `in1_features must be > 0, but got (in1_features=${this.in1Features})`);
    }
    const bound = 1 / Math.sqrt(this.in1Features);
    uniform_(this.weight, -bound, bound);
    if (this.bias !== null) uniform_(this.bias, -bound, bound);
  }

  forward(input1: Tensor, input2: Tensor): Tensor {
    return bilinear(input1, input2, this.weight, this.bias);
  }

  override extraRepr(): string {
    return `in1_features=${this.in1Features}, in2_features=${this.in2Features}, out_features=${this.outFeatures}, bias=${py(this.bias !== null)}`;
  }
}
