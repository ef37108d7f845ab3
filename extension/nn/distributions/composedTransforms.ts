// Transforms of shapes, and transforms made of others.
import { TensorError } from "../../tensor/core/errors.ts";
import { zerosLike } from "../../tensor/functions/creation/creation.ts";
import { formatSize, numel, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import * as constraints from "./constraints.ts";
import { sumRightmost } from "./helpers.ts";
import { Transform, type TransformOptions } from "./transform.ts";

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

  override get bijective(): boolean {
    return true;
  }

  override forwardShape(shape: Shape): Shape {
    return exchanged(shape, this.inShape, this.outShape);
  }

  override inverseShape(shape: Shape): Shape {
    return exchanged(shape, this.outShape, this.inShape);
  }

  protected override _call(x: Tensor): Tensor {
    return x.reshape(exchanged(x.shape, this.inShape, this.outShape));
  }

  protected override _inverse(y: Tensor): Tensor {
    return y.reshape(exchanged(y.shape, this.outShape, this.inShape));
  }

  protected override logSlope(x: Tensor): Tensor {
    return sumRightmost(zerosLike(x), this.inShape.length);
  }
}

function exchanged(shape: Shape, from: Shape, to: Shape): Shape {
  const lead = shape.length - from.length;
  if (lead < 0) throw new TensorError("shape", "Too few dimensions on input");
  if (!sameShape(shape.slice(lead), from)) {
    throw new TensorError(
      "shape",
      `Shape mismatch: expected ${formatSize(shape.slice(lead))} but got ${formatSize(from)}`,
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

  protected override _call(x: Tensor): Tensor {
    return this.baseTransform.image(x);
  }

  protected override _inverse(y: Tensor): Tensor {
    return this.baseTransform.invert(y);
  }

  protected override logSlope(x: Tensor, y: Tensor): Tensor {
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

  protected override _call(x: Tensor): Tensor {
    return this.parts.reduce((value, part) => part.image(value), x);
  }

  protected override _inverse(y: Tensor): Tensor {
    return this.parts.reduceRight((value, part) => part.invert(value), y);
  }

  protected override logSlope(x: Tensor, y: Tensor): Tensor {
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
