// Equations with triangular matrices: the last two dimensions, all others being a batch.
import { apply } from "../../recording/apply.ts";
import { attr } from "../../lowering/lowering.ts";
import { T } from "../../lowering/nodes.ts";
import { columnwise } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { numel } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";
import { neg, where } from "../elementwise/elementwise.ts";
import { flipped, matrixOf, NO_ONNX, perMatrix, product } from "./matrices.ts";
import { substitute } from "./matrixValues.ts";

/** Where a matrix [n, n] has its lower or upper triangle. */
function triangleOf(n: number, lower: boolean): Tensor {
  const mask = new Uint8Array(n * n);
  for (let r = 0; r < n; r++) mask.fill(1, r * n + (lower ? 0 : r), r * n + (lower ? r + 1 : n));
  return fromHost(mask, [n, n], "bool");
}

/**
 * X of AX = B for a triangular A, whose other half is not read. A zero on its diagonal gives infinities and NaN, as in PyTorch.
 */
export const triangularSolve: Op<{ lower: boolean }> = defineOp<{ lower: boolean }>({
  name: "triangularSolve",
  gradName: "LinalgSolveTriangularBackward0",
  infer: ([, b]) => b!,
  gradient({ grad, inputs: [a], outputs: [x], attributes: { lower }, needs }) {
    const right = apply(triangularSolve, [flipped(a!), grad], { lower: !lower });
    if (!needs[0]) return [null, right];
    const whole = call(neg, product(right, x!, false, true));
    return [call(where, triangleOf(a!.shape[a!.ndim - 1]!, lower), whole, constant(0)), right];
  },
  batch: columnwise,
  onnx: NO_ONNX,
  tensorflow: (b, inputs, { lower }) =>
    b.node("MatrixTriangularSolve", inputs, { T, lower: attr.bool(lower), adjoint: attr.bool(false) }),
  tfjs(k, inputs, { lower }, signature) {
    const [n, m] = matrixOf(signature.outputs[0]!.shape);
    return perMatrix(k, inputs, signature, ([a, b]) => [substitute(a!, b!, n, m, lower)]);
  },
  cost: ({ inputs: [a, b] }) => (numel(b!.shape) * matrixOf(a!.shape)[0]) / 2,
});
