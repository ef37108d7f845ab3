// Functions of single numbers.
import { TensorError } from "../../tensor/core/errors.ts";
import { fullLike } from "../../tensor/functions/creation/creation.ts";
import { broadcastShapes, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import { softplus } from "../functional/activation/activation.ts";
import * as constraints from "./constraints.ts";
import { EPS, spread, sumRightmost, TINY } from "./helpers.ts";
import { Transform, type TransformOptions } from "./transform.ts";

/** A function of single numbers without parameters. */
abstract class Elementwise extends Transform {
  readonly domain: constraints.Constraint = constraints.real;
  readonly codomain: constraints.Constraint = constraints.real;

  override get bijective(): boolean {
    return true;
  }

  override get sign(): number | Tensor {
    return 1;
  }

  protected override sameAs(): boolean {
    return true;
  }
}

/** y = eˣ. */
export class ExpTransform extends Elementwise {
  override readonly codomain = constraints.positive;

  protected override _call(x: Tensor): Tensor {
    return x.exp();
  }

  protected override _inverse(y: Tensor): Tensor {
    return y.log();
  }

  protected override logSlope(x: Tensor): Tensor {
    return x;
  }
}

/** y = 1 / (1 + e⁻ˣ), kept off 0 and 1. */
export class SigmoidTransform extends Elementwise {
  override readonly codomain = constraints.unitInterval;

  protected override _call(x: Tensor): Tensor {
    return x.sigmoid().clamp(TINY, 1 - EPS);
  }

  protected override _inverse(y: Tensor): Tensor {
    const inside = y.clamp(TINY, 1 - EPS);
    return inside.log().sub(inside.neg().log1p());
  }

  protected override logSlope(x: Tensor): Tensor {
    return softplus(x.neg()).neg().sub(softplus(x));
  }
}

/** y = tanh x. Images near ±1 have no exact inverse: with `cacheSize: 1` the value that was transformed stands for it. */
export class TanhTransform extends Elementwise {
  override readonly codomain = constraints.interval(-1, 1, () => ["-1.0", "1.0"]);

  protected override _call(x: Tensor): Tensor {
    return x.tanh();
  }

  protected override _inverse(y: Tensor): Tensor {
    return y.atanh();
  }

  protected override logSlope(x: Tensor): Tensor {
    return x
      .neg()
      .add(Math.log(2))
      .sub(softplus(x.mul(-2)))
      .mul(2);
  }
}

/** y = log(1 + eˣ). */
export class SoftplusTransform extends Elementwise {
  override readonly codomain = constraints.positive;

  protected override _call(x: Tensor): Tensor {
    return softplus(x);
  }

  protected override _inverse(y: Tensor): Tensor {
    return y.neg().expm1().neg().log().add(y);
  }

  protected override logSlope(x: Tensor): Tensor {
    return softplus(x.neg()).neg();
  }
}

/** y = |x|, whose inverse is y. */
export class AbsTransform extends Elementwise {
  override readonly codomain = constraints.positive;

  override get bijective(): boolean {
    return false;
  }

  override get sign(): never {
    throw new TensorError("unsupported", "AbsTransform does not implement sign");
  }

  protected override _call(x: Tensor): Tensor {
    return x.abs();
  }

  protected override _inverse(y: Tensor): Tensor {
    return y;
  }

  protected override logSlope(): Tensor {
    throw new TensorError("unsupported", "AbsTransform has no Jacobian: it isn't bijective");
  }
}

/** Shapes that combine with parameters by broadcasting. */
abstract class Broadcast extends Transform {
  protected abstract readonly parameters: readonly (number | Tensor)[];

  override get bijective(): boolean {
    return true;
  }

  override forwardShape(shape: Shape): Shape {
    return this.parameters.reduce<Shape>(
      (size, x) => (x instanceof Tensor ? broadcastShapes(size, x.shape) : size),
      shape,
    );
  }

  override inverseShape(shape: Shape): Shape {
    return this.forwardShape(shape);
  }

  protected override sameAs(other: this): boolean {
    return this.parameters.every((x, i) => {
      const y = other.parameters[i]!;
      if (x instanceof Tensor && y instanceof Tensor) {
        return x === y || (sameShape(x.shape, y.shape) && x.equal(y));
      }
      return x === y;
    });
  }
}

/** y = xᵉ of positive numbers. */
export class PowerTransform extends Broadcast {
  readonly exponent: number | Tensor;
  readonly domain = constraints.positive;
  readonly codomain = constraints.positive;

  constructor(exponent: number | Tensor, options?: TransformOptions) {
    super(options);
    this.exponent = exponent;
  }

  override get sign(): number | Tensor {
    return this.exponent instanceof Tensor ? this.exponent.sign() : Math.sign(this.exponent);
  }

  protected get parameters(): readonly (number | Tensor)[] {
    return [this.exponent];
  }

  protected override _call(x: Tensor): Tensor {
    return x.pow(this.exponent);
  }

  protected override _inverse(y: Tensor): Tensor {
    return y.pow(this.exponent instanceof Tensor ? this.exponent.reciprocal() : 1 / this.exponent);
  }

  protected override logSlope(x: Tensor, y: Tensor): Tensor {
    return y.mul(this.exponent).div(x).abs().log();
  }
}

interface AffineArguments extends TransformOptions {
  loc: number | Tensor;
  scale: number | Tensor;
  /** Trailing dimensions that make up an event. Default 0. */
  eventDim?: number;
}

/** y = loc + scale · x. */
export class AffineTransform extends Broadcast {
  readonly loc: number | Tensor;
  readonly scale: number | Tensor;
  readonly domain: constraints.Constraint;
  readonly codomain: constraints.Constraint;

  constructor(loc: number | Tensor, scale: number | Tensor, eventDim?: number, cacheSize?: number);
  constructor(
    loc: number | Tensor,
    scale: number | Tensor,
    options?: Pick<AffineArguments, "eventDim" | "cacheSize">,
  );
  constructor(options: AffineArguments);
  constructor(...args: unknown[]) {
    const { loc, scale, eventDim, cacheSize } = bind<AffineArguments>("AffineTransform", args, {
      loc: REQUIRED,
      scale: REQUIRED,
      eventDim: 0,
      cacheSize: 0,
    });
    super({ cacheSize });
    this.loc = loc;
    this.scale = scale;
    this.domain = eventDim === 0 ? constraints.real : constraints.independent(constraints.real, eventDim);
    this.codomain = this.domain;
  }

  override get sign(): number | Tensor {
    return this.scale instanceof Tensor ? this.scale.sign() : Math.sign(this.scale);
  }

  protected get parameters(): readonly (number | Tensor)[] {
    return [this.loc, this.scale];
  }

  protected override _call(x: Tensor): Tensor {
    return x.mul(this.scale).add(this.loc);
  }

  protected override _inverse(y: Tensor): Tensor {
    return y.sub(this.loc).div(this.scale);
  }

  protected override logSlope(x: Tensor): Tensor {
    const { scale, eventDim } = this;
    const slopes =
      scale instanceof Tensor
        ? spread(scale.abs().log(), broadcastShapes(x.shape, scale.shape))
        : fullLike(x, Math.log(Math.abs(scale)));
    return sumRightmost(slopes, eventDim);
  }
}
