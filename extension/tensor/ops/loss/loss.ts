import type * as tfjs from "@tensorflow/tfjs-core";
import { binaryLoop } from "../../planning/plain.ts";
import { attr, scalar, type TfRef } from "../../lowering/lowering.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";
import { mapped } from "../elementwise/declare.ts";
import { div, log, log1p, maximum, mul, neg, sub } from "../elementwise/elementwise.ts";

const T = { T: attr.type("float32") };
/** Logarithms are no lower than this: PyTorch's way to keep the loss finite. */
const LOWEST_LOG = -100;
/** Smallest p (1 − p) of the gradient. */
const EPSILON = 1e-12;

/** −(y ln p + (1 − y) ln(1 − p)) of probabilities p and targets y of one shape, logarithms clamped at −100. */
export const binaryCrossEntropy: Op<object> = defineOp({
  name: "binaryCrossEntropy",
  layout: "elementwise",
  infer: ([p]) => p!,
  gradient({ grad, inputs: [p, y], needs }) {
    const variance = (): Tensor =>
      call(maximum, call(mul, call(sub, constant(1), p!), p!), constant(EPSILON));
    // Not clamped: infinite where p is 0 or 1, as in PyTorch.
    const logits = (): Tensor => call(sub, call(log1p, call(neg, p!)), call(log, p!));
    return [
      needs[0] ? call(div, call(mul, grad, call(sub, p!, y!)), variance()) : null,
      needs[1] ? call(mul, grad, logits()) : null,
    ];
  },
  batch: leading,
  onnx: TRAINING_ONLY,
  tensorflow(b, [p, y]) {
    const two = (op: string, u: TfRef, v: TfRef): TfRef => b.node(op, [u, v], T);
    const clamped = (x: TfRef): TfRef => two("Maximum", x, scalar(b, LOWEST_LOG, "float32"));
    const of0 = two("Sub", y!, scalar(b, 1, "float32"));
    const log0 = clamped(b.node("Log1p", [b.node("Neg", [p!], T)], T));
    return two("Sub", two("Mul", of0, log0), two("Mul", y!, clamped(b.node("Log", [p!], T))));
  },
  tfjs(k, [p, y]) {
    const clamped = (x: tfjs.Tensor): tfjs.Tensor => k.maximum(x, LOWEST_LOG);
    const of0 = k.mul(k.sub(y!, 1), clamped(mapped(k, k.neg(p!), Math.log1p)));
    return k.sub(of0, k.mul(y!, clamped(k.log(p!))));
  },
  plain: binaryLoop(
    (p, y) => (y - 1) * Math.max(Math.log1p(-p), LOWEST_LOG) - y * Math.max(Math.log(p), LOWEST_LOG),
  ),
  calls: () => 9,
});
