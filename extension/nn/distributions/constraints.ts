// PyTorch's torch.distributions.constraints: regions in which parameters and values lie.
import type { HostArray } from "../../tensor/core/dtype.ts";
import { eigvalsh } from "../../tensor/functions/linalg/decompositions.ts";
import { cat as joined, stack as stacked } from "../../tensor/functions/shape/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import {
  bound,
  Elementwise,
  Independent,
  Matrices,
  Mixture,
  Parts,
  Vectors,
  type Bound,
  type Constraint,
} from "./constraintKinds.ts";

export { Constraint, type Bound } from "./constraintKinds.ts";

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

/** Lower triangular matrices with a positive diagonal, whose rows have length 1. */
export const corrCholesky: Constraint = new Matrices(
  "CorrCholesky()",
  (x) => {
    const unit = x
      .norm(2, -1)
      .sub(1)
      .abs()
      .le(tolerance(x.shape.at(-1)!))
      .all(-1);
    return lowerCholesky.check(x).logicalAnd(unit);
  },
  (matrix, n) => {
    const rows = Array.from({ length: n }, (_, r) => matrix.subarray(r * n, (r + 1) * n));
    return rows.every(
      (row, r) =>
        row[r]! > 0 &&
        row.every((x, c) => c <= r || x === 0) &&
        Math.abs(Math.hypot(...row) - 1) <= tolerance(n),
    );
  },
);

/** How far a row of n elements may be from length 1. */
const tolerance = (n: number): number => n * 10 * 2 ** -23;
