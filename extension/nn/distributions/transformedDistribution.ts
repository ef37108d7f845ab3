import { TensorError } from "../../tensor/core/errors.ts";
import { where } from "../../tensor/functions/pointwise/elementwise.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { formatSize, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import { Distribution } from "./distribution.ts";
import { sumRightmost, type SampleShape, type Validate } from "./helpers.ts";
import { Independent } from "./independent.ts";
import { Normal, type LocationScaleArguments } from "./normal.ts";
import { ComposeTransform, multiplied } from "./composedTransforms.ts";
import { AbsTransform, ExpTransform } from "./elementwiseTransforms.ts";
import { Transform } from "./transform.ts";
import { StickBreakingTransform } from "./vectorTransforms.ts";

interface TransformedArguments {
  baseDistribution: Distribution;
  transforms: Transform | readonly Transform[];
  validateArgs?: boolean | null;
}

/**
 * The distribution of the values of another one after one or several transforms.
 *
 * ```ts
 * const { Normal, TransformedDistribution, transforms } = torch.distributions;
 * const squashed = new TransformedDistribution(new Normal(0, 1), new transforms.TanhTransform());
 * squashed.logProb(torch.tensor(0.0)).item().toFixed(4); // "-0.9189"
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#transformeddistribution
 */
export class TransformedDistribution<D extends Distribution = Distribution> extends Distribution {
  readonly baseDist: D | Independent<D>;
  readonly transforms: readonly Transform[];
  override readonly hasRsample: boolean;

  constructor(baseDistribution: D, transforms: Transform | readonly Transform[], validate?: Validate);
  constructor(options: TransformedArguments);
  constructor(...args: unknown[]) {
    const bound = bind<TransformedArguments>("TransformedDistribution", args, {
      baseDistribution: REQUIRED,
      transforms: REQUIRED,
      validateArgs: null,
    });
    const transforms = listOf(bound.transforms);
    const whole = new ComposeTransform(transforms);
    const { base, forwardShape } = fitted(bound.baseDistribution as D, whole);
    const { domain, codomain } = whole;
    const change = codomain.eventDim - domain.eventDim;
    const dims = Math.max(codomain.eventDim, bound.baseDistribution.eventShape.length + change);
    const cut = forwardShape.length - dims;
    super(forwardShape.slice(0, cut), forwardShape.slice(cut), bound);
    this.baseDist = base;
    this.transforms = transforms;
    this.hasRsample = base.hasRsample;
  }

  override get support(): constraints.Constraint {
    const support = this.transforms.at(-1)?.codomain ?? this.baseDist.support;
    const missing = this.eventShape.length - support.eventDim;
    return missing > 0 ? constraints.independent(support, missing) : support;
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    return noGrad(() => this.transformed(this.baseDist.sample(sampleShape)));
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    return this.transformed(this.baseDist.rsample(sampleShape));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (image) => {
      let dims = this.eventShape.length;
      let sum: Tensor | undefined;
      let y = image;
      for (const transform of this.transforms.toReversed()) {
        const x = transform.invert(y);
        dims += transform.domain.eventDim - transform.codomain.eventDim;
        const term = sumRightmost(transform.logAbsDetJacobian(x, y), dims - transform.domain.eventDim);
        sum = sum === undefined ? term.neg() : sum.sub(term);
        y = x;
      }
      const base = sumRightmost(this.baseDist.logProb(y), dims - this.baseDist.eventShape.length);
      return sum === undefined ? base : sum.add(base);
    });
  }

  override cdf(value: Tensor): Tensor {
    return composed(() => {
      const x = this.transforms.reduceRight((y, transform) => transform.invert(y), value);
      return this.rising(this.baseDist.cdf(x));
    });
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => this.transformed(this.baseDist.icdf(this.rising(value))));
  }

  override expand(batchShape: Shape): this {
    const shape = this.transforms.reduceRight<Shape>(
      (size, transform) => transform.inverseShape(size),
      [...batchShape, ...this.eventShape],
    );
    const base = shape.slice(0, shape.length - this.baseDist.eventShape.length);
    return this.with({ batchShape, baseDist: this.baseDist.expand(base) });
  }

  private transformed(x: Tensor): Tensor {
    return composed(() => this.transforms.reduce((value, transform) => transform(value), x));
  }

  /** p or 1 − p, so that probabilities grow with values. */
  private rising(p: Tensor): Tensor {
    const sign = this.transforms.reduce<number | Tensor>((s, { sign }) => multiplied(s, sign), 1);
    return sign === 1 ? p : p.sub(0.5).mul(sign).add(0.5);
  }
}

function listOf(transforms: unknown): readonly Transform[] {
  if (transforms instanceof Transform) return [transforms];
  if (!Array.isArray(transforms)) {
    throw new TensorError("value", `transforms must be a Transform or list, but was ${String(transforms)}`);
  }
  if (!transforms.every((x) => x instanceof Transform)) {
    throw new TensorError("value", "transforms must be a Transform or a list of Transforms");
  }
  return transforms;
}

/** The distribution in a shape that the transform takes, and the shape that it gives. */
function fitted<D extends Distribution>(
  distribution: D,
  transform: ComposeTransform,
): { base: D | Independent<D>; forwardShape: Shape } {
  const shape = [...distribution.batchShape, ...distribution.eventShape];
  const needed = transform.domain.eventDim;
  if (shape.length < needed) {
    throw new TensorError(
      "shape",
      `base_distribution needs to have shape with size at least ${needed}, but got ${formatSize(shape)}.`,
    );
  }
  const forwardShape = transform.forwardShape(shape);
  const expanded = transform.inverseShape(forwardShape);
  const dims = distribution.eventShape.length;
  const base = sameShape(shape, expanded)
    ? distribution
    : distribution.expand(expanded.slice(0, expanded.length - dims));
  return { base: needed > dims ? new Independent(base, needed - dims) : base, forwardShape };
}

/**
 * The distribution of e to a normal value.
 *
 * ```ts
 * new torch.distributions.LogNormal(0, 1).mean.item().toFixed(4); // "1.6487"
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#lognormal
 */
export class LogNormal extends TransformedDistribution<Normal> {
  constructor(loc: number | Tensor, scale: number | Tensor, validate?: Validate);
  constructor(options: LocationScaleArguments);
  constructor(...args: unknown[]) {
    const { loc, scale, validateArgs } = bind<LocationScaleArguments>("LogNormal", args, {
      loc: REQUIRED,
      scale: REQUIRED,
      validateArgs: null,
    });
    super(new Normal(loc, scale, validateArgs), new ExpTransform(), validateArgs);
  }

  get loc(): Tensor {
    return (this.baseDist as Normal).loc;
  }

  get scale(): Tensor {
    return (this.baseDist as Normal).scale;
  }

  override get mean(): Tensor {
    return composed(() => this.loc.add(this.scale.square().div(2)).exp());
  }

  override get mode(): Tensor {
    return composed(() => this.loc.sub(this.scale.square()).exp());
  }

  override get variance(): Tensor {
    return composed(() => {
      const square = this.scale.square();
      return square.expm1().mul(this.loc.mul(2).add(square).exp());
    });
  }

  override entropy(): Tensor {
    return composed(() => this.baseDist.entropy().add(this.loc));
  }
}

/**
 * The distribution of probabilities that normal values give by a {@link StickBreakingTransform}: n + 1 probabilities of n values.
 *
 * ```ts
 * new torch.distributions.LogisticNormal(torch.zeros(2), torch.ones(2)).sample().shape; // [3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#logisticnormal
 */
export class LogisticNormal extends TransformedDistribution<Normal> {
  constructor(loc: number | Tensor, scale: number | Tensor, validate?: Validate);
  constructor(options: LocationScaleArguments);
  constructor(...args: unknown[]) {
    const { loc, scale, validateArgs } = bind<LocationScaleArguments>("LogisticNormal", args, {
      loc: REQUIRED,
      scale: REQUIRED,
      validateArgs: null,
    });
    const normal = new Normal(loc, scale, validateArgs);
    const base = normal.batchShape.length === 0 ? normal.expand([1]) : normal;
    super(base, new StickBreakingTransform(), validateArgs);
  }

  override get support(): constraints.Constraint {
    return constraints.simplex;
  }

  get loc(): Tensor {
    return (this.baseDist as Independent<Normal>).baseDist.loc;
  }

  get scale(): Tensor {
    return (this.baseDist as Independent<Normal>).baseDist.scale;
  }
}

interface HalfNormalArguments {
  scale: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * The distribution of the absolute value of a normal value of mean 0.
 *
 * ```ts
 * new torch.distributions.HalfNormal(1).mean.item().toFixed(4); // "0.7979"
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#halfnormal
 */
export class HalfNormal extends TransformedDistribution<Normal> {
  constructor(scale: number | Tensor, validate?: Validate);
  constructor(options: HalfNormalArguments);
  constructor(...args: unknown[]) {
    const { scale, validateArgs } = bind<HalfNormalArguments>("HalfNormal", args, {
      scale: REQUIRED,
      validateArgs: null,
    });
    super(new Normal(0, scale, false), new AbsTransform(), validateArgs);
    this.validateParameters({ scale });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { scale: constraints.positive };
  }

  protected override get derived(): readonly string[] {
    return ["scale"];
  }

  get scale(): Tensor {
    return (this.baseDist as Normal).scale;
  }

  override get support(): constraints.Constraint {
    return constraints.nonnegative;
  }

  override get mean(): Tensor {
    return composed(() => this.scale.mul(Math.sqrt(2 / Math.PI)));
  }

  override get mode(): Tensor {
    return composed(() => this.scale.mul(0));
  }

  override get variance(): Tensor {
    return composed(() => this.scale.square().mul(1 - 2 / Math.PI));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => where(x.ge(0), this.baseDist.logProb(x).add(Math.log(2)), -Infinity));
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => this.baseDist.cdf(x).mul(2).sub(1));
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => this.baseDist.icdf(value.add(1).div(2)));
  }

  override entropy(): Tensor {
    return composed(() => this.baseDist.entropy().sub(Math.log(2)));
  }
}
