// Triangular factors of matrices: the last two dimensions, all others being a batch.
import { TensorError } from "../../core/errors.ts";
import { numel } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { attr } from "../../lowering/lowering.ts";
import { T } from "../../lowering/nodes.ts";
import { apply } from "../../recording/apply.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { add, mul, neg, sub } from "../elementwise/elementwise.ts";
import { call, constant } from "../expressions.ts";
import {
  batchOf,
  flipped,
  matrixOf,
  NO_ONNX,
  pattern,
  perMatrix,
  product,
  refused,
  refusing,
} from "./matrices.ts";
import * as values from "./matrixValues.ts";
import { triangularSolve } from "./triangular.ts";

/** X of UX = B for an upper triangular U. */
const solved = (u: Tensor, b: Tensor): Tensor => apply(triangularSolve, [u, b], { lower: false });

/** L of A = LLᵀ for positive definite A. */
export const cholesky: Op<object> = defineOp({
  name: "cholesky",
  gradName: "LinalgCholeskyExBackward0",
  infer: ([a]) => a!,
  gradient({ grad, outputs: [l] }) {
    const half = pattern(matrixOf(l!.shape)[0], (r, c) => (r === c ? 0.5 : Number(r > c)));
    const inner = call(mul, product(l!, grad, true), half);
    // L⁻ᵀ inner L⁻¹
    const upper = flipped(l!);
    const g = solved(upper, flipped(solved(upper, inner)));
    return [call(mul, call(add, g, flipped(g)), constant(0.5))];
  },
  batch: leading,
  onnx: NO_ONNX,
  // TensorFlow's kernel returns NaN for a matrix without a factor.
  tensorflow: (b, inputs) =>
    b.node("CheckNumerics", [b.node("Cholesky", inputs, { T })], { T, message: attr.string("cholesky") }),
  refusal: refusing(
    "linalg.cholesky",
    (a, n) => values.cholesky(a, n).failed,
    (order) =>
      `The factorization could not be completed because the input is not positive-definite${
        order === undefined ? "" : ` (the leading minor of order ${order} is not positive-definite)`
      }.`,
  ),
  tfjs(k, inputs, _, signature) {
    const n = matrixOf(signature.outputs[0]!.shape)[0];
    refused(cholesky.refusal, inputs, signature);
    return perMatrix(k, inputs, signature, ([a]) => [values.cholesky(a!, n).l]);
  },
  cost: ({ inputs: [a] }) => numel(a!.shape) * matrixOf(a!.shape)[0],
});

/** Q with orthonormal columns and upper triangular R, A = QR; k = min(m, n) columns. */
export const qr: Op<object> = defineOp({
  name: "qr",
  gradName: "LinalgQrBackward0",
  infer([a]) {
    const [m, n] = matrixOf(a!.shape);
    const k = Math.min(m, n);
    return [
      { shape: [...batchOf(a!.shape), m, k], dtype: "float32" },
      { shape: [...batchOf(a!.shape), k, n], dtype: "float32" },
    ];
  },
  gradient({ grads: [gq, gr], outputs: [q, r] }) {
    const [k, n] = matrixOf(r!.shape);
    if (k < n) {
      throw new TensorError(
        "autograd",
        "The QR decomposition is not differentiable when mode='complete' and nrows > ncols, or for matrices wider than high",
      );
    }
    const upper = gr ? product(r!, gr, false, true) : undefined;
    const lower = gq ? product(gq, q!, true) : undefined;
    const m = upper && lower ? call(sub, upper, lower) : (upper ?? call(neg, lower!));
    const low = call(
      mul,
      m,
      pattern(k, (row, c) => Number(row >= c)),
    );
    const symmetric = call(
      add,
      low,
      flipped(
        call(
          mul,
          m,
          pattern(k, (row, c) => Number(row > c)),
        ),
      ),
    );
    const inner = product(q!, symmetric);
    return [flipped(solved(r!, flipped(gq ? call(add, gq, inner) : inner)))];
  },
  batch: leading,
  onnx: NO_ONNX,
  tensorflow: (b, inputs) => b.nodes("Qr", inputs, { T, full_matrices: attr.bool(false) }, 2),
  tfjs(k, inputs, _, signature) {
    const [m, n] = matrixOf(inputs[0]!.shape);
    return perMatrix(k, inputs, signature, ([a]) => values.qr(a!, m, n));
  },
  cost: ({ inputs: [a] }) => 2 * numel(a!.shape) * matrixOf(a!.shape)[1],
});
