// How the losses of a batch become one number.
import { TensorError } from "../../../tensor/core/errors.ts";
import { mean, sum } from "../../../tensor/functions/reduction/reduction.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { warnOnce } from "../../warnings.ts";

/** How the losses of a batch are reduced: kept, averaged or added up. */
export type Reduction = "none" | "mean" | "sum";

export interface ReductionOptions {
  /** "mean" by default: over all elements. */
  reduction?: Reduction;
  /** PyTorch's older name: false for "sum". */
  sizeAverage?: boolean | null;
  /** PyTorch's older name: false for "none". */
  reduce?: boolean | null;
}

/** Options without the reduction, for a call that gives some of them by position. */
export type More<O> = Omit<O, keyof ReductionOptions> & ReductionOptions;

/** The older names, where they stand in PyTorch's signatures. */
export const LEGACY = { sizeAverage: null, reduce: null } as const;

/** @throws TensorError "foo is not a valid value for reduction" */
export function checkReduction(reduction: Reduction): void {
  if (reduction !== "none" && reduction !== "mean" && reduction !== "sum") {
    throw new TensorError("value", `${String(reduction)} is not a valid value for reduction`);
  }
}

/**
 * The reduction that options mean, the older ones included, which PyTorch warns about.
 * @throws TensorError "foo is not a valid value for reduction"
 */
export function reductionOf<R extends string = Reduction>({
  reduction,
  sizeAverage,
  reduce: reduces,
}: {
  reduction: R;
  sizeAverage: boolean | null;
  reduce: boolean | null;
}): R | Reduction {
  if (sizeAverage === null && reduces === null) return reduction;
  const meant = reduces === false ? "none" : sizeAverage === false ? "sum" : "mean";
  warnOnce(`size_average and reduce args will be deprecated, please use reduction='${meant}' instead.`);
  return meant;
}

/** All losses, their mean or their sum. */
export function reduce(losses: Tensor, reduction: Reduction): Tensor {
  if (reduction === "none") return losses;
  return reduction === "sum" ? sum(losses) : mean(losses);
}
