// Arguments of functions over dimensions.
import type { DType } from "../../core/dtype.ts";
import { normalizeDims } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { apply } from "../../recording/apply.ts";
import type { Op } from "../../recording/op.ts";
import { castTo, type Dims } from "../pointwise/operands.ts";

export interface ReduceOptions {
  /** Dimensions to reduce; all of them by default. */
  dim?: Dims | null;
  /** Keeps reduced dimensions with length 1. Default false. */
  keepdim?: boolean;
  /** Converts the input first. */
  dtype?: DType;
}

/** `dim` by position or by name. */
export type DimArgument = Dims | null | ReduceOptions;
/** `keepdim` by position or by name. */
export type KeepdimArgument = boolean | ReduceOptions;

export interface Reduction {
  readonly dims: number[];
  readonly keepdim: boolean;
}

/** `dim` and `keepdim` in one object. */
export function optionsOf(dim: DimArgument | undefined, keepdim: KeepdimArgument | undefined): ReduceOptions {
  if (typeof dim === "object" && dim !== null && !Array.isArray(dim)) return dim as ReduceOptions;
  const more: ReduceOptions = typeof keepdim === "boolean" ? { keepdim } : (keepdim ?? {});
  return { ...more, dim: dim as Dims | null };
}

/** Returns the attributes of an op over dimensions. */
export function reduction(x: Tensor, { dim, keepdim }: ReduceOptions): Reduction {
  return { dims: normalizeDims(dim ?? undefined, x.ndim), keepdim: keepdim ?? false };
}

/** Largest or smallest elements over dimensions, also of booleans. */
export function extremum(op: Op<Reduction>, input: Tensor, options: ReduceOptions): Tensor {
  const x = castTo(input, input.dtype === "bool" ? "int64" : input.dtype);
  return castTo(apply(op, [x], reduction(x, options)), input.dtype);
}
