// Invertible functions and what they do to densities.
import "../../tensor/methods.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Constraint } from "./constraints.ts";

/** Options of every transform. */
export interface TransformOptions {
  /** 1 keeps the last value and its image, so that inverting an image gives the value that it came from. Default 0. */
  cacheSize?: number;
}

/** A transform is called like a function. */
export interface Transform {
  (x: Tensor): Tensor;
  /** Whether the inverse is exact for every value. Default false; a class of one's own sets it, `bijective = true`. */
  readonly bijective: boolean;
  /**
   * 1 or −1: whether values grow with their images or shrink. `cdf` and `icdf` of transformed distributions need it; a class of
   * one's own sets it, `sign = 1`.
   * @throws TensorError "Coupling does not implement sign"
   */
  readonly sign: number | Tensor;
}

/**
 * A function of tensors with an inverse, `transform.inv`, and known slopes. It is called like any function.
 *
 * A class of one's own has PyTorch's members: `domain`, `codomain`, `bijective`, `_call`, `_inverse` and `logAbsDetJacobian`.
 *
 * ```ts
 * const { Transform, constraints } = torch.distributions;
 * class Cube extends Transform {
 *   domain = constraints.real;
 *   codomain = constraints.real;
 *   bijective = true;
 *   sign = 1;
 *   override _call(x: Tensor): Tensor {
 *     return x.pow(3);
 *   }
 *   override _inverse(y: Tensor): Tensor {
 *     return y.sign().mul(y.abs().pow(1 / 3));
 *   }
 *   override logAbsDetJacobian(x: Tensor): Tensor {
 *     return x.square().mul(3).log();
 *   }
 * }
 * new Cube()(torch.tensor([2, -1])).tolist(); // [8, -1]
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#torch.distributions.transforms.Transform
 */
export abstract class Transform {
  abstract readonly domain: Constraint;
  abstract readonly codomain: Constraint;
  cacheSize!: number;
  protected inverse: Transform | undefined;
  private last: readonly [x: Tensor, y: Tensor] | undefined;

  constructor(options: TransformOptions = {}) {
    const { cacheSize = 0 } = options;
    if (cacheSize !== 0 && cacheSize !== 1) throw new TensorError("value", "cache_size must be 0 or 1");
    const self = ((x: Tensor) => self.image(x)) as unknown as this;
    Reflect.deleteProperty(self, "name");
    Reflect.deleteProperty(self, "length");
    Object.setPrototypeOf(self, new.target.prototype);
    self.cacheSize = cacheSize;
    return self;
  }

  /** Number of trailing dimensions that are transformed together. */
  get eventDim(): number {
    return this.domain.eventDim;
  }

  get inv(): Transform {
    return (this.inverse ??= new InverseTransform(this));
  }

  /** @internal The image of x. */
  image(x: Tensor): Tensor {
    if (this.last !== undefined && this.last[0] === x) return this.last[1];
    const y = composed(() => this._call(x));
    if (this.cacheSize === 1) this.last = [x, y];
    return y;
  }

  /** @internal The value whose image is y. */
  invert(y: Tensor): Tensor {
    if (this.last !== undefined && this.last[1] === y) return this.last[0];
    const x = composed(() => this._inverse(y));
    if (this.cacheSize === 1) this.last = [x, y];
    return x;
  }

  /** log |dy / dx| of a value and its image. */
  logAbsDetJacobian(x: Tensor, y: Tensor): Tensor {
    return composed(() => this.logSlope(x, y));
  }

  /** Whether it is the same function. */
  equals(other: Transform): boolean {
    return this === other || (this.constructor === other.constructor && this.sameAs(other as this));
  }

  forwardShape(shape: Shape): Shape {
    return shape;
  }

  inverseShape(shape: Shape): Shape {
    return shape;
  }

  toString(): string {
    return `${this.constructor.name}()`;
  }

  protected sameAs(_other: this): boolean {
    return false;
  }

  /** The image of x, which a class of one's own computes. Calling the transform also keeps it, with `cacheSize: 1`. */
  protected _call(_x: Tensor): Tensor {
    return missing(this, "_call");
  }

  /** The value whose image is y, which a class of one's own computes. */
  protected _inverse(_y: Tensor): Tensor {
    return missing(this, "_inverse");
  }

  /** What {@link logAbsDetJacobian} returns, computed as one function. */
  protected logSlope(_x: Tensor, _y: Tensor): Tensor {
    return missing(this, "log_abs_det_jacobian");
  }
}

function missing(transform: object, what: string): never {
  throw new TensorError("unsupported", `${transform.constructor.name} does not implement ${what}`);
}

// Properties of the prototype that fields of subclasses replace: TypeScript refuses a field in the place of an accessor.
Object.defineProperties(Transform.prototype, {
  bijective: { value: false, writable: true, configurable: true },
  sign: {
    get(this: Transform) {
      return missing(this, "sign");
    },
    set(this: Transform, value: number | Tensor) {
      Object.defineProperty(this, "sign", { value, writable: true, configurable: true, enumerable: true });
    },
    configurable: true,
  },
});

class InverseTransform extends Transform {
  private readonly of: Transform;

  constructor(of: Transform) {
    super();
    this.of = of;
    this.inverse = of;
  }

  get domain(): Constraint {
    return this.of.codomain;
  }

  get codomain(): Constraint {
    return this.of.domain;
  }

  override get bijective(): boolean {
    return this.of.bijective;
  }

  override get sign(): number | Tensor {
    return this.of.sign;
  }

  override forwardShape(shape: Shape): Shape {
    return this.of.inverseShape(shape);
  }

  override inverseShape(shape: Shape): Shape {
    return this.of.forwardShape(shape);
  }

  override image(x: Tensor): Tensor {
    return this.of.invert(x);
  }

  override invert(y: Tensor): Tensor {
    return this.of.image(y);
  }

  override toString(): string {
    return `_InverseTransform(${this.of.toString()})`;
  }

  protected override sameAs(other: this): boolean {
    return this.of.equals(other.of);
  }

  protected override _call(x: Tensor): Tensor {
    return this.of.invert(x);
  }

  protected override _inverse(y: Tensor): Tensor {
    return this.of.image(y);
  }

  protected override logSlope(x: Tensor, y: Tensor): Tensor {
    return this.of.logAbsDetJacobian(y, x).neg();
  }
}
