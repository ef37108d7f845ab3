// Transforms that apply others to parts of a tensor, and the one to probabilities.
import { TensorError } from "../../tensor/core/errors.ts";
import { cat, stack } from "../../tensor/functions/shape/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import type { Distribution } from "./distribution.ts";
import { sumRightmost } from "./helpers.ts";
import { Transform, type TransformOptions } from "./transform.ts";

interface PartArguments extends TransformOptions {
  tseq: readonly Transform[];
  /** The dimension along which the parts lie. Default 0. */
  dim?: number;
}

interface CatArguments extends PartArguments {
  /** How long each part is; 1 by default. */
  lengths?: readonly number[] | null;
}

/** A transform of each part of a tensor along one dimension. */
abstract class OfParts extends Transform {
  readonly transforms: readonly Transform[];
  readonly dim: number;

  constructor({ tseq, dim = 0, cacheSize = 0 }: PartArguments) {
    super({ cacheSize });
    if (!tseq.every((t) => t instanceof Transform))
      throw new TensorError("value", "All elements of tseq must be Transform instances");
    this.transforms = tseq;
    this.dim = dim;
  }

  override get bijective(): boolean {
    return this.transforms.every((t) => t.bijective);
  }

  protected override _call(x: Tensor): Tensor {
    return this.joined(this.parts(x).map((part, i) => this.transforms[i]!(part)));
  }

  protected override _inverse(y: Tensor): Tensor {
    return this.joined(this.parts(y).map((part, i) => this.transforms[i]!.inv(part)));
  }

  /** The transforms' slopes of their parts. */
  protected slopes(x: Tensor, y: Tensor): Tensor[] {
    const images = this.parts(y);
    return this.parts(x).map((part, i) => this.transforms[i]!.logAbsDetJacobian(part, images[i]!));
  }

  protected abstract parts(x: Tensor): Tensor[];
  protected abstract joined(parts: readonly Tensor[]): Tensor;

  protected checkLength(x: Tensor, length: number, name: string): void {
    const { dim } = this;
    if (dim < -x.ndim || dim >= x.ndim)
      throw new TensorError("shape", `dim ${dim} out of range for tensor with ${x.ndim} dimensions`);
    const size = x.size(dim);
    if (size !== length)
      throw new TensorError("shape", `x.size(${dim}) = ${size} must equal ${name} ${length}`);
  }
}

/**
 * Transforms of parts of a tensor that follow one another along `dim`, of `lengths`.
 *
 * ```ts
 * const { CatTransform, ExpTransform, SigmoidTransform } = torch.distributions.transforms;
 * const both = new CatTransform([new ExpTransform(), new SigmoidTransform()], 0, [2, 1]);
 * both(torch.zeros(3)).tolist(); // [1, 1, 0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#torch.distributions.transforms.CatTransform
 */
export class CatTransform extends OfParts {
  readonly lengths: readonly number[];

  constructor(
    tseq: readonly Transform[],
    dim?: number,
    lengths?: readonly number[] | null,
    cacheSize?: number,
  );
  constructor(tseq: readonly Transform[], options?: Omit<CatArguments, "tseq">);
  constructor(...args: unknown[]) {
    const bound = bind<CatArguments>("CatTransform", args, {
      tseq: REQUIRED,
      dim: 0,
      lengths: null,
      cacheSize: 0,
    });
    super(bound);
    this.lengths = bound.lengths ?? bound.tseq.map(() => 1);
    const [given, wanted] = [this.lengths.length, this.transforms.length];
    if (given !== wanted)
      throw new TensorError("value", `lengths (${given}) must match transforms (${wanted})`);
  }

  override get eventDim(): number {
    return Math.max(...this.transforms.map((t) => t.eventDim));
  }

  get domain(): constraints.Constraint {
    return constraints.cat(
      this.transforms.map((t) => t.domain),
      this.dim,
      this.lengths,
    );
  }

  get codomain(): constraints.Constraint {
    return constraints.cat(
      this.transforms.map((t) => t.codomain),
      this.dim,
      this.lengths,
    );
  }

  protected parts(x: Tensor): Tensor[] {
    this.checkLength(
      x,
      this.lengths.reduce((sum, n) => sum + n, 0),
      "length",
    );
    return x.split(this.lengths, this.dim);
  }

  protected joined(parts: readonly Tensor[]): Tensor {
    return cat(parts, this.dim);
  }

  protected override logSlope(x: Tensor, y: Tensor): Tensor {
    const { eventDim, dim } = this;
    const slopes = this.slopes(x, y).map((slope, i) =>
      sumRightmost(slope, eventDim - this.transforms[i]!.eventDim),
    );
    const along = (dim >= 0 ? dim - x.ndim : dim) + eventDim;
    return along < 0 ? cat(slopes, along) : slopes.reduce((sum, slope) => sum.add(slope));
  }
}

/**
 * Transforms of the slices of a tensor along `dim`, one for each.
 *
 * ```ts
 * const { ExpTransform, SigmoidTransform, StackTransform } = torch.distributions.transforms;
 * new StackTransform([new ExpTransform(), new SigmoidTransform()], 1)(torch.zeros(1, 2)).tolist(); // [[1, 0.5]]
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#torch.distributions.transforms.StackTransform
 */
export class StackTransform extends OfParts {
  constructor(tseq: readonly Transform[], dim?: number, cacheSize?: number);
  constructor(tseq: readonly Transform[], options?: Omit<PartArguments, "tseq">);
  constructor(...args: unknown[]) {
    super(bind<PartArguments>("StackTransform", args, { tseq: REQUIRED, dim: 0, cacheSize: 0 }));
  }

  get domain(): constraints.Constraint {
    return constraints.stack(
      this.transforms.map((t) => t.domain),
      this.dim,
    );
  }

  get codomain(): constraints.Constraint {
    return constraints.stack(
      this.transforms.map((t) => t.codomain),
      this.dim,
    );
  }

  protected parts(x: Tensor): Tensor[] {
    this.checkLength(x, this.transforms.length, "len(transforms)");
    return x.unbind(this.dim);
  }

  protected joined(parts: readonly Tensor[]): Tensor {
    return stack(parts, this.dim);
  }

  protected override logSlope(x: Tensor, y: Tensor): Tensor {
    return stack(this.slopes(x, y), this.dim);
  }
}

/**
 * The probability of at most a value, by a distribution's `cdf`; its inverse is `icdf`.
 * @see https://docs.pytorch.org/docs/stable/distributions.html#torch.distributions.transforms.CumulativeDistributionTransform
 */
export class CumulativeDistributionTransform extends Transform {
  readonly distribution: Distribution;
  readonly codomain = constraints.unitInterval;

  constructor(distribution: Distribution, options?: TransformOptions) {
    super(options);
    this.distribution = distribution;
  }

  get domain(): constraints.Constraint {
    return this.distribution.support;
  }

  override get bijective(): boolean {
    return true;
  }

  override get sign(): number {
    return 1;
  }

  protected override _call(x: Tensor): Tensor {
    return this.distribution.cdf(x);
  }

  protected override _inverse(y: Tensor): Tensor {
    return this.distribution.icdf(y);
  }

  protected override logSlope(x: Tensor): Tensor {
    return this.distribution.logProb(x);
  }
}
