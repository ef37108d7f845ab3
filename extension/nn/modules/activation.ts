import { TensorError } from "../../tensor/errors.ts";
import { fillValue } from "../../tensor/graph.ts";
import { Parameter, Tensor } from "../../tensor/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as F from "../functional/activation.ts";
import { BuiltIn } from "../module.ts";
import { py, pyFloat } from "../repr.ts";

const inplaceText = (inplace: boolean): string => (inplace ? "inplace=True" : "");
const andInplace = (text: string, inplace: boolean): string => (inplace ? `${text}, inplace=True` : text);

/** What the activations that only know `inplace` share. */
abstract class InPlaceActivation extends BuiltIn {
  readonly inplace: boolean;

  constructor(options?: F.InPlace);
  constructor(inplace?: boolean);
  constructor(...args: unknown[]) {
    super();
    this.inplace = bind<F.InPlace>(this.constructor.name, args, { inplace: false }).inplace;
  }

  override extraRepr(): string {
    return inplaceText(this.inplace);
  }
}

/** max(x, 0), element by element. */
export class ReLU extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.relu(input, this.inplace);
  }
}

/** min(max(x, 0), 6), element by element. */
export class ReLU6 extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.relu6(input, this.inplace);
  }
}

/** The self-normalising exponential unit: {@link ELU} with fixed alpha and scale. */
export class SELU extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.selu(input, this.inplace);
  }
}

/** x · sigmoid(x), element by element. */
export class SiLU extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.silu(input, this.inplace);
  }
}

/** x · tanh(softplus(x)), element by element. */
export class Mish extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.mish(input, this.inplace);
  }
}

/** min(max(x + 3, 0), 6) / 6, element by element. */
export class Hardsigmoid extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.hardsigmoid(input, this.inplace);
  }

  override extraRepr(): string {
    return "";
  }
}

/** x · hardsigmoid(x), element by element. */
export class Hardswish extends InPlaceActivation {
  forward(input: Tensor): Tensor {
    return F.hardswish(input, this.inplace);
  }

  override extraRepr(): string {
    return "";
  }
}

/** 1 / (1 + e⁻ˣ), element by element. */
export class Sigmoid extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.sigmoid(input);
  }
}

/** The hyperbolic tangent, element by element. */
export class Tanh extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.tanh(input);
  }
}

/** ln(sigmoid(x)), element by element. */
export class LogSigmoid extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.logsigmoid(input);
  }
}

/** x / (1 + |x|), element by element. */
export class Softsign extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.softsign(input);
  }
}

/** x − tanh(x), element by element. */
export class Tanhshrink extends BuiltIn {
  forward(input: Tensor): Tensor {
    return F.tanhshrink(input);
  }
}

/** x where it is positive, else negativeSlope · x (0.01 by default). */
export class LeakyReLU extends BuiltIn {
  readonly negativeSlope: number;
  readonly inplace: boolean;

  constructor(options?: F.LeakyReluOptions);
  constructor(negativeSlope?: number, inplace?: boolean);
  constructor(negativeSlope: number, options?: F.InPlace);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<F.LeakyReluOptions>("LeakyReLU", args, { negativeSlope: 0.01, inplace: false });
    this.negativeSlope = bound.negativeSlope;
    this.inplace = bound.inplace;
  }

  forward(input: Tensor): Tensor {
    return F.leakyRelu(input, this.negativeSlope, this.inplace);
  }

  override extraRepr(): string {
    return andInplace(`negative_slope=${pyFloat(this.negativeSlope)}`, this.inplace);
  }
}

interface AlphaArguments extends F.InPlace {
  alpha?: number;
}

/** What the exponential units share. */
abstract class AlphaActivation extends BuiltIn {
  readonly alpha: number;
  readonly inplace: boolean;

  constructor(options?: AlphaArguments);
  constructor(alpha?: number, inplace?: boolean);
  constructor(...args: unknown[]) {
    super();
    const { alpha, inplace } = bind<AlphaArguments>(this.constructor.name, args, {
      alpha: 1,
      inplace: false,
    });
    this.alpha = alpha;
    this.inplace = inplace;
  }

  override extraRepr(): string {
    return andInplace(`alpha=${pyFloat(this.alpha)}`, this.inplace);
  }
}

/** x where it is positive, else alpha · (eˣ − 1). */
export class ELU extends AlphaActivation {
  forward(input: Tensor): Tensor {
    return F.elu(input, this.alpha, this.inplace);
  }
}

/** x where it is positive, else alpha · (e^(x / alpha) − 1). */
export class CELU extends AlphaActivation {
  forward(input: Tensor): Tensor {
    return F.celu(input, this.alpha, this.inplace);
  }
}

interface GeluArguments {
  approximate?: "none" | "tanh";
}

/** x · Φ(x) with the normal distribution function Φ, or its approximation by tanh. */
export class GELU extends BuiltIn {
  readonly approximate: "none" | "tanh";

  constructor(options?: GeluArguments);
  constructor(approximate?: "none" | "tanh");
  constructor(...args: unknown[]) {
    super();
    this.approximate = bind<GeluArguments>("GELU", args, { approximate: "none" }).approximate;
  }

  forward(input: Tensor): Tensor {
    return F.gelu(input, this.approximate);
  }

  override extraRepr(): string {
    return `approximate=${py(this.approximate)}`;
  }
}

interface SoftplusArguments {
  beta?: number;
  threshold?: number;
}

/** ln(1 + e^(beta · x)) / beta; x itself where beta · x is above the threshold (20). */
export class Softplus extends BuiltIn {
  readonly beta: number;
  readonly threshold: number;

  constructor(options?: SoftplusArguments);
  constructor(beta?: number, threshold?: number);
  constructor(...args: unknown[]) {
    super();
    const { beta, threshold } = bind<SoftplusArguments>("Softplus", args, { beta: 1, threshold: 20 });
    this.beta = beta;
    this.threshold = threshold;
  }

  forward(input: Tensor): Tensor {
    return F.softplus(input, this.beta, this.threshold);
  }

  override extraRepr(): string {
    return `beta=${pyFloat(this.beta)}, threshold=${pyFloat(this.threshold)}`;
  }
}

interface HardtanhArguments extends F.InPlace {
  minVal?: number;
  maxVal?: number;
}

/** x moved into [minVal, maxVal]: ±1 by default. */
export class Hardtanh extends BuiltIn {
  readonly minVal: number;
  readonly maxVal: number;
  readonly inplace: boolean;

  constructor(options?: HardtanhArguments);
  constructor(minVal?: number, maxVal?: number, inplace?: boolean);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<HardtanhArguments>("Hardtanh", args, { minVal: -1, maxVal: 1, inplace: false });
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

interface LambdArguments {
  lambd?: number;
}

/** What the shrinking functions share. */
abstract class Shrink extends BuiltIn {
  readonly lambd: number;

  constructor(options?: LambdArguments);
  constructor(lambd?: number);
  constructor(...args: unknown[]) {
    super();
    this.lambd = bind<LambdArguments>(this.constructor.name, args, { lambd: 0.5 }).lambd;
  }

  override extraRepr(): string {
    return py(this.lambd);
  }
}

/** x where |x| is above lambd (0.5), else 0. */
export class Hardshrink extends Shrink {
  forward(input: Tensor): Tensor {
    return F.hardshrink(input, this.lambd);
  }
}

/** x moved towards 0 by lambd (0.5), 0 in between. */
export class Softshrink extends Shrink {
  forward(input: Tensor): Tensor {
    return F.softshrink(input, this.lambd);
  }
}

interface ThresholdArguments extends F.InPlace {
  threshold: number;
  value: number;
}

/** x where it is above the threshold, else `value`. */
export class Threshold extends BuiltIn {
  readonly threshold: number;
  readonly value: number;
  readonly inplace: boolean;

  constructor(options: ThresholdArguments);
  constructor(threshold: number, value: number, inplace?: boolean);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<ThresholdArguments>("Threshold", args, {
      threshold: REQUIRED,
      value: REQUIRED,
      inplace: false,
    });
    this.threshold = bound.threshold;
    this.value = bound.value;
    this.inplace = bound.inplace;
  }

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
 */
export class PReLU extends BuiltIn {
  weight: Parameter;

  constructor(options?: PreluArguments);
  constructor(numParameters?: number, init?: number);
  constructor(...args: unknown[]) {
    super();
    const { numParameters, init } = bind<PreluArguments>("PReLU", args, { numParameters: 1, init: 0.25 });
    this.weight = new Parameter(new Tensor(fillValue(init, [numParameters], "float32")));
  }

  forward(input: Tensor): Tensor {
    return F.prelu(input, this.weight);
  }

  override extraRepr(): string {
    return `num_parameters=${this.weight.shape[0]}`;
  }
}

/** One half of a dimension times the sigmoid of the other. */
export class GLU extends BuiltIn {
  readonly dim: number;

  constructor(options?: { dim?: number });
  constructor(dim?: number);
  constructor(...args: unknown[]) {
    super();
    this.dim = bind<{ dim?: number }>("GLU", args, { dim: -1 }).dim;
  }

  forward(input: Tensor): Tensor {
    return F.glu(input, this.dim);
  }

  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}
