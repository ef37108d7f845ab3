// Products of vectors and matrices.
import { apply } from "../../recording/apply.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as elementwise from "../../ops/elementwise/elementwise.ts";
import { matmul as product } from "../../ops/matrix/matmul.ts";
import { sum } from "../../ops/movement/movement.ts";
import { broadcastShapes, formatDims, numel } from "../../core/shape.ts";
import { sparseProduct } from "../../sparse/functions.ts";
import type { Tensor } from "../../core/tensor.ts";
import { add, mul } from "../pointwise/arithmetic.ts";
import { C_TYPE, composed, named, notImplemented } from "../pointwise/operands.ts";
import { scalesOf, type Scales } from "../pointwise/promotion.ts";
import { expand } from "../shape/shape.ts";
import { reshaped } from "../shape/views.ts";
import { call } from "../../ops/expressions.ts";

const PLAIN = { transposeA: false, transposeB: false };

function sameType(a: Tensor, b: Tensor): void {
  if (a.dtype === b.dtype) return;
  throw new TensorError(
    "dtype",
    `expected m1 and m2 to have the same dtype, but got: ${C_TYPE[a.dtype]} != ${C_TYPE[b.dtype]}`,
  );
}

function matrices(name: string, a: Tensor, b: Tensor): void {
  const [m, k] = a.shape as [number, number];
  if (k === b.shape[0]) {
    sameType(a, b);
    return;
  }
  throw new TensorError(
    "shape",
    `${name}: mat1 and mat2 shapes cannot be multiplied (${formatDims([m, k])} and ${formatDims(b.shape)})`,
  );
}

/**
 * Product of two matrices.
 * @throws TensorError "mm: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"
 */
export function mm(input: Tensor, mat2: Tensor): Tensor {
  const sparse = sparseProduct(input, mat2);
  if (sparse !== undefined) return sparse;
  if (input.ndim !== 2) {
    throw new TensorError("shape", `mm: self must be a matrix, got ${input.ndim}-D tensor`);
  }
  if (mat2.ndim !== 2) {
    throw new TensorError("shape", `mm: mat2 must be a matrix, got ${mat2.ndim}-D tensor`);
  }
  matrices("mm", input, mat2);
  return named(apply(product, [input, mat2], PLAIN), "MmBackward0");
}

/**
 * Products of two batches of matrices, [B, M, K] and [B, K, N].
 * @throws TensorError "Expected size for first two dimensions of batch2 tensor to be: [2, 4] but got: [2, 5]."
 */
export function bmm(input: Tensor, mat2: Tensor): Tensor {
  if (input.ndim !== 3) throw new TensorError("shape", "batch1 must be a 3D tensor");
  if (mat2.ndim !== 3) throw new TensorError("shape", "batch2 must be a 3D tensor");
  batches(input, mat2);
  return named(apply(product, [input, mat2], PLAIN), "BmmBackward0");
}

function batches(a: Tensor, b: Tensor): void {
  sameType(a, b);
  const [batch, , k] = a.shape as [number, number, number];
  if (b.shape[0] === batch && b.shape[1] === k) return;
  throw new TensorError(
    "shape",
    `Expected size for first two dimensions of batch2 tensor to be: [${batch}, ${k}] but got: [${b.shape[0]}, ${b.shape[1]}].`,
  );
}

/**
 * Product of a matrix and a vector.
 * @throws TensorError "size mismatch, got input (2), mat (2x3), vec (4)"
 */
export function mv(input: Tensor, vec: Tensor): Tensor {
  const sparse = sparseProduct(input, vec);
  if (sparse !== undefined) return sparse;
  if (input.ndim !== 2 || vec.ndim !== 1) {
    throw new TensorError("shape", `vector + matrix @ vector expected, got 1, ${input.ndim}, ${vec.ndim}`);
  }
  return matrixVector(input, vec, input.shape[0]!);
}

function matrixVector(matrix: Tensor, vec: Tensor, rows: number): Tensor {
  sameType(matrix, vec);
  const k = matrix.shape[1]!;
  if (vec.shape[0] !== k) {
    throw new TensorError(
      "shape",
      `size mismatch, got input (${rows}), mat (${rows}x${k}), vec (${vec.shape[0]})`,
    );
  }
  return composed(() =>
    named(reshaped(apply(product, [matrix, reshaped(vec, [k, 1])], PLAIN), [rows]), "MvBackward0"),
  );
}

/**
 * Sum of the products of two vectors' elements.
 * @throws TensorError "inconsistent tensor size, expected tensor [3] and src [4] to have the same number of elements, …"
 */
export function dot(input: Tensor, other: Tensor): Tensor {
  if (input.ndim !== 1 || other.ndim !== 1) {
    throw new TensorError("shape", `1D tensors expected, but got ${input.ndim}D and ${other.ndim}D tensors`);
  }
  if (input.dtype !== other.dtype) {
    throw new TensorError(
      "dtype",
      `dot : expected both vectors to have same dtype, but found ${SCALAR_TYPE[input.dtype]} and ${SCALAR_TYPE[other.dtype]}`,
    );
  }
  const [n, m] = [input.shape[0]!, other.shape[0]!];
  if (n !== m) {
    throw new TensorError(
      "shape",
      `inconsistent tensor size, expected tensor [${n}] and src [${m}] to have the same number of elements, but got ${n} and ${m} elements respectively`,
    );
  }
  if (input.dtype === "bool") notImplemented("dot", input.dtype);
  return composed(() => {
    const products = call(elementwise.mul, input, other);
    return named(apply(sum, [products], { dims: [0], keepdim: false }), "DotBackward0");
  });
}

/**
 * PyTorch's matrix product of any two tensors: vectors are rows on the left and columns on the right, more than two
 * dimensions are batches, which broadcast.
 * @throws TensorError "mm: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"
 */
export function matmul(input: Tensor, other: Tensor): Tensor {
  const [n, m] = [input.ndim, other.ndim];
  if (n === 2 && m === 2) return mm(input, other);
  const sparse = sparseProduct(input, other);
  if (sparse !== undefined) return sparse;
  if (n === 0 || m === 0) {
    throw new TensorError(
      "shape",
      `both arguments to matmul need to be at least 1D, but they are ${n}D and ${m}D`,
    );
  }
  if (n === 1 && m === 1) return dot(input, other);
  if (n === 2 && m === 1) return matrixVector(input, other, input.shape[0]!);
  if (n === 1 && m === 2) return vectorMatrix(input, other);
  if (n >= 3 && m <= 2) return folded(input, other);
  return batched(input, other);
}

function vectorMatrix(vec: Tensor, matrix: Tensor): Tensor {
  const k = vec.shape[0]!;
  return composed(() => {
    const row = reshaped(vec, [1, k]);
    matrices("mm", row, matrix);
    return named(reshaped(apply(product, [row, matrix], PLAIN), [matrix.shape[1]!]), "SqueezeBackward4");
  });
}

/** Many rows by one matrix or vector: the batch becomes rows. */
function folded(input: Tensor, other: Tensor): Tensor {
  const { shape } = input;
  const k = shape[shape.length - 1]!;
  const lead = shape.slice(0, -1);
  const rows = numel(lead);
  const multiplied = (): Tensor => {
    const flat = reshaped(input, [rows, k]);
    if (other.ndim === 1) return reshaped(matrixVector(flat, other, rows), lead);
    matrices("mm", flat, other);
    const result = apply(product, [flat, other], PLAIN);
    return reshaped(result, [...lead, other.shape[1]!]);
  };
  return composed(() => named(multiplied(), "UnsafeViewBackward0"));
}

function batched(input: Tensor, other: Tensor): Tensor {
  return composed(() => {
    const a = input.ndim === 1 ? reshaped(input, [1, input.shape[0]!]) : input;
    const b = other.ndim === 1 ? reshaped(other, [other.shape[0]!, 1]) : other;
    sameType(a, b);
    const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const [m, k] = a.shape.slice(-2) as [number, number];
    const [k2, n] = b.shape.slice(-2) as [number, number];
    if (k !== k2) {
      const size = numel(batch);
      throw new TensorError(
        "shape",
        `Expected size for first two dimensions of batch2 tensor to be: [${size}, ${k}] but got: [${size}, ${k2}].`,
      );
    }
    const result = apply(product, [a, b], PLAIN);
    const kept = [...(input.ndim === 1 ? [] : [m]), ...(other.ndim === 1 ? [] : [n])];
    return named(kept.length === 2 ? result : reshaped(result, [...batch, ...kept]), "UnsafeViewBackward0");
  });
}

/**
 * All products of an element of one vector and one of the other.
 * @throws TensorError "outer: Expected 1-D argument self, but got 2-D"
 */
export function outer(input: Tensor, vec2: Tensor): Tensor {
  for (const [name, x] of [["self", input] as const, ["vec2", vec2] as const]) {
    if (x.ndim !== 1) {
      throw new TensorError("shape", `outer: Expected 1-D argument ${name}, but got ${x.ndim}-D`);
    }
  }
  return composed(() => mul(reshaped(input, [input.shape[0]!, 1]), vec2));
}

/** beta · input + alpha · mat1 @ mat2. */
export function addmm(input: Tensor, mat1: Tensor, mat2: Tensor, options: Scales = {}): Tensor {
  if (mat1.ndim !== 2 || mat2.ndim !== 2) {
    throw new TensorError(
      "shape",
      `addmm: mat1 and mat2 must be matrices, got ${mat1.ndim}-D and ${mat2.ndim}-D tensors`,
    );
  }
  matrices("addmm", mat1, mat2);
  if (input.dtype !== mat2.dtype) {
    throw new TensorError(
      "dtype",
      `self and mat2 must have the same dtype, but got ${SCALAR_TYPE[input.dtype]} and ${SCALAR_TYPE[mat2.dtype]}`,
    );
  }
  return plusProduct(input, mat1, mat2, options, "AddmmBackward0");
}

/** beta · input + alpha · batch1 @ batch2. */
export function baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, options: Scales = {}): Tensor {
  if (batch1.ndim !== 3 || batch2.ndim !== 3) throw new TensorError("shape", "batch1 must be a 3D tensor");
  batches(batch1, batch2);
  if (input.dtype !== batch1.dtype) {
    throw new TensorError(
      "dtype",
      `Input dtypes must be the same, got: input ${C_TYPE[input.dtype]}, batch1: ${C_TYPE[batch1.dtype]}, batch2: ${C_TYPE[batch2.dtype]}`,
    );
  }
  return plusProduct(input, batch1, batch2, options, "BaddbmmBackward0");
}

function plusProduct(input: Tensor, a: Tensor, b: Tensor, options: Scales, gradient: string): Tensor {
  const { beta, alpha } = scalesOf(input.dtype, options);
  return composed(() => {
    const result = apply(product, [a, b], PLAIN);
    if (beta === 0) return named(alpha === 1 ? result : mul(result, alpha), gradient);
    const bias = expand(input, result.shape);
    return named(add(beta === 1 ? bias : mul(bias, beta), result, alpha === 1 ? {} : { alpha }), gradient);
  });
}
