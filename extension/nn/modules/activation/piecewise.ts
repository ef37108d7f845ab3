import { TensorError } from "../../../tensor/core/errors.ts";
import { fill_ } from "../../../tensor/functions/creation/filling.ts";
import { noGrad } from "../../../tensor/recording/scope.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../../arguments.ts";
import * as F from "../../functional/activation/activation.ts";
import { BuiltIn } from "../../module/module.ts";
import { py, pyFloat, snakeCase } from "../../module/repr.ts";
import { warnOnce } from "../../warnings.ts";
import { andInplace, InPlaceActivation } from "./inPlace.ts";
import { configured } from "../configured.ts";

/**
 * max(x, 0), element by element.
 *
 * ```ts
 * new nn.ReLU()(torch.tensor([-1.5, 2])).tolist(); // [0, 2]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
 */
export class ReLU extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.relu(input, this.inplace);
  }
}

/**
 * min(max(x, 0), 6), element by element.
 *
 * ```ts
 * new nn.ReLU6()(torch.tensor([-1.5, 2, 8])).tolist(); // [0, 2, 6]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html
 */
export class ReLU6 extends InPlaceActivation {
  readonly minVal = 0;
  readonly maxVal = 6;

  forward(input: Tensor): Tensor {
    return F.relu6(input, this.inplace);
  }
}

/**
 * min(max(x + 3, 0), 6) / 6, element by element.
 *
 * ```ts
 * new nn.Hardsigmoid()(torch.tensor([-4.5, 0, 4])).tolist(); // [0, 0.5, 1]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html
 */
export class Hardsigmoid extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.hardsigmoid(input, this.inplace);
  }

  override extraRepr(): string {
    return "";
  }
}

/**
 * x · hardsigmoid(x), element by element.
 *
 * ```ts
 * new nn.Hardswish()(torch.tensor([-4.5, 0, 4])).tolist(); // [0, 0, 4]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardswish.html
 */
export class Hardswish extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.hardswish(input, this.inplace);
  }

  override extraRepr(): string {
    return "";
  }
}

/**
 * x where it is positive, else negativeSlope · x (0.01 by default).
 *
 * ```ts
 * new nn.LeakyReLU(0.5)(torch.tensor([-2, 2.5])).tolist(); // [-1, 2.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
 */
export class LeakyReLU extends configured<[negativeSlope?: number, inplace?: boolean]>()(
  "negativeSlope inplace",
  0.01,
  false,
) {
  forward(input: Tensor): Tensor {
    return F.leakyRelu(input, this.negativeSlope, this.inplace);
  }

  override extraRepr(): string {
    return andInplace(`negative_slope=${pyFloat(this.negativeSlope)}`, this.inplace);
  }
}

interface HardtanhArguments extends F.InPlace {
  minVal?: number;
  maxVal?: number;
  /** PyTorch's older name of minVal. */
  minValue?: number | null;
  /** PyTorch's older name of maxVal. */
  maxValue?: number | null;
}

/**
 * x clamped to [minVal, maxVal], ±1 by default.
 *
 * ```ts
 * new nn.Hardtanh(-2, 2)(torch.tensor([-3, 0.5, 3])).tolist(); // [-2, 0.5, 2]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html
 */
export class Hardtanh extends BuiltIn {
  minVal: number;
  maxVal: number;
  inplace: boolean;

  constructor(options?: HardtanhArguments);
  constructor(minVal?: number, maxVal?: number, inplace?: boolean);
  constructor(...args: Arguments<HardtanhArguments, "minVal maxVal inplace minValue maxValue">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<HardtanhArguments>("Hardtanh", args, {
      minVal: -1,
      maxVal: 1,
      inplace: false,
      minValue: null,
      maxValue: null,
    });
    for (const [old, name] of [
      ["minValue", "minVal"],
      ["maxValue", "maxVal"],
    ] as const) {
      const value = bound[old];
      if (value === null) continue;
      warnOnce(`keyword argument \`${snakeCase(old)}\` is deprecated and rename to \`${snakeCase(name)}\``);
      bound[name] = value;
    }
    if (bound.maxVal <= bound.minVal) {
      throw new TensorError(
        "value",
        `max_val (${py(bound.maxVal)}) must be greater than min_val (${py(bound.minVal)})`,
      );
    }
    this.minVal = bound.minVal;
    this.maxVal = bound.maxVal;
    this.inplace = bound.inplace;
  }

  forward(input: Tensor): Tensor {
    return F.hardtanh(input, this.minVal, this.maxVal, this.inplace);
  }

  override extraRepr(): string {
    return andInplace(`min_val=${pyFloat(this.minVal)}, max_val=${pyFloat(this.maxVal)}`, this.inplace);
  }
}

/** Base class of {@link Hardshrink} and {@link Softshrink}. */
abstract class Shrink extends configured<[lambd?: number]>()("lambd", 0.5) {
  override extraRepr(): string {
    return pyFloat(this.lambd);
  }
}

/**
 * x where |x| is above lambd (0.5), else 0.
 *
 * ```ts
 * new nn.Hardshrink(1)(torch.tensor([-2, 0.5, 3])).tolist(); // [-2, 0, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html
 */
export class Hardshrink extends Shrink {
  forward(input: Tensor): Tensor {
    return F.hardshrink(input, this.lambd);
  }
}

/**
 * x moved towards 0 by lambd (0.5), 0 in between.
 *
 * ```ts
 * new nn.Softshrink(1)(torch.tensor([-2, 0.5, 3])).tolist(); // [-1, 0, 2]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softshrink.html
 */
export class Softshrink extends Shrink {
  forward(input: Tensor): Tensor {
    return F.softshrink(input, this.lambd);
  }
}

/**
 * x where it is above the threshold, else `value`.
 *
 * ```ts
 * new nn.Threshold(0.5, 20)(torch.tensor([0.25, 1])).tolist(); // [20, 1]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Threshold.html
 */
export class Threshold extends configured<[threshold: number, value: number, inplace?: boolean]>()(
  "threshold value inplace",
  false,
) {
  forward(input: Tensor): Tensor {
    return F.threshold(input, this.threshold, this.value, this.inplace);
  }

  override extraRepr(): string {
    return andInplace(`threshold=${py(this.threshold)}, value=${py(this.value)}`, this.inplace);
  }
}

interface PreluArguments {
  numParameters?: number;
  init?: number;
}

/**
 * x where it is positive, else weight · x with learned weights.
 *
 * - weight [numParameters]: one, or one for each channel; 0.25 at first
 *
 * ```ts
 * new nn.PReLU()(torch.tensor([-4, 2.5])).tolist(); // [-1, 2.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html
 */
export class PReLU extends BuiltIn {
  numParameters: number;
  init: number;
  weight: Parameter;

  constructor(options?: PreluArguments);
  constructor(numParameters?: number, init?: number);
  constructor(...args: Arguments<PreluArguments, "numParameters init">);
  constructor(...args: unknown[]) {
    super();
    const { numParameters, init } = bind<PreluArguments>("PReLU", args, { numParameters: 1, init: 0.25 });
    this.numParameters = numParameters;
    this.init = init;
    this.weight = new Parameter(new Tensor(fillValue(init, [numParameters], "float32")));
  }

  resetParameters(): void {
    noGrad(() => fill_(this.weight, this.init));
  }

  forward(input: Tensor): Tensor {
    return F.prelu(input, this.weight);
  }

  override extraRepr(): string {
    return `num_parameters=${this.numParameters}`;
  }
}
