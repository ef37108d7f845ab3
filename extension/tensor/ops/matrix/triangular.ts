// Equations with triangular matrices: the last two dimensions, all others being a batch.
import { apply } from "../../recording/apply.ts";
import { attr } from "../../lowering/lowering.ts";
import { T } from "../../lowering/nodes.ts";
import { columnwise } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { numel } from "../../core/shape.ts";
import { call } from "../expressions.ts";
import { neg } from "../elementwise/elementwise.ts";
import { flipped, matrixOf, NO_ONNX, perMatrix, product } from "./matrices.ts";
import { substitute } from "./matrixValues.ts";

/** X of AX = B for a triangular A. A zero on its diagonal gives infinities and NaN, as in PyTorch. */
export const triangularSolve: Op<{ lower: boolean }> = defineOp<{ lower: boolean }>({
  name: "triangularSolve",
  gradName: "LinalgSolveTriangularBackward0",
  infer: ([, b]) => b!,
  gradient({ grad, inputs: [a], outputs: [x], attributes: { lower }, needs }) {
    const right = apply(triangularSolve, [flipped(a!), grad], { lower: !lower });
    return [needs[0] ? call(neg, product(right, x!, false, true)) : null, right];
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
