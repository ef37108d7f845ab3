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
}

/** A function of tensors with an inverse, `transform.inv`, and known slopes. It is called like any function. */
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

  /** Whether the inverse is exact for every value. */
  get bijective(): boolean {
    return true;
  }

  /** 1 or −1: whether values grow with their images or shrink. */
  get sign(): number | Tensor {
    return 1;
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
    const y = composed(() => this.forward(x));
    if (this.cacheSize === 1) this.last = [x, y];
    return y;
  }

  /** @internal The value whose image is y. */
  invert(y: Tensor): Tensor {
    if (this.last !== undefined && this.last[1] === y) return this.last[0];
    const x = composed(() => this.backward(y));
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

  protected abstract forward(x: Tensor): Tensor;
  protected abstract backward(y: Tensor): Tensor;
  protected abstract logSlope(x: Tensor, y: Tensor): Tensor;
}

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

  protected forward(x: Tensor): Tensor {
    return this.of.invert(x);
  }

  protected backward(y: Tensor): Tensor {
    return this.of.image(y);
  }

  protected logSlope(x: Tensor, y: Tensor): Tensor {
    return this.of.logAbsDetJacobian(y, x).neg();
  }
}
