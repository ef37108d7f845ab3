// Invertible functions and what they do to densities: torch.distributions.transforms.
import { TensorError } from "../../tensor/errors.ts";
import { fullLike, zerosLike } from "../../tensor/functions/creation.ts";
import { composed } from "../../tensor/functions/operands.ts";
import { broadcastShapes, numel, sameShape, type Shape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import { softplus } from "../functional/activation.ts";
import * as constraints from "./constraints.ts";
import { EPS, spread, sumRightmost, TINY } from "./helpers.ts";

/** What every transform takes. */
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
  abstract readonly domain: constraints.Constraint;
  abstract readonly codomain: constraints.Constraint;
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

  get domain(): constraints.Constraint {
    return this.of.codomain;
  }

  get codomain(): constraints.Constraint {
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

/** A function of single numbers without parameters. */
abstract class Elementwise extends Transform {
  readonly domain: constraints.Constraint = constraints.real;
  readonly codomain: constraints.Constraint = constraints.real;

  protected override sameAs(): boolean {
    return true;
  }
}

/** y = eˣ. */
export class ExpTransform extends Elementwise {
  override readonly codomain = constraints.positive;

  protected forward(x: Tensor): Tensor {
    return x.exp();
  }

  protected backward(y: Tensor): Tensor {
    return y.log();
  }

  protected logSlope(x: Tensor): Tensor {
    return x;
  }
}

/** y = 1 / (1 + e⁻ˣ), kept off 0 and 1. */
export class SigmoidTransform extends Elementwise {
  override readonly codomain = constraints.unitInterval;

  protected forward(x: Tensor): Tensor {
    return x.sigmoid().clamp(TINY, 1 - EPS);
  }

  protected backward(y: Tensor): Tensor {
    const inside = y.clamp(TINY, 1 - EPS);
    return inside.log().sub(inside.neg().log1p());
  }

  protected logSlope(x: Tensor): Tensor {
    return softplus(x.neg()).neg().sub(softplus(x));
  }
}

/** y = tanh x. Images near ±1 have no exact inverse: with `cacheSize: 1` the value that was transformed stands for it. */
export class TanhTransform extends Elementwise {
  override readonly codomain = constraints.interval(-1, 1, () => ["-1.0", "1.0"]);

  protected forward(x: Tensor): Tensor {
    return x.tanh();
  }

  protected backward(y: Tensor): Tensor {
    return y.atanh();
  }

  protected logSlope(x: Tensor): Tensor {
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

  protected forward(x: Tensor): Tensor {
    return softplus(x);
  }

  protected backward(y: Tensor): Tensor {
    return y.neg().expm1().neg().log().add(y);
  }

  protected logSlope(x: Tensor): Tensor {
    return softplus(x.neg()).neg();
  }
}

/** y = |x|, whose inverse is y. */
export class AbsTransform extends Elementwise {
  override readonly codomain = constraints.positive;

  override get bijective(): boolean {
    return false;
  }

  protected forward(x: Tensor): Tensor {
    return x.abs();
  }

  protected backward(y: Tensor): Tensor {
    return y;
  }

  protected logSlope(): Tensor {
    throw new TensorError("unsupported", "AbsTransform has no Jacobian: it isn't bijective");
  }
}

/** Shapes that combine with parameters by broadcasting. */
abstract class Broadcast extends Transform {
  protected abstract readonly parameters: readonly (number | Tensor)[];

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

  protected forward(x: Tensor): Tensor {
    return x.pow(this.exponent);
  }

  protected backward(y: Tensor): Tensor {
    return y.pow(this.exponent instanceof Tensor ? this.exponent.reciprocal() : 1 / this.exponent);
  }

  protected logSlope(x: Tensor, y: Tensor): Tensor {
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

  protected forward(x: Tensor): Tensor {
    return x.mul(this.scale).add(this.loc);
  }

  protected backward(y: Tensor): Tensor {
    return y.sub(this.loc).div(this.scale);
  }

  protected logSlope(x: Tensor): Tensor {
    const { scale, eventDim } = this;
    const slopes =
      scale instanceof Tensor
        ? spread(scale.abs().log(), broadcastShapes(x.shape, scale.shape))
        : fullLike(x, Math.log(Math.abs(scale)));
    return sumRightmost(slopes, eventDim);
  }
}

/** Another shape of an event. */
export class ReshapeTransform extends Transform {
  readonly inShape: Shape;
  readonly outShape: Shape;
  readonly domain: constraints.Constraint;
  readonly codomain: constraints.Constraint;

  constructor(inShape: Shape, outShape: Shape, options?: TransformOptions) {
    super(options);
    if (numel(inShape) !== numel(outShape)) {
      throw new TensorError("shape", "in_shape, out_shape have different numbers of elements");
    }
    this.inShape = inShape;
    this.outShape = outShape;
    this.domain = constraints.independent(constraints.real, inShape.length);
    this.codomain = constraints.independent(constraints.real, outShape.length);
  }

  override forwardShape(shape: Shape): Shape {
    return exchanged(shape, this.inShape, this.outShape);
  }

  override inverseShape(shape: Shape): Shape {
    return exchanged(shape, this.outShape, this.inShape);
  }

  protected forward(x: Tensor): Tensor {
    return x.reshape(exchanged(x.shape, this.inShape, this.outShape));
  }

  protected backward(y: Tensor): Tensor {
    return y.reshape(exchanged(y.shape, this.outShape, this.inShape));
  }

  protected logSlope(x: Tensor): Tensor {
    return sumRightmost(zerosLike(x), this.inShape.length);
  }
}

function exchanged(shape: Shape, from: Shape, to: Shape): Shape {
  const lead = shape.length - from.length;
  if (lead < 0) throw new TensorError("shape", "Too few dimensions on input");
  if (!sameShape(shape.slice(lead), from)) {
    throw new TensorError(
      "shape",
      `Shape mismatch: expected torch.Size([${shape.slice(lead).join(", ")}]) but got torch.Size([${from.join(", ")}])`,
    );
  }
  return [...shape.slice(0, lead), ...to];
}

/** Another transform whose last batch dimensions count as parts of an event. */
export class IndependentTransform extends Transform {
  readonly baseTransform: Transform;
  readonly reinterpretedBatchNdims: number;
  readonly domain: constraints.Constraint;
  readonly codomain: constraints.Constraint;

  constructor(baseTransform: Transform, reinterpretedBatchNdims: number, options?: TransformOptions) {
    super(options);
    this.baseTransform = baseTransform;
    this.reinterpretedBatchNdims = reinterpretedBatchNdims;
    this.domain = constraints.independent(baseTransform.domain, reinterpretedBatchNdims);
    this.codomain = constraints.independent(baseTransform.codomain, reinterpretedBatchNdims);
  }

  override get bijective(): boolean {
    return this.baseTransform.bijective;
  }

  override get sign(): number | Tensor {
    return this.baseTransform.sign;
  }

  override forwardShape(shape: Shape): Shape {
    return this.baseTransform.forwardShape(shape);
  }

  override inverseShape(shape: Shape): Shape {
    return this.baseTransform.inverseShape(shape);
  }

  override toString(): string {
    return `IndependentTransform(${this.baseTransform.toString()}, ${this.reinterpretedBatchNdims})`;
  }

  protected forward(x: Tensor): Tensor {
    return this.baseTransform.image(x);
  }

  protected backward(y: Tensor): Tensor {
    return this.baseTransform.invert(y);
  }

  protected logSlope(x: Tensor, y: Tensor): Tensor {
    return sumRightmost(this.baseTransform.logAbsDetJacobian(x, y), this.reinterpretedBatchNdims);
  }
}

/** Several transforms, one after the other. */
export class ComposeTransform extends Transform {
  readonly parts: readonly Transform[];

  constructor(parts: readonly Transform[], options?: TransformOptions) {
    super(options);
    this.parts = parts;
  }

  get domain(): constraints.Constraint {
    const first = this.parts[0]?.domain ?? constraints.real;
    let dims = this.parts.at(-1)?.codomain.eventDim ?? 0;
    for (const { domain, codomain } of this.parts.toReversed()) {
      dims = Math.max(dims + domain.eventDim - codomain.eventDim, domain.eventDim);
    }
    return dims > first.eventDim ? constraints.independent(first, dims - first.eventDim) : first;
  }

  get codomain(): constraints.Constraint {
    const last = this.parts.at(-1)?.codomain ?? constraints.real;
    let dims = this.parts[0]?.domain.eventDim ?? 0;
    for (const { domain, codomain } of this.parts) {
      dims = Math.max(dims + codomain.eventDim - domain.eventDim, codomain.eventDim);
    }
    return dims > last.eventDim ? constraints.independent(last, dims - last.eventDim) : last;
  }

  override get bijective(): boolean {
    return this.parts.every((part) => part.bijective);
  }

  override get sign(): number | Tensor {
    return this.parts.reduce<number | Tensor>((sign, part) => multiplied(sign, part.sign), 1);
  }

  override get inv(): Transform {
    if (this.inverse === undefined) {
      const inverse = new ComposeTransform(this.parts.map((part) => part.inv).reverse());
      inverse.inverse = this;
      this.inverse = inverse;
    }
    return this.inverse;
  }

  override forwardShape(shape: Shape): Shape {
    return this.parts.reduce((size, part) => part.forwardShape(size), shape);
  }

  override inverseShape(shape: Shape): Shape {
    return this.parts.reduceRight((size, part) => part.inverseShape(size), shape);
  }

  override toString(): string {
    return `ComposeTransform(\n    ${this.parts.map((part) => part.toString()).join(",\n    ")}\n)`;
  }

  protected override sameAs(other: this): boolean {
    const { length } = this.parts;
    return other.parts.length === length && this.parts.every((part, i) => part.equals(other.parts[i]!));
  }

  protected forward(x: Tensor): Tensor {
    return this.parts.reduce((value, part) => part.image(value), x);
  }

  protected backward(y: Tensor): Tensor {
    return this.parts.reduceRight((value, part) => part.invert(value), y);
  }

  protected logSlope(x: Tensor, y: Tensor): Tensor {
    let dims = this.domain.eventDim;
    let sum: Tensor | undefined;
    let from = x;
    this.parts.forEach((part, i) => {
      const to = i === this.parts.length - 1 ? y : part.image(from);
      const term = sumRightmost(part.logAbsDetJacobian(from, to), dims - part.domain.eventDim);
      sum = sum === undefined ? term : sum.add(term);
      dims += part.codomain.eventDim - part.domain.eventDim;
      from = to;
    });
    return sum ?? zerosLike(x);
  }
}

/** @internal The product of two signs. */
export function multiplied(a: number | Tensor, b: number | Tensor): number | Tensor {
  if (a instanceof Tensor) return a.mul(b);
  return b instanceof Tensor ? b.mul(a) : a * b;
}
