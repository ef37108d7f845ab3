import type { DType } from "./dtype.ts";
import type { Shape } from "./shape.ts";

/** Shape and type of a tensor: known before it is computed. */
export interface Meta {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Shapes and dtypes on both sides of an op, for lowerings that depend on them. */
export interface Signature {
  readonly inputs: readonly Meta[];
  readonly outputs: readonly Meta[];
}
