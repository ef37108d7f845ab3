// PyTorch's torch.sparse, and what makes sparse tensors.
import { TensorError } from "../core/errors.ts";
import { filled, type DType } from "../core/dtype.ts";
import { add, mul } from "../functions/pointwise/arithmetic.ts";
import { tensor, type Nested } from "../functions/creation/creation.ts";
import { nonzero } from "../functions/indexing/gathering.ts";
import { castTo, composed } from "../functions/pointwise/operands.ts";
import { apply } from "../recording/apply.ts";
import { indexSelect } from "../ops/movement/indexing.ts";
import { permute, reshape } from "../ops/movement/movement.ts";
import { valuesOf } from "../planning/barrier.ts";
import { strides, type Shape } from "../core/shape.ts";
import { fromHost, Tensor } from "../core/tensor.ts";
import { checkPlaces, coalesce, sparseProduct, toDense, transposed } from "./functions.ts";
import { SparseTensor } from "./sparseTensor.ts";

export interface SparseOptions {
  dtype?: DType;
  /** Says that no two elements have the same place and all are in order. Default false. */
  isCoalesced?: boolean;
}

/**
 * A sparse tensor of `values` at the coordinates `indices`; elements with the same place add up.
 *
 * ```ts
 * const edges = torch.tensor([[0, 1, 2], [1, 2, 0]]);
 * const a = torch.sparseCooTensor(edges, torch.ones(3), [3, 3]);
 * torch.sparse.mm(a, x); // for each node, the sum over its neighbours
 * ```
 * @param indices [dimensions, elements]
 * @param values [elements]
 * @param size the smallest that has all indices, unless given
 * @throws TensorError "size is inconsistent with indices: for dim 0, size is 2 but found index 5"
 */
export function sparseCooTensor(
  indices: Tensor | Nested,
  values: Tensor | Nested,
  size?: Shape | SparseOptions,
  options: SparseOptions = {},
): SparseTensor {
  const given = Array.isArray(size) ? options : { ...(size as SparseOptions | undefined), ...options };
  const places = castTo(indices instanceof Tensor ? indices : tensor(indices), "int64");
  const all = values instanceof Tensor ? values : tensor(values);
  const stored = castTo(all, given.dtype ?? all.dtype);
  if (places.ndim !== 2) {
    throw new TensorError("shape", `indices must be sparse_dim x nnz, but got: [${places.shape.join(", ")}]`);
  }
  const [dims, nnz] = places.shape as [number, number];
  const shape = Array.isArray(size) ? (size as Shape) : smallest(places, stored);
  const dense = stored.ndim - 1;
  if (shape.length !== dims + dense) {
    throw new TensorError(
      "shape",
      `'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = ${shape.length}, sparse_dim = ${dims}, dense_dim = ${dense}`,
    );
  }
  if (stored.shape[0] !== nnz) {
    throw new TensorError(
      "shape",
      `indices and values must have same nnz, but got nnz from indices: ${nnz}, nnz from values: ${stored.shape[0]}`,
    );
  }
  checkPlaces(places, shape);
  const name = "SparseCooTensorWithDimsAndTensorsBackward0";
  return new SparseTensor(places, stored, shape, given.isCoalesced ?? false, name);
}

function smallest(places: Tensor, stored: Tensor): number[] {
  const [dims, nnz] = places.shape as [number, number];
  const data = valuesOf(places.value);
  const sizes = Array.from({ length: dims }, (_, d) => {
    let most = -1;
    for (let i = 0; i < nnz; i++) most = Math.max(most, data[d * nnz + i]!);
    return most + 1;
  });
  return [...sizes, ...stored.shape.slice(1)];
}

/** The elements that are not 0 as a sparse tensor. Reads the values. */
export function toSparse(input: Tensor): SparseTensor {
  if (input instanceof SparseTensor) return input;
  const at = nonzero(input);
  const places = apply(permute, [at], { order: [1, 0] });
  const steps = strides(input.shape);
  const coordinates = valuesOf(at.value);
  const [count, dims] = at.shape as [number, number];
  const flat = filled(new Int32Array(count), (i) =>
    steps.reduce((sum, step, d) => sum + step * coordinates[i * dims + d]!, 0),
  );
  const stored = composed(() => {
    const line = apply(reshape, [input], { shape: [input.numel()] });
    return apply(indexSelect, [line, fromHost(flat, [count], "int64")], { dim: 0 });
  });
  return new SparseTensor(places, stored, input.shape, true, "ToSparseBackward0");
}

/**
 * The product of a sparse matrix and a dense one (or the other way round), with gradients of the dense one and of the
 * elements.
 * @throws TensorError "addmm: Argument #3 (dense): Expected dim 0 size 3, got 4"
 */
export function spmm(a: Tensor, b: Tensor): Tensor {
  return sparseProduct(a, b) ?? noSparse("spmm");
}

const noSparse = (name: string): never => {
  throw new TensorError("value", `${name}: expected one of the arguments to be a sparse tensor`);
};

/** beta · input + alpha · mat1 @ mat2 for a sparse `mat1`. */
function addmm(
  input: Tensor,
  mat1: Tensor,
  mat2: Tensor,
  options: { beta?: number; alpha?: number } = {},
): Tensor {
  return composed(() => add(mul(input, options.beta ?? 1), mul(spmm(mat1, mat2), options.alpha ?? 1)));
}

/** Functions of sparse matrices. */
export const sparse = { mm: spmm, addmm } as const;

export { coalesce, toDense, transposed };
