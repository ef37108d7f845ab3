import type { DType } from "../../../tensor/core/dtype.ts";
import { attr, scalar, type TfRef } from "../../../tensor/lowering/lowering.ts";
import type { GraphBuilder } from "./graphBuilder.ts";

export const INDEX = attr.type("int64");

/** A value in equal parts along a dimension. */
export interface Pieces {
  readonly refs: readonly TfRef[];
  readonly axis: number;
}

/** Equal parts of a value along a dimension. */
export function split(
  b: GraphBuilder,
  ref: TfRef,
  axis: number,
  parts: number,
  dtype: DType,
): readonly TfRef[] {
  if (parts === 1) return [ref];
  const attributes = { T: attr.type(dtype), num_split: attr.int(parts) };
  return b.nodes("Split", [scalar(b, axis, "int64"), ref], attributes, parts);
}

/** A value of its parts. */
export function joined(b: GraphBuilder, { refs, axis }: Pieces, dtype: DType): TfRef {
  if (refs.length === 1) return refs[0]!;
  const attributes = { T: attr.type(dtype), N: attr.int(refs.length), Tidx: INDEX };
  return b.node("ConcatV2", [...refs, scalar(b, axis, "int64")], attributes);
}
