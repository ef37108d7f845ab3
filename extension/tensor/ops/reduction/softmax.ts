// Softmax, its logarithm, the cross-entropy of logits, and their gradients: functions of rows, which are the last dimension.
import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import type { HostArray } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { castNode, equalNode, INDEX, reduceNode, reshapeNode, T } from "../../lowering/nodes.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { merging, rowwise as rowwiseBatch } from "../../recording/batchRules.ts";
import { defineOp, type Op, type Signature, type Tfjs } from "../../recording/op.ts";
import { rowwise } from "../../planning/parts.ts";
import { scope } from "../../recording/scope.ts";
import { cast, expand, reshape, sum } from "../movement/movement.ts";
import { add, exp, mul, ne, sub } from "../elementwise/elementwise.ts";
import type { PlainKernel } from "../../planning/plain.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";

/** softmax or its logarithm of one row after the other. */
const softmaxLoop =
  (logarithm: boolean) =>
  ({ inputs: [x] }: Signature): PlainKernel => {
    const width = x!.shape[x!.shape.length - 1] ?? 1;
    return ([from], [to]) => {
      const [logits, out] = [from!, to!];
      for (let row = 0; row < logits.length; row += width) {
        const { largest, sum } = exponentials(logits, row, width);
        const rest = Math.log(sum);
        for (let i = row; i < row + width; i++)
          out[i] = logarithm ? logits[i]! - largest - rest : Math.exp(logits[i]! - largest) / sum;
      }
    };
  };

/** The largest of a row of logits, and the sum of e to the power of their differences from it. */
function exponentials(x: HostArray, from: number, count: number): { largest: number; sum: number } {
  let [largest, sum] = [-Infinity, 0];
  for (let i = from; i < from + count; i++) largest = Math.max(largest, x[i]!);
  for (let i = from; i < from + count; i++) sum += Math.exp(x[i]! - largest);
  return { largest, sum };
}

/** exp(x) / Σ exp(x) over the last dimension. */
export const softmax: Op<object> = defineOp({
  name: "softmax",
  infer: ([x]) => x!,
  gradient({ grad, outputs: [y] }) {
    if (!scope.gradients) return [call(softmaxGrad, grad, y!)];
    const product = call(mul, grad, y!);
    const total = apply(sum, [product], { dims: [y!.ndim - 1], keepdim: true });
    return [call(sub, product, call(mul, y!, total))];
  },
  batch: rowwiseBatch,
  onnx: (b, inputs) => b.node("Softmax", inputs, { axis: attr.int(-1) }),
  tensorflow: (b, inputs) => b.node("Softmax", inputs, { T }),
  tfjs: (k, [x]) => k.softmax(x!),
  plain: softmaxLoop(false),
  calls: () => 4,
  parts: rowwise(1),
});

/** log(softmax(x)) over the last dimension, without overflow. */
export const logSoftmax: Op<object> = defineOp({
  name: "logSoftmax",
  infer: ([x]) => x!,
  gradient({ grad, outputs: [y] }) {
    if (!scope.gradients) return [call(logSoftmaxGrad, grad, y!)];
    const total = apply(sum, [grad], { dims: [y!.ndim - 1], keepdim: true });
    return [call(sub, grad, call(mul, call(exp, y!), total))];
  },
  batch: rowwiseBatch,
  onnx: (b, inputs) => b.node("LogSoftmax", inputs, { axis: attr.int(-1) }),
  tensorflow: (b, inputs) => b.node("LogSoftmax", inputs, { T }),
  tfjs: (k, [x]) => k.logSoftmax(x!),
  plain: softmaxLoop(true),
  calls: () => 6,
  parts: rowwise(1),
});

/** What gradients of rows have in common: inputs are the gradient of the result, and the result. */
function rowGradient(
  name: string,
  kernel: string,
  tensorflow: (b: TfBuilder, g: TfRef, y: TfRef, total: (x: TfRef) => TfRef) => TfRef,
  onTfjs: (k: Tfjs, g: tfjs.Tensor, y: tfjs.Tensor) => tfjs.Tensor,
  plain: (g: HostArray, y: HostArray, out: HostArray, row: number, end: number) => void,
): Op<object> {
  return defineOp<object>({
    name,
    infer: ([g]) => g!,
    gradient: { none: "gradients that are to be differentiated again are made of simpler ops" },
    batch: (c) => c.applyAll([c.whole(0), c.whole(1)]),
    onnx: TRAINING_ONLY,
    tensorflow(b, [g, y], _, { outputs: [output] }) {
      if (b.exact === true) return b.node(kernel, [g!, y!], {});
      return tensorflow(b, g!, y!, (x) => reduceNode(b, "Sum", x, [output!.shape.length - 1], true));
    },
    tfjs: (k, [g, y]) => onTfjs(k, g!, y!),
    plain: ({ outputs: [output] }) => {
      const width = output!.shape.at(-1) ?? 1;
      return ([g, y], [out]) => {
        for (let row = 0; row < out!.length; row += width) plain(g!, y!, out!, row, row + width);
      };
    },
    calls: () => 4,
    parts: rowwise(2),
  });
}

/** Gradient of {@link softmax}: (g − Σ g·y) · y. */
export const softmaxGrad = rowGradient(
  "softmaxGrad",
  "SoftmaxGrad",
  (b, g, y, total) => {
    const product = b.node("Mul", [g, y], { T });
    return b.node("Sub", [product, b.node("Mul", [y, total(product)], { T })], { T });
  },
  (k, g, y) => k.mul(k.sub(g, k.sum(k.mul(g, y), -1, true)), y),
  (g, y, out, row, end) => {
    let total = 0;
    for (let i = row; i < end; i++) total += g[i]! * y[i]!;
    for (let i = row; i < end; i++) out[i] = (g[i]! - total) * y[i]!;
  },
);

/** Gradient of {@link logSoftmax}: g − exp(y) · Σ g. */
export const logSoftmaxGrad = rowGradient(
  "logSoftmaxGrad",
  "LogSoftmaxGrad",
  (b, g, y, total) => b.node("Sub", [g, b.node("Mul", [b.node("Exp", [y], { T }), total(g)], { T })], { T }),
  (k, g, y) => k.sub(g, k.mul(k.exp(y), k.sum(g, -1, true))),
  (g, y, out, row, end) => {
    let total = 0;
    for (let i = row; i < end; i++) total += g[i]!;
    for (let i = row; i < end; i++) out[i] = g[i]! - Math.exp(y[i]!) * total;
  },
);

function checkTarget(
  target: number,
  { ignoreIndex }: { ignoreIndex: number },
  { inputs }: Pick<Signature, "inputs">,
): void {
  if (target === ignoreIndex || (target >= 0 && target < inputs[0]!.shape[1]!)) return;
  throw new TensorError("index", `Target ${target} is out of bounds.`);
}

/**
 * Negative log likelihood of class indices, row by row, straight from logits [N, C]; 0 for rows whose target is
 * `ignoreIndex`. The second output is the gradient of each row's loss.
 */
export const sparseCrossEntropy: Op<{ ignoreIndex: number }> = defineOp<{ ignoreIndex: number }>({
  name: "sparseCrossEntropy",
  infer: ([x, target]) => [
    { shape: target!.shape, dtype: "float32" },
    { shape: x!.shape, dtype: "float32" },
  ],
  gradient({ grads: [loss, second], inputs: [x, target], outputs: [, rows], attributes: { ignoreIndex } }) {
    const { shape } = x!;
    const column = (t: Tensor): Tensor =>
      apply(expand, [apply(reshape, [t], { shape: [shape[0]!, 1] })], { shape });
    const first = loss ? call(mul, rows!, column(loss)) : undefined;
    if (!second) return [first ?? null, null];
    // The rows are softmax minus the target: their gradient is the softmax's.
    const ignored = constant(ignoreIndex, "int64");
    const used = apply(cast, [call(ne, target!, ignored)], { dtype: "float32" });
    const given = call(mul, second, column(used));
    const share = call(exp, call(logSoftmax, x!));
    const along = call(mul, share, given);
    const total = apply(sum, [along], { dims: [1], keepdim: true });
    const next = call(sub, along, call(mul, share, total));
    return [first === undefined ? next : call(add, first, next), null];
  },
  batch: merging([0, 0], [0, 0]),
  onnx: TRAINING_ONLY,
  acrossProcesses(cuts, attributes) {
    const cut = cuts.find((c) => c !== undefined)!;
    if (cut.dim !== 0) return undefined;
    return {
      inputs: [cut, cut],
      write: (w, inputs) =>
        w.makeAll(sparseCrossEntropy, inputs, attributes).map((shard) => ({ shard, cut })),
    };
  },
  tensorflow(b, [x, target], { ignoreIndex }, { inputs }) {
    const n = inputs[1]!.shape[0]!;
    const used = equalNode(b, [target!, scalar(b, ignoreIndex, "int64")], "int64", "NotEqual");
    const safe = b.node("SelectV2", [used, target!, scalar(b, 0, "int64")], { T: INDEX });
    const [loss, rows] = b.nodes("SparseSoftmaxCrossEntropyWithLogits", [x!, safe], { T, Tlabels: INDEX }, 2);
    const mask = castNode(b, used, "bool", "float32");
    const column = reshapeNode(b, mask, [n, 1]);
    return [b.node("Mul", [loss!, mask], { T }), b.node("Mul", [rows!, column], { T })];
  },
  tfjs(k, [x, target], { ignoreIndex }, { inputs }) {
    const classes = inputs[0]!.shape[1]!;
    // oneHot has no word for wrong classes.
    for (const t of target!.dataSync()) checkTarget(t, { ignoreIndex }, { inputs });
    const used = k.notEqual(target!, k.scalar(ignoreIndex, "int32"));
    const mask = k.expandDims(k.cast(used, "float32"), 1);
    const hot = k.mul(k.oneHot(k.where(used, target!, k.zerosLike(target!)) as never, classes), mask);
    const logs = k.logSoftmax(x!);
    return [k.neg(k.sum(k.mul(logs, hot), 1)), k.sub(k.mul(k.exp(logs), mask), hot)];
  },
  calls: () => 16,
  plain(signature, attributes) {
    const classes = signature.inputs[0]!.shape[1]!;
    return ([x, target], [loss, rows]) => {
      const [logits, targets, gradient] = [x!, target!, rows!];
      for (let n = 0, row = 0; n < targets.length; n++, row += classes) {
        const label = targets[n]!;
        checkTarget(label, attributes, signature);
        if (label === attributes.ignoreIndex) {
          loss![n] = 0;
          gradient.fill(0, row, row + classes);
          continue;
        }
        const { largest, sum } = exponentials(logits, row, classes);
        loss![n] = largest + Math.log(sum) - logits[row + label]!;
        for (let i = row; i < row + classes; i++) gradient[i] = Math.exp(logits[i]! - largest) / sum;
        gradient[row + label]! -= 1;
      }
    };
  },
  parts(cuts) {
    const cut = cuts.find((c) => c !== undefined)!;
    return cut.dim === 0 ? { inputs: [cut, cut], outputs: [cut, cut] } : undefined;
  },
});
