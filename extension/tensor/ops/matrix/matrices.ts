// Inverses and decompositions of matrices: the last two dimensions, all others being a batch.
import { filled } from "../../core/dtype.ts";
import type * as tfjs from "@tensorflow/tfjs-core";
import { apply, applyAll } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { reduceNode, T } from "../../lowering/nodes.ts";
import { columnwise, leading } from "../../recording/batchRules.ts";
import { defineOp, type Op, type Signature, type Tfjs } from "../../recording/op.ts";
import { numel, range, type Shape } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";
import { add, div, eq, mul, neg, sub, where } from "../elementwise/elementwise.ts";
import { matmul } from "./matmul.ts";
import * as values from "./matrixValues.ts";
import { permute, reshape } from "../movement/movement.ts";

export const product = (a: Tensor, b: Tensor, transposeA = false, transposeB = false): Tensor =>
  apply(matmul, [a, b], { transposeA, transposeB });

export const matrixOf = (shape: Shape): [rows: number, columns: number] =>
  shape.slice(-2) as unknown as [number, number];
export const batchOf = (shape: Shape): number[] => shape.slice(0, -2);

export function flipped(x: Tensor): Tensor {
  const order = range(x.ndim - 2);
  return apply(permute, [x], { order: [...order, x.ndim - 1, x.ndim - 2] });
}

/** Broadcasts a vector for each matrix along its rows (or columns). */
const lined = (x: Tensor, column: boolean): Tensor =>
  apply(reshape, [x], {
    shape: column ? [...x.shape, 1] : [...x.shape.slice(0, -1), 1, x.shape[x.ndim - 1]!],
  });

/** Ones where `keep` holds, else zeros. */
export function pattern(n: number, keep: (row: number, column: number) => number): Tensor {
  const data = filled(new Float32Array(n * n), (i) => keep(Math.floor(i / n), i % n));
  return fromHost(data, [n, n], "float32");
}

/** Runs `each` for every matrix of a batch on the host. */
export function perMatrix(
  k: Tfjs,
  inputs: readonly tfjs.Tensor[],
  { outputs }: Signature,
  each: (matrices: Float64Array[]) => readonly ArrayLike<number>[],
): tfjs.Tensor[] {
  const count = numel(batchOf(inputs[0]!.shape));
  const data = inputs.map((x) => x.dataSync<"float32">());
  const results = outputs.map(({ shape }) => new Float32Array(numel(shape)));
  for (let i = 0; i < count; i++) {
    const parts = each(
      data.map((d) => Float64Array.from(d.subarray((i * d.length) / count, ((i + 1) * d.length) / count))),
    );
    parts.forEach((part, o) => results[o]!.set(part, (i * results[o]!.length) / count));
  }
  return results.map((data_, o) => k.tensor(data_, [...outputs[o]!.shape], "float32"));
}

/**
 * Returns PyTorch's error for the first matrix of a batch in which `find` finds a fault, with its place.
 * @param text returns the message, given the place
 */
export function refusing(
  name: string,
  find: (matrix: Float64Array, n: number) => number | undefined,
  text: (place?: number) => string,
): NonNullable<Op<object>["refusal"]> {
  return (inputs, signature) => {
    if (inputs === undefined || signature === undefined)
      return new TensorError("value", `${name}: ${text()}`);
    const { shape } = signature.inputs[0]!;
    const n = matrixOf(shape)[0];
    const data = inputs[0]!;
    for (let i = 0; i < data.length / (n * n); i++) {
      const place = find(Float64Array.from(data.subarray(i * n * n, (i + 1) * n * n)), n);
      if (place === undefined) continue;
      const which = shape.length > 2 ? `(Batch element ${i}): ` : "";
      return new TensorError("value", `${name}: ${which}${text(place)}`);
    }
    return undefined;
  };
}

/** Throws the error of an op without a kernel, if its inputs are wrong. */
export function refused(
  refusal: Op<object>["refusal"],
  inputs: readonly tfjs.Tensor[],
  signature: Signature,
): void {
  const error = refusal!(
    inputs.map((x) => x.dataSync<"float32">()),
    signature,
  );
  if (error !== undefined) throw error;
}

/** ONNX knows products and determinants. */
export const NO_ONNX = { none: "ONNX has no linear algebra of this kind" };

/** The inverse of square matrices. */
export const inverse: Op<object> = defineOp({
  name: "inverse",
  gradName: "LinalgInvExBackward0",
  infer: ([a]) => a!,
  gradient: ({ grad, outputs: [y] }) => [call(neg, product(product(y!, grad, true), y!, false, true))],
  batch: leading,
  onnx: NO_ONNX,
  tensorflow: (b, inputs) => b.node("MatrixInverse", inputs, { T, adjoint: attr.bool(false) }),
  refusal: refusing(
    "linalg.inv",
    values.zeroPivot,
    (place) =>
      `${place === undefined ? "The" : `The diagonal element ${place} is zero, the`} inversion could not be completed because the input matrix is singular.`,
  ),
  tfjs(k, inputs, _, signature) {
    const n = matrixOf(signature.outputs[0]!.shape)[0];
    const unit = filled(new Float64Array(n * n), (i) => Number(i % (n + 1) === 0));
    refused(inverse.refusal, inputs, signature);
    return perMatrix(k, inputs, signature, ([a]) => [values.solve(a!, unit, n, n)]);
  },
  cost: ({ inputs: [a] }) => numel(a!.shape) * matrixOf(a!.shape)[0],
});

/** X of AX = B. */
export const solve: Op<object> = defineOp({
  name: "solve",
  gradName: "LinalgSolveExBackward0",
  infer: ([, b]) => b!,
  gradient({ grad, inputs: [a], outputs: [x], needs }) {
    const right = call(solve, flipped(a!), grad);
    return [needs[0] ? call(neg, product(right, x!, false, true)) : null, right];
  },
  batch: columnwise,
  onnx: NO_ONNX,
  tensorflow: (b, inputs) => b.node("MatrixSolve", inputs, { T, adjoint: attr.bool(false) }),
  refusal: refusing(
    "torch.linalg.solve",
    values.zeroPivot,
    () => "The solver failed because the input matrix is singular.",
  ),
  tfjs(k, inputs, _, signature) {
    const [n, m] = matrixOf(signature.outputs[0]!.shape);
    refused(solve.refusal, inputs, signature);
    return perMatrix(k, inputs, signature, ([a, b]) => [values.solve(a!, b!, n, m)]);
  },
  cost: ({ inputs: [a, b] }) => numel(b!.shape) * matrixOf(a!.shape)[0],
});

/** Logarithm of the size of the determinant, and its sign. */
export const logDeterminant: Op<object> = defineOp({
  name: "logDeterminant",
  gradName: "LinalgSlogdetBackward0",
  infer: ([a]) => [
    { shape: batchOf(a!.shape), dtype: "float32" },
    { shape: batchOf(a!.shape), dtype: "float32" },
  ],
  gradient({ grads: [log], inputs: [a] }) {
    if (!log) return [null];
    const g = apply(reshape, [log], { shape: [...log.shape, 1, 1] });
    return [call(mul, flipped(call(inverse, a!)), g)];
  },
  batch: leading,
  onnx: NO_ONNX,
  tensorflow(b, inputs) {
    const [sign, log] = b.nodes("LogMatrixDeterminant", inputs, { T }, 2) as [TfRef, TfRef];
    return [log, sign];
  },
  tfjs(k, inputs, _, signature) {
    const n = inputs[0]!.shape[inputs[0]!.rank - 1]!;
    return perMatrix(k, inputs, signature, ([a]) => {
      const [log, sign] = values.logDeterminant(a!, n);
      return [[log], [sign]];
    });
  },
  cost: ({ inputs: [a] }) => numel(a!.shape) * matrixOf(a!.shape)[0],
});

/** Weights of the sum of a vector's components that is made positive: it fixes the vector's sign. */
const weightsOf = (n: number): number[] => range(n).map((i) => 1 / (i + 1.37));

/** Signs [..., 1, k] that make columns unique. */
function signs(b: TfBuilder, columns: TfRef, shape: Shape): TfRef {
  const n = shape[shape.length - 2]!;
  const weighted = b.node("Mul", [columns, b.constant(weightsOf(n), [n, 1], "float32")], { T });
  return b.node("Sign", [reduceNode(b, "Sum", weighted, [shape.length - 2], true)], { T });
}

function unambiguous(columns: Float64Array, n: number, k: number, ...others: Float64Array[]): void {
  const weights = weightsOf(n);
  for (let c = 0; c < k; c++) {
    let sum = 0;
    for (let r = 0; r < n; r++) sum += weights[r]! * columns[r * k + c]!;
    if (sum >= 0) continue;
    for (const x of [columns, ...others]) for (let i = c; i < x.length; i += k) x[i]! *= -1;
  }
}

/** Eigenvalues of symmetric matrices in ascending order, and eigenvectors as columns. The lower triangle counts. */
export const eigh: Op<object> = defineOp({
  name: "eigh",
  gradName: "LinalgEighBackward0",
  infer: ([a]) => [{ shape: a!.shape.slice(0, -1), dtype: "float32" }, a!],
  gradient({ grads: [gw, gv], outputs: [w, v] }) {
    const n = matrixOf(v!.shape)[0];
    const diagonal = gw
      ? call(
          mul,
          lined(gw, false),
          pattern(n, (r, c) => Number(r === c)),
        )
      : undefined;
    let inner = diagonal;
    if (gv) {
      const gaps = call(sub, lined(w!, false), lined(w!, true));
      const same = call(eq, gaps, constant(0));
      const inverseGaps = call(div, constant(1), call(where, same, constant(Infinity), gaps));
      const off = call(mul, product(v!, gv, true), inverseGaps);
      inner = inner === undefined ? off : call(add, inner, off);
    }
    return [product(product(v!, inner!), v!, false, true)];
  },
  batch: leading,
  onnx: NO_ONNX,
  tensorflow(b, inputs, _, { outputs }) {
    const [w, v] = b.nodes("SelfAdjointEigV2", inputs, { T, compute_v: attr.bool(true) }, 2) as [
      TfRef,
      TfRef,
    ];
    return [w, b.node("Mul", [v, signs(b, v, outputs[1]!.shape)], { T })];
  },
  tfjs(k, inputs, _, signature) {
    const n = matrixOf(inputs[0]!.shape)[0];
    return perMatrix(k, inputs, signature, ([a]) => {
      const [w, v] = values.eigh(a!, n);
      unambiguous(v, n, n);
      return [w, v];
    });
  },
  cost: ({ inputs: [a] }) => 9 * numel(a!.shape) * matrixOf(a!.shape)[0],
});

/** Singular values in descending order, U [m, k] and V [n, k] with A = U diag(S) Vᵀ. */
export const svd: Op<object> = defineOp({
  name: "svd",
  gradName: "LinalgSvdBackward0",
  infer([a]) {
    const [m, n] = matrixOf(a!.shape);
    const k = Math.min(m, n);
    const batch = batchOf(a!.shape);
    return [
      { shape: [...batch, k], dtype: "float32" },
      { shape: [...batch, m, k], dtype: "float32" },
      { shape: [...batch, n, k], dtype: "float32" },
    ];
  },
  gradient({ grads: [gs, gu, gv], outputs: [s, u, v] }) {
    const k = s!.shape[s!.ndim - 1]!;
    let inner = gs
      ? call(
          mul,
          lined(gs, false),
          pattern(k, (r, c) => Number(r === c)),
        )
      : undefined;
    const plus = (x: Tensor | undefined, y: Tensor): Tensor => (x === undefined ? y : call(add, x, y));
    if (gu || gv) {
      const squares = call(mul, s!, s!);
      const gaps = call(sub, lined(squares, false), lined(squares, true));
      const own = fromHost(
        filled(new Uint8Array(k * k), (i) => Number(i % (k + 1) === 0)),
        [k, k],
        "bool",
      );
      const inverse = call(
        where,
        own,
        constant(0),
        call(div, constant(1), call(where, own, constant(1), gaps)),
      );
      const skew = (x: Tensor): Tensor => call(mul, call(sub, x, flipped(x)), inverse);
      if (gu) inner = plus(inner, call(mul, skew(product(u!, gu, true)), lined(s!, false)));
      if (gv) inner = plus(inner, call(mul, lined(s!, true), skew(product(v!, gv, true))));
    }
    if (inner === undefined) return [null];
    // For matrices that aren't square: the part of the vectors' gradients outside the space that the vectors span.
    const outside = (g: Tensor, q: Tensor): Tensor =>
      call(div, call(sub, g, product(q, product(q, g, true))), lined(s!, false));
    let result = product(product(u!, inner), v!, false, true);
    if (gu && u!.shape[u!.ndim - 2]! > k)
      result = call(add, result, product(outside(gu, u!), v!, false, true));
    if (gv && v!.shape[v!.ndim - 2]! > k)
      result = call(add, result, product(u!, outside(gv, v!), false, true));
    return [result];
  },
  batch: leading,
  onnx: NO_ONNX,
  tensorflow(b, inputs, _, { outputs }) {
    const attributes = { T, compute_uv: attr.bool(true), full_matrices: attr.bool(false) };
    const [s, u, v] = b.nodes("Svd", inputs, attributes, 3) as [TfRef, TfRef, TfRef];
    const turn = signs(b, u, outputs[1]!.shape);
    return [s, b.node("Mul", [u, turn], { T }), b.node("Mul", [v, turn], { T })];
  },
  tfjs(k, inputs, _, signature) {
    const [m, n] = matrixOf(inputs[0]!.shape);
    return perMatrix(k, inputs, signature, ([a]) => {
      const [s, u, v] = values.svd(a!, m, n);
      unambiguous(u, m, Math.min(m, n), v);
      return [s, u, v];
    });
  },
  cost: ({ inputs: [a] }) => 12 * numel(a!.shape) * matrixOf(a!.shape)[1],
});

/** Records an op of this file that has several outputs. */
export const outputsOf = (op: Op<object>, a: Tensor): Tensor[] => applyAll(op, [a], {});
