// PyTorch's torch.distributions.constraints: regions in which parameters and values lie.
import "../../tensor/methods.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { eigvalsh } from "../../tensor/functions/linalg/decompositions.ts";
import { cat as joined, stack as stacked } from "../../tensor/functions/shape/shape.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { sameShape, type Shape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { formatted, knownValues } from "./helpers.ts";

/** A region; `check` says of each event whether it lies in it. */
export abstract class Constraint {
  /** Number of trailing dimensions that make up an event. */
  readonly eventDim: number = 0;
  readonly isDiscrete: boolean = false;
  private readonly text: string | (() => string);

  /** @param text PyTorch's text; a function where values would have to be read for it */
  constructor(text: string | (() => string)) {
    this.text = text;
  }

  /** Whether each event lies in the region, as a bool tensor. */
  abstract check(value: Tensor): Tensor;

  /** @internal Whether known values lie in the region; undefined where that takes more than a look at each of them. */
  holds(_values: HostArray, _shape: Shape): boolean | undefined {
    return undefined;
  }

  toString(): string {
    return typeof this.text === "string" ? this.text : this.text();
  }
}

/** A bound that is a number, or a number for each place. */
export type Bound = number | Tensor;

const bound = (x: Bound): string => (typeof x === "number" ? String(x) : formatted(x));

/** Whether a number lies between bounds. */
type Test = (x: number, bounds: readonly number[]) => boolean;

/** A region of single numbers, perhaps between bounds. */
class Elementwise extends Constraint {
  override readonly isDiscrete: boolean;
  private readonly region: (x: Tensor) => Tensor;
  private readonly test: Test;
  private readonly bounds: readonly Bound[];

  /** @param test the same for one number */
  constructor(
    text: string | (() => string),
    region: (x: Tensor) => Tensor,
    test: Test,
    { bounds = [], isDiscrete = false }: { bounds?: readonly Bound[]; isDiscrete?: boolean } = {},
  ) {
    super(text);
    this.region = region;
    this.test = test;
    this.bounds = bounds;
    this.isDiscrete = isDiscrete;
  }

  check(value: Tensor): Tensor {
    return composed(() => this.region(value));
  }

  override holds(values: HostArray, shape: Shape): boolean | undefined {
    const known: HostArray[] = [];
    for (const each of this.bounds) {
      const array = knownValues(each);
      if (array === undefined || !(each instanceof Tensor ? fits(each, array, shape) : true))
        return undefined;
      known.push(array);
    }
    const { test } = this;
    const bounds = known.map((array) => array[0]!);
    for (let i = 0; i < values.length; i++) {
      for (let k = 0; k < known.length; k++) {
        const array = known[k]!;
        if (array.length > 1) bounds[k] = array[i % array.length]!;
      }
      if (!test(values[i]!, bounds)) return false;
    }
    return true;
  }
}

/** Whether known bounds repeat along values of a shape: the last dimensions are theirs. */
function fits({ shape }: Tensor, known: HostArray, of: Shape): boolean {
  return known.length === 1 || sameShape(of.slice(Math.max(0, of.length - shape.length)), shape);
}

/** A region of vectors. */
class Vectors extends Constraint {
  override readonly eventDim = 1;
  override readonly isDiscrete: boolean;
  private readonly region: (x: Tensor) => Tensor;
  private readonly test: (row: HostArray) => boolean;

  constructor(
    text: string,
    region: (x: Tensor) => Tensor,
    test: (row: HostArray) => boolean,
    isDiscrete = false,
  ) {
    super(text);
    this.region = region;
    this.test = test;
    this.isDiscrete = isDiscrete;
  }

  check(value: Tensor): Tensor {
    return composed(() => this.region(value));
  }

  override holds(values: HostArray, shape: Shape): boolean {
    const width = shape[shape.length - 1]!;
    for (let at = 0; at < values.length; at += width) {
      if (!this.test(values.subarray(at, at + width))) return false;
    }
    return true;
  }
}

/** A region of matrices. */
class Matrices extends Constraint {
  override readonly eventDim = 2;
  private readonly region: (x: Tensor) => Tensor;

  constructor(text: string, region: (x: Tensor) => Tensor) {
    super(text);
    this.region = region;
  }

  check(value: Tensor): Tensor {
    return composed(() => this.region(value));
  }
}

class Independent extends Constraint {
  override readonly eventDim: number;
  override readonly isDiscrete: boolean;
  private readonly base: Constraint;
  private readonly dims: number;

  constructor(base: Constraint, dims: number) {
    super(() => `IndependentConstraint(${base.toString()}, ${dims})`);
    this.base = base;
    this.dims = dims;
    this.eventDim = base.eventDim + dims;
    this.isDiscrete = base.isDiscrete;
  }

  check(value: Tensor): Tensor {
    return composed(() => {
      const each = this.base.check(value);
      return each.reshape([...each.shape.slice(0, each.ndim - this.dims), -1]).all(-1);
    });
  }

  override holds(values: HostArray, shape: Shape): boolean | undefined {
    return this.base.holds(values, shape);
  }
}

class Mixture extends Constraint {
  override readonly eventDim: number;
  override readonly isDiscrete: boolean;
  private readonly base: Constraint;

  constructor(base: Constraint) {
    super(() => `MixtureSameFamilyConstraint(${base.toString()})`);
    this.base = base;
    this.eventDim = base.eventDim;
    this.isDiscrete = base.isDiscrete;
  }

  check(value: Tensor): Tensor {
    return composed(() => {
      const each = this.base.check(value.unsqueeze(-1 - this.eventDim));
      return each.reshape([...each.shape.slice(0, value.ndim - this.eventDim), -1]).all(-1);
    });
  }

  override holds(values: HostArray, shape: Shape): boolean | undefined {
    return this.base.holds(values, shape);
  }
}

/** Regions of the parts of a tensor along one dimension. */
class Parts extends Constraint {
  override readonly eventDim: number;
  override readonly isDiscrete: boolean;
  private readonly split: (x: Tensor) => Tensor[];
  private readonly join: (parts: readonly Tensor[]) => Tensor;
  private readonly regions: readonly Constraint[];

  constructor(
    text: string,
    regions: readonly Constraint[],
    split: (x: Tensor) => Tensor[],
    join: (parts: readonly Tensor[]) => Tensor,
    eventDim = Math.max(...regions.map((region) => region.eventDim)),
  ) {
    super(text);
    this.regions = regions;
    this.split = split;
    this.join = join;
    this.eventDim = eventDim;
    this.isDiscrete = regions.some((region) => region.isDiscrete);
  }

  check(value: Tensor): Tensor {
    return composed(() => this.join(this.split(value).map((part, i) => this.regions[i]!.check(part))));
  }
}

const whole = (x: Tensor): Tensor => x.remainder(1).eq(0);

/** 0 or 1. */
export const boolean: Constraint = new Elementwise(
  "Boolean()",
  (x) => x.eq(0).logicalOr(x.eq(1)),
  (x) => x === 0 || x === 1,
  { isDiscrete: true },
);

/** Any number. */
export const real: Constraint = new Elementwise(
  "Real()",
  (x) => x.eq(x),
  (x) => !Number.isNaN(x),
);

/** Whole numbers from `lower` to `upper`. */
export const integerInterval = (lower: Bound, upper: Bound): Constraint =>
  new Elementwise(
    () => `IntegerInterval(lower_bound=${bound(lower)}, upper_bound=${bound(upper)})`,
    (x) => whole(x).logicalAnd(x.ge(lower)).logicalAnd(x.le(upper)),
    (x, [low, high]) => Number.isInteger(x) && x >= low! && x <= high!,
    { bounds: [lower, upper], isDiscrete: true },
  );

/** Whole numbers from `lower` on. */
export const integerGreaterThan = (lower: Bound): Constraint =>
  new Elementwise(
    () => `IntegerGreaterThan(lower_bound=${bound(lower)})`,
    (x) => whole(x).logicalAnd(x.ge(lower)),
    (x, [low]) => Number.isInteger(x) && x >= low!,
    { bounds: [lower], isDiscrete: true },
  );

/** Numbers above `lower`. */
export const greaterThan = (lower: Bound, text = (): string => bound(lower)): Constraint =>
  new Elementwise(
    () => `GreaterThan(lower_bound=${text()})`,
    (x) => x.gt(lower),
    (x, [low]) => x > low!,
    { bounds: [lower] },
  );

/** Numbers from `lower` on. */
export const greaterThanEq = (lower: Bound, text = (): string => bound(lower)): Constraint =>
  new Elementwise(
    () => `GreaterThanEq(lower_bound=${text()})`,
    (x) => x.ge(lower),
    (x, [low]) => x >= low!,
    { bounds: [lower] },
  );

/** Numbers below `upper`. */
export const lessThan = (upper: Bound, text = (): string => bound(upper)): Constraint =>
  new Elementwise(
    () => `LessThan(upper_bound=${text()})`,
    (x) => x.lt(upper),
    (x, [high]) => x < high!,
    { bounds: [upper] },
  );

/** Numbers from `lower` to `upper`. */
export const interval = (
  lower: Bound,
  upper: Bound,
  texts = (): readonly [string, string] => [bound(lower), bound(upper)],
): Constraint =>
  new Elementwise(
    () => `Interval(lower_bound=${texts()[0]}, upper_bound=${texts()[1]})`,
    (x) => x.ge(lower).logicalAnd(x.le(upper)),
    (x, [low, high]) => x >= low! && x <= high!,
    { bounds: [lower, upper] },
  );

/** Numbers from `lower` on and below `upper`. */
export const halfOpenInterval = (
  lower: Bound,
  upper: Bound,
  texts = (): readonly [string, string] => [bound(lower), bound(upper)],
): Constraint =>
  new Elementwise(
    () => `HalfOpenInterval(lower_bound=${texts()[0]}, upper_bound=${texts()[1]})`,
    (x) => x.ge(lower).logicalAnd(x.lt(upper)),
    (x, [low, high]) => x >= low! && x < high!,
    { bounds: [lower, upper] },
  );

/** The same for trailing dimensions that make up an event. */
export const independent = (base: Constraint, dims: number): Constraint => new Independent(base, dims);
/** Parts of `lengths`, 1 by default, one after the other along `dim`, each in its region. */
export const cat = (
  regions: readonly Constraint[],
  dim = 0,
  lengths: readonly number[] = regions.map(() => 1),
): Constraint =>
  new Parts(
    "Cat()",
    regions,
    (x) => x.split(lengths, dim),
    (parts) => joined(parts, dim),
  );

/** Slices along `dim`, each in its region. */
export const stack = (regions: readonly Constraint[], dim = 0): Constraint => {
  const deepest = Math.max(...regions.map((region) => region.eventDim));
  return new Parts(
    "Stack()",
    regions,
    (x) => x.unbind(dim),
    (parts) => stacked(parts, dim),
    dim + deepest < 0 ? deepest + 1 : deepest,
  );
};

/** @internal Values of a mixture, whose components have a dimension more. */
export const mixture = (base: Constraint): Constraint => new Mixture(base);

/** Numbers above 0. */
export const positive: Constraint = greaterThan(0, () => "0.0");
/** Numbers from 0 on. */
export const nonnegative: Constraint = greaterThanEq(0, () => "0.0");
/** Numbers of [0, 1]. */
export const unitInterval: Constraint = interval(0, 1, () => ["0.0", "1.0"]);
/** Counts: 0, 1, 2, … */
export const nonnegativeInteger: Constraint = integerGreaterThan(0);
/** Vectors without NaN. */
export const realVector: Constraint = independent(real, 1);

function total(row: HostArray): number {
  let sum = 0;
  for (const x of row) sum += x;
  return sum;
}

/** Probabilities: nonnegative numbers whose sum over the last dimension is 1. */
export const simplex: Constraint = new Vectors(
  "Simplex()",
  (x) => x.ge(0).all(-1).logicalAnd(x.sum(-1).sub(1).abs().lt(1e-6)),
  (row) => row.every((x) => x >= 0) && Math.abs(total(row) - 1) < 1e-6,
);

/** Vectors with a single 1 among zeros. */
export const oneHot: Constraint = new Vectors(
  "OneHot()",
  (x) => x.eq(0).logicalOr(x.eq(1)).all(-1).logicalAnd(x.sum(-1).eq(1)),
  (row) => row.every((x) => x === 0 || x === 1) && total(row) === 1,
  true,
);

/** Counts whose sum over the last dimension is at most `most`. */
export const multinomial = (most: number): Constraint =>
  new Vectors(
    "Multinomial()",
    (x) => x.ge(0).all(-1).logicalAnd(x.sum(-1).le(most)),
    (row) => row.every((x) => x >= 0) && total(row) <= most,
    true,
  );

const entries = (x: Tensor): Tensor => x.reshape([...x.shape.slice(0, -2), -1]);

/** Lower triangular matrices with a positive diagonal. */
export const lowerCholesky: Constraint = new Matrices("LowerCholesky()", (x) =>
  entries(x.tril().eq(x))
    .all(-1)
    .logicalAnd(x.diagonal({ dim1: -2, dim2: -1 }).gt(0).all(-1)),
);

/** Symmetric matrices whose eigenvalues are positive. */
export const positiveDefinite: Constraint = new Matrices("PositiveDefinite()", (x) =>
  entries(x.sub(x.mT).abs().le(x.abs().mul(1e-5).add(1e-6)))
    .all(-1)
    .logicalAnd(eigvalsh(x).gt(0).all(-1)),
);
