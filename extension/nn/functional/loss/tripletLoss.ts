// Losses of an anchor, a sample of its kind and one of another.
import { TensorError } from "../../../tensor/core/errors.ts";
import { add, clamp, minimum, sub } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { pairwiseDistance } from "../../../tensor/functions/reduction/distance.ts";
import { composed } from "../../../tensor/functions/pointwise/operands.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../../arguments.ts";
import {
  checkReduction,
  LEGACY,
  reduce,
  reductionOf,
  type Reduction,
  type ReductionOptions,
} from "./reduction.ts";

/** A distance between the rows of two tensors. */
export type DistanceFunction = (x: Tensor, y: Tensor) => Tensor;

interface Triplet {
  readonly margin: number;
  readonly swap: boolean;
  readonly reduction: Reduction;
  readonly distance: DistanceFunction;
}

function triplet(
  [anchor, positive, negative]: readonly [Tensor, Tensor, Tensor],
  { margin, swap, reduction, distance }: Triplet,
): Tensor {
  checkReduction(reduction);
  if (margin <= 0) throw new TensorError("value", `margin must be greater than 0, got ${margin}`);
  if (anchor.ndim !== positive.ndim || positive.ndim !== negative.ndim) {
    throw new TensorError(
      "shape",
      `The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor ${anchor.ndim}D, positive ${positive.ndim}D, and negative ${negative.ndim}D inputs`,
    );
  }
  return composed(() => {
    const near = distance(anchor, positive);
    const far = distance(anchor, negative);
    const farthest = swap ? minimum(far, distance(positive, negative)) : far;
    return reduce(clamp(sub(add(near, margin), farthest), 0), reduction);
  });
}

export interface TripletOptions extends ReductionOptions {
  /** How much farther the negative should be. Default 1. */
  margin?: number;
  /** The norm that measures distance. Default 2. */
  p?: number;
  /** Added to each difference. Default 1e-6. */
  eps?: number;
  /** Takes the distance from the positive to the negative where that is the smaller one. Default false. */
  swap?: boolean;
}

export type TripletArguments = Arguments<TripletOptions, "margin p eps swap sizeAverage reduce reduction">;

/**
 * max(0, d(anchor, positive) − d(anchor, negative) + margin) with p-norm distances over the last dimension.
 * @throws TensorError "margin must be greater than 0, got 0"
 */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  ...rest: TripletArguments
): Tensor {
  const bound = bind<TripletOptions>("triplet_margin_loss", rest, {
    margin: 1,
    p: 2,
    eps: 1e-6,
    swap: false,
    ...LEGACY,
    reduction: "mean",
  });
  const { margin, p, eps, swap } = bound;
  const distance: DistanceFunction = (x, y) => pairwiseDistance(x, y, p, eps);
  return triplet([anchor, positive, negative], { margin, swap, reduction: reductionOf(bound), distance });
}

export interface TripletDistanceOptions {
  /** Measures the distance of rows. Default {@link pairwiseDistance}. */
  distanceFunction?: DistanceFunction | null;
  /** How much farther the negative should be. Default 1. */
  margin?: number;
  /** Takes the distance from the positive to the negative where that is the smaller one. Default false. */
  swap?: boolean;
  /** "mean" by default: over all triplets. */
  reduction?: Reduction;
}

/** As {@link tripletMarginLoss}, with a distance of your own. */
export function tripletMarginWithDistanceLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletDistanceOptions = {},
): Tensor {
  const { distanceFunction, margin, swap, reduction } = bind<TripletDistanceOptions>(
    "triplet_margin_with_distance_loss",
    [options],
    { distanceFunction: null, margin: 1, swap: false, reduction: "mean" },
  );
  const distance = distanceFunction ?? ((x, y) => pairwiseDistance(x, y));
  return triplet([anchor, positive, negative], { margin, swap, reduction, distance });
}
