// Sparse matrices: converting and coalescing them, and products with dense ones by gathering and summing rows.
import { apply } from "../recording/apply.ts";
import { allocate } from "../core/dtype.ts";
import { TensorError } from "../core/errors.ts";
import { composed, named } from "../functions/pointwise/operands.ts";
import { fillValue } from "../recording/graph.ts";
import { add, mul } from "../ops/elementwise/elementwise.ts";
import { indexAdd, indexSelect } from "../ops/movement/indexing.ts";
import { permute, reshape } from "../ops/movement/movement.ts";
import { slice } from "../ops/movement/slicing.ts";
import { valuesOf } from "../planning/barrier.ts";
import { formatDims, numel, range, strides, type Shape } from "../core/shape.ts";
import { fromHost, Tensor } from "../core/tensor.ts";
import { SparseTensor } from "./sparseTensor.ts";
import { call } from "../ops/expressions.ts";

/** A row of the coordinates: those of all elements along one dimension. */
function row(places: Tensor, d: number): Tensor {
  const n = places.shape[1]!;
  const one = apply(slice, [places], { begin: [d, 0], end: [d + 1, n], step: [1, 1] });
  return apply(reshape, [one], { shape: [n] });
}

/** Checks coordinates, where they are known. @throws TensorError for a negative index, or one beyond the size */
export function checkPlaces(places: Tensor, shape: Shape): void {
  const { data } = places.value;
  if (data === undefined) return;
  const n = places.shape[1]!;
  data.forEach((at, i) => {
    const d = Math.floor(i / n);
    if (at < 0) throw new TensorError("index", `found negative index ${at} for dim ${d}`);
    if (at >= shape[d]!) {
      throw new TensorError(
        "index",
        `size is inconsistent with indices: for dim ${d}, size is ${shape[d]} but found index ${at}`,
      );
    }
  });
}

/** The matrix with elements at equal places summed, and all places in order. Reads the coordinates. */
export function coalesce(x: SparseTensor): SparseTensor {
  if (x.coalesced) return x;
  const { places, stored, nnz, shape } = x;
  const dims = places.shape[0]!;
  const steps = strides(shape.slice(0, dims));
  const data = valuesOf(places.value);
  const flat = range(nnz).map((i) => steps.reduce((sum, step, d) => sum + step * data[d * nnz + i]!, 0));
  const order = [...new Set(flat)].sort((a, b) => a - b);
  const rank = new Map(order.map((at, i) => [at, i]));
  const group = Int32Array.from(flat, (at) => rank.get(at)!);
  const sorted = allocate("int64", dims * order.length);
  order.forEach((at, i) => {
    steps.forEach((step, d) => (sorted[d * order.length + i] = Math.floor(at / step) % shape[d]!));
  });
  const values = composed(() =>
    apply(indexAdd, [stored, fromHost(group, [nnz], "int64")], { dim: 0, length: order.length }),
  );
  const found = fromHost(sorted, [dims, order.length], "int64");
  return new SparseTensor(found, named(values, "ValuesBackward0"), shape, true, "CoalesceBackward0");
}

/** The matrix as a dense tensor; dense tensors unchanged. */
export function toDense(input: Tensor): Tensor {
  if (!(input instanceof SparseTensor)) return input;
  const { places, stored, shape } = input;
  const dims = places.shape[0]!;
  const lead = shape.slice(0, dims);
  return composed(() => {
    const flat = strides(lead)
      .map((step, d) => call(mul, row(places, d), new Tensor(fillValue(step, [], "int64"))))
      .reduce((a, b) => call(add, a, b));
    const rows = apply(indexAdd, [stored, flat], { dim: 0, length: numel(lead) });
    return named(apply(reshape, [rows], { shape }), "ToDenseBackward0");
  });
}

/** The transpose of a sparse matrix. */
export function transposed(x: SparseTensor): SparseTensor {
  matrix("t", x);
  const places = composed(() => {
    const order = fromHost(Int32Array.from([1, 0]), [2], "int64");
    return apply(indexSelect, [x.places, order], { dim: 0 });
  });
  return new SparseTensor(places, x.stored, x.shape.toReversed(), false, "TBackward0");
}

function matrix(name: string, x: SparseTensor): void {
  if (x.ndim === 2 && x.stored.ndim === 1) return;
  throw new TensorError("unsupported", `${name}: of sparse tensors only matrices of numbers are supported`);
}

/** Product of matrices of which at least one is sparse; undefined for two dense ones. */
export function sparseProduct(a: Tensor, b: Tensor): Tensor | undefined {
  const [left, right] = [a instanceof SparseTensor, b instanceof SparseTensor];
  if (!left && !right) return undefined;
  if (left && right) {
    throw new TensorError(
      "unsupported",
      "the product of two sparse tensors is not supported",
      "make one dense: b.toDense()",
    );
  }
  if (a instanceof SparseTensor) return product(a, b);
  // (A B)ᵀ = Bᵀ Aᵀ.
  const turn = (x: Tensor): Tensor => (x.ndim === 2 ? apply(permute, [x], { order: [1, 0] }) : x);
  return composed(() => named(turn(product(transposed(b as SparseTensor), turn(a))), "MmBackward0"));
}

/** A X for a sparse matrix A: the rows of X selected by its elements, times the elements, summed. */
function product(a: SparseTensor, x: Tensor): Tensor {
  matrix("mm", a);
  const [m, k] = a.shape as [number, number];
  if (x.ndim !== 1 && x.ndim !== 2) {
    throw new TensorError("shape", `mm: Expected mat2 to be a vector or a matrix, got ${x.ndim}-D tensor`);
  }
  if (x.shape[0] !== k) {
    throw new TensorError(
      "shape",
      x.ndim === 1
        ? `size mismatch, got input (${m}), mat (${formatDims([m, k])}), vec (${x.shape[0]})`
        : `addmm: Argument #3 (dense): Expected dim 0 size ${k}, got ${x.shape[0]}`,
    );
  }
  if (x.dtype !== a.dtype) {
    throw new TensorError("dtype", "addmm: expected both matrices to have the same dtype");
  }
  return composed(() => {
    const met = apply(indexSelect, [x, row(a.places, 1)], { dim: 0 });
    const factor = x.ndim === 1 ? a.stored : apply(reshape, [a.stored], { shape: [a.nnz, 1] });
    const terms = call(mul, met, factor);
    const y = apply(indexAdd, [terms, row(a.places, 0)], { dim: 0, length: m });
    return named(y, x.ndim === 1 ? "MvBackward0" : "SparseAddmmBackward0");
  });
}
