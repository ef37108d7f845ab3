// Methods that arrange and pick elements.
import * as creation from "../functions/creation/creation.ts";
import * as gathering from "../functions/indexing/gathering.ts";
import * as indexing from "../functions/indexing/indexing.ts";
import * as parts from "../functions/shape/parts.ts";
import * as shape from "../functions/shape/shape.ts";
import { TensorError } from "../core/errors.ts";
import type { ValuesAndIndices } from "../functions/results.ts";
import type { Dims } from "../functions/pointwise/operands.ts";
import { Tensor } from "../core/tensor.ts";
import { install, installAs, installGetter, type Method } from "./install.ts";

declare module "../core/tensor.ts" {
  interface Tensor {
    /** The elements in the same order under another shape; one size may be -1. A view where PyTorch has one. */
    reshape: Method<typeof shape.reshape, "reshape">;
    /** As `reshape`, but never a copy. */
    view: Method<typeof shape.view, "view">;
    /** A view in the shape of another tensor. */
    viewAs: Method<typeof shape.viewAs, "viewAs">;
    /** The elements in the shape of another tensor. */
    reshapeAs: Method<typeof shape.reshapeAs, "reshapeAs">;
    /** Dimensions `startDim` (0) to `endDim` (-1) as one. */
    flatten: Method<typeof shape.flatten, "flatten">;
    /** One dimension split into several; one size may be -1. */
    unflatten: Method<typeof shape.unflatten, "unflatten">;
    /** Without dimensions of length 1: all, or those named. */
    squeeze(...dim: number[]): Tensor;
    squeeze(dim: Dims | { dim: Dims }): Tensor;
    /** With a dimension of length 1 inserted before `dim`. */
    unsqueeze: Method<typeof shape.unsqueeze, "unsqueeze">;
    /** Dimensions in another order; a view. */
    permute: Method<typeof shape.permute, "permute">;
    /** The transpose: dimensions in reverse order; a view. */
    readonly T: Tensor;
    /** The last two dimensions exchanged; a view. */
    readonly mT: Tensor;
    /** Two dimensions exchanged; a view. */
    transpose: Method<typeof shape.transpose, "transpose">;
    /** The transpose of a matrix; a view. */
    t: Method<typeof shape.t, "t">;
    /** Dimensions moved to other places; a view. */
    movedim: Method<typeof shape.movedim, "movedim">;
    /** Dimensions of length 1 repeated without copying; -1 keeps a size. */
    expand: Method<typeof shape.expand, "expand">;
    /** Expanded to the shape of another tensor. */
    expandAs: Method<typeof shape.expandAs, "expandAs">;
    /** Expanded to a shape it broadcasts to. */
    broadcastTo: Method<typeof shape.broadcastTo, "broadcastTo">;
    /** Copies side by side: `repeats[d]` of them along dimension d. */
    repeat: Method<typeof shape.repeat, "repeat">;
    /** As `repeat`, with missing leading repetitions taken as 1. */
    tile: Method<typeof shape.tile, "tile">;
    /** Every element `repeats` times in a row, along `dim` or flattened. */
    repeatInterleave: Method<typeof shape.repeatInterleave, "repeatInterleave">;
    /** Elements in reverse order along `dims`; a copy. */
    flip: Method<typeof shape.flip, "flip">;
    /** Elements moved `shifts` places along `dims`, around the end. */
    roll: Method<typeof shape.roll, "roll">;
    /** `length` elements of a dimension from `start` on; a view. */
    narrow: Method<typeof parts.narrow, "narrow">;
    /** One element of a dimension, which is dropped; a view. */
    select: Method<typeof parts.select, "select">;
    /** All elements along a dimension; views. */
    unbind: Method<typeof parts.unbind, "unbind">;
    /** Consecutive parts of a size, or of the sizes in a list; views. */
    split: Method<typeof parts.split, "split">;
    /** At most `chunks` parts of equal size; views. */
    chunk: Method<typeof parts.chunk, "chunk">;
    /** Whether the elements lie in memory in the order of their indices. */
    isContiguous: Method<typeof parts.isContiguous, "isContiguous">;
    /** The tensor itself if it is contiguous, else a copy. */
    contiguous: Method<typeof parts.contiguous, "contiguous">;
    /** The part at an index: numbers, slices `[start, stop, step]` or "a:b:c", "...", null, index tensors, masks. */
    index: Method<typeof indexing.index, "index">;
    /** Writes values into the part at an index. */
    indexPut_: Method<typeof indexing.indexPut_, "indexPut_">;
    /** A copy with values written at an index. */
    indexPut: Method<typeof indexing.indexPut, "indexPut">;
    /** Rows of a dimension in the order of an index vector. */
    indexSelect: Method<typeof gathering.indexSelect, "indexSelect">;
    /** Per place of the index, the element there with coordinate `dim` replaced. */
    gather: Method<typeof gathering.gather, "gather">;
    /** As `gather`, with input and index broadcast against each other. */
    takeAlongDim: Method<typeof gathering.takeAlongDim, "takeAlongDim">;
    /** A copy with `source` at the places that `gather` would read. */
    scatter: Method<typeof gathering.scatter, "scatter">;
    /** A copy with `source` added at the places that `gather` would read. */
    scatterAdd: Method<typeof gathering.scatterAdd, "scatterAdd">;
    /** The elements where a mask holds: reads the mask now. */
    maskedSelect: Method<typeof gathering.maskedSelect, "maskedSelect">;
    /** Positions of the elements that are not 0, one per row: reads the tensor now. */
    nonzero(options?: { asTuple?: false }): Tensor;
    nonzero(options: { asTuple: true }): Tensor[];
    /** The k largest (or smallest) of a dimension and their indices. */
    topk: Method<typeof gathering.topk, "topk">;
    /** A dimension in ascending (or descending) order, and the indices. */
    sort: Method<typeof gathering.sort, "sort">;
    /** Indices that sort a dimension. */
    argsort: Method<typeof gathering.argsort, "argsort">;
    /** The lower median of all elements, or `[values, indices]` along a dimension. */
    median(): Tensor;
    median(dim: number, keepdim?: boolean): ValuesAndIndices;
    /** The diagonal of a matrix, or a vector as the diagonal of a matrix. */
    diag: Method<typeof gathering.diag, "diag">;
    /** The lower triangle, zeros elsewhere. */
    tril: Method<typeof creation.tril, "tril">;
    /** The upper triangle, zeros elsewhere. */
    triu: Method<typeof creation.triu, "triu">;
  }
}

install(shape, [
  "reshape",
  "view",
  "viewAs",
  "reshapeAs",
  "flatten",
  "unflatten",
  "unsqueeze",
  "permute",
  "transpose",
  "t",
  "movedim",
  "expand",
  "expandAs",
  "broadcastTo",
  "repeat",
  "tile",
  "repeatInterleave",
  "flip",
  "roll",
]);
installAs("squeeze", (x: Tensor, ...dims: number[] | [Dims?]) =>
  shape.squeeze(x, dims.length > 1 ? (dims as number[]) : dims[0]),
);
install(parts, ["narrow", "select", "unbind", "split", "chunk", "isContiguous", "contiguous"]);
install(indexing, ["index", "indexPut_", "indexPut"]);
install(gathering, [
  "indexSelect",
  "gather",
  "takeAlongDim",
  "scatter",
  "scatterAdd",
  "maskedSelect",
  "nonzero",
  "topk",
  "sort",
  "argsort",
  "median",
  "diag",
]);
install(creation, ["tril", "triu"]);

installGetter("T", (x) =>
  shape.permute(
    x,
    x.shape.map((_, d) => x.ndim - 1 - d),
  ),
);
installGetter("mT", (x) => {
  if (x.ndim < 2) {
    throw new TensorError(
      "shape",
      `tensor.mT is only supported on matrices or batches of matrices. Got ${x.ndim}-D tensor.`,
    );
  }
  return shape.transpose(x, -2, -1);
});
