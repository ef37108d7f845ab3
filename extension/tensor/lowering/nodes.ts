// TensorFlow nodes that many ops write.
import type { DType } from "../core/dtype.ts";
import type { Shape } from "../core/shape.ts";
import {
  attr,
  scalar,
  vector,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
  type TfType,
} from "./lowering.ts";

/** The attribute of nodes of floats. */
export const T = attr.type("float32");
/** The type of axes, shapes and indices. */
export const INDEX = attr.type("int64");

/** The same elements under another shape. */
export const reshapeNode = (b: TfBuilder, x: TfRef, shape: Shape, type: TfAttribute = T): TfRef =>
  b.node("Reshape", [x, vector(b, shape)], { T: type, Tshape: INDEX });

/** Dimensions in another order. */
export const transposeNode = (
  b: TfBuilder,
  x: TfRef,
  order: readonly number[],
  type: TfAttribute = T,
): TfRef => b.node("Transpose", [x, vector(b, order)], { T: type, Tperm: INDEX });

export const castNode = (b: TfBuilder, x: TfRef, from: TfType, to: TfType): TfRef =>
  b.node("Cast", [x], { SrcT: attr.type(from), DstT: attr.type(to), Truncate: attr.bool(false) });

/** A reduction over dimensions: "Sum", "Mean", "Max", …. */
export const reduceNode = (
  b: TfBuilder,
  op: string,
  x: TfRef,
  dims: readonly number[],
  keepdim = false,
  type: TfAttribute = T,
): TfRef => b.node(op, [x, vector(b, dims)], { T: type, Tidx: INDEX, keep_dims: attr.bool(keepdim) });

/** Elements of dimension `dim` at indices; the first `batchDims` dimensions have indices of their own. */
export const gatherNode = (
  b: TfBuilder,
  [x, index]: readonly TfRef[],
  dim: number,
  dtype: DType,
  batchDims = 0,
): TfRef =>
  b.node("GatherV2", [x!, index!, scalar(b, dim, "int64")], {
    Tparams: attr.type(dtype),
    Tindices: INDEX,
    Taxis: INDEX,
    batch_dims: attr.int(batchDims),
  });

/** Where two tensors are equal, or differ. */
export const equalNode = (
  b: TfBuilder,
  [x, y]: readonly TfRef[],
  dtype: DType,
  op: "Equal" | "NotEqual" = "Equal",
): TfRef => b.node(op, [x!, y!], { T: attr.type(dtype), incompatible_shape_error: attr.bool(true) });

/** One number everywhere. */
export const fillNode = (b: TfBuilder, shape: Shape, value: number, dtype: DType = "float32"): TfRef =>
  b.node("Fill", [vector(b, shape), scalar(b, value, dtype)], { T: attr.type(dtype), index_type: INDEX });

/** The product of two matrices, either transposed first. */
export const productNode = (
  b: TfBuilder,
  x: TfRef,
  y: TfRef,
  transposeX = false,
  transposeY = false,
  type: TfAttribute = T,
): TfRef =>
  b.node("MatMul", [x, y], {
    T: type,
    transpose_a: attr.bool(transposeX),
    transpose_b: attr.bool(transposeY),
  });
