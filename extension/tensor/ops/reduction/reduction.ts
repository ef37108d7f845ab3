import { apply } from "../../recording/apply.ts";
import { filled, type DType, type HostArray } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, scalar, vector, type TfRef } from "../../lowering/lowering.ts";
import { castNode, equalNode, INDEX, reduceNode, reshapeNode, T } from "../../lowering/nodes.ts";
import { reducedAlong } from "../../lowering/layouts.ts";
import { TRAINING_ONLY, type OnnxBuilder, type OnnxRef } from "../../lowering/onnx.ts";
import {
  along,
  merging,
  reducing as reducingBatch,
  rowwise as rowwiseBatch,
} from "../../recording/batchRules.ts";
import { defineOp, type Op, type Signature } from "../../recording/op.ts";
import { reducing, rowwise } from "../../planning/parts.ts";
import { scope } from "../../recording/scope.ts";
import { numel, range, reducedShape } from "../../core/shape.ts";
import { cast, expand, permute, reduced, reshape, sum } from "../movement/movement.ts";
import { add, div, eq, exp, logicalAnd, mul, ne, sub, where } from "../elementwise/elementwise.ts";
import { sums, type PlainKernel } from "../../planning/plain.ts";
import { hostSum, meanOver, sumOver } from "./sums.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";

interface Reduction {
  readonly dims: readonly number[];
  readonly keepdim: boolean;
}

const onnxReduce = (
  b: OnnxBuilder,
  op: string,
  x: OnnxRef,
  dims: readonly number[],
  keepdim: boolean,
): OnnxRef =>
  // ONNX takes no axes for all of them.
  dims.length === 0 && op !== "ReduceL2"
    ? b.node("Identity", [x])
    : b.node(op, [x], { axes: attr.ints(dims), keepdims: attr.int(Number(keepdim)) });

/** Largest or smallest element over `dims`; where several are equal each gets an equal share of the gradient. */
function extreme(name: "amax" | "amin", tensorflow: "Max" | "Min"): Op<Reduction> {
  return defineOp<Reduction>({
    name,
    layout: { along: reducedAlong },
    infer([x], { dims, keepdim }) {
      const empty = dims.find((d) => x!.shape[d] === 0);
      if (empty !== undefined) {
        throw new TensorError("index", `${name}(): Expected reduction dim ${empty} to have non-zero size.`);
      }
      return { shape: reducedShape(x!.shape, dims, keepdim), dtype: x!.dtype };
    },
    gradient({ grad, inputs: [x], outputs: [y], attributes: { dims } }) {
      const shape = reducedShape(x!.shape, dims, true);
      const kept = apply(reshape, [y!], { shape });
      const hit = apply(cast, [call(eq, x!, kept)], { dtype: "float32" });
      const count = apply(sum, [hit], { dims, keepdim: true });
      const share = call(div, apply(reshape, [grad], { shape }), count);
      return [call(mul, hit, share)];
    },
    batch: reducingBatch,
    onnx: (b, [x], { dims, keepdim }) => onnxReduce(b, `Reduce${tensorflow}`, x!, dims, keepdim),
    tensorflow: (b, [x], { dims, keepdim }, { outputs }) =>
      reduceNode(b, tensorflow, x!, dims, keepdim, attr.type(outputs[0]!.dtype)),
    tfjs: (k, [x], { dims, keepdim }) =>
      tensorflow === "Max" ? k.max(x!, [...dims], keepdim) : k.min(x!, [...dims], keepdim),
  });
}

/** Mean over `dims`. */
export const mean: Op<Reduction> = defineOp<Reduction>({
  name: "mean",
  layout: { along: reducedAlong },
  xla: true,
  infer: ([x], { dims, keepdim }) => ({ shape: reducedShape(x!.shape, dims, keepdim), dtype: "float32" }),
  gradient({ grad, inputs: [x], attributes: { dims } }) {
    const { shape } = x!;
    const count = constant(numel(dims.map((d) => shape[d]!)));
    const kept = apply(reshape, [call(div, grad, count)], { shape: reducedShape(shape, dims, true) });
    return [apply(expand, [kept], { shape })];
  },
  batch: reducingBatch,
  onnx: (b, [x], { dims, keepdim }) => onnxReduce(b, "ReduceMean", x!, dims, keepdim),
  tensorflow: (b, [x], { dims, keepdim }, { inputs: [input] }) =>
    meanOver(b, x!, input!.shape, dims, keepdim),
  tfjs: (k, [x], { dims }, { inputs: [input], outputs: [y] }) =>
    hostSum(k, x!, dims, y!, 1 / numel(dims.map((d) => input!.shape[d]!))),
  plain: (signature, { dims }) => sums(signature, dims, (count) => 1 / count),
  parts: reducing("mean"),
});

/** Euclidean length over `dims`. Its gradient at 0 is 0, as PyTorch has it. */
export const norm: Op<Reduction> = defineOp<Reduction>({
  name: "norm",
  gradName: "LinalgVectorNormBackward0",
  infer: ([x], { dims, keepdim }) => ({ shape: reducedShape(x!.shape, dims, keepdim), dtype: "float32" }),
  gradient({ grad, inputs: [x], outputs: [y], attributes: { dims } }) {
    const shape = reducedShape(x!.shape, dims, true);
    const length = apply(reshape, [y!], { shape });
    const zero = constant(0);
    const unit = call(where, call(eq, length, zero), zero, call(div, x!, length));
    return [call(mul, unit, apply(reshape, [grad], { shape }))];
  },
  batch: reducingBatch,
  onnx: (b, [x], { dims, keepdim }) => onnxReduce(b, "ReduceL2", x!, dims, keepdim),
  tensorflow: (b, [x], { dims, keepdim }, { inputs: [input] }) =>
    b.node("Sqrt", [sumOver(b, b.node("Square", [x!], { T }), input!.shape, dims, keepdim)], { T }),
  tfjs: (k, [x], { dims }, { outputs }) => k.sqrt(hostSum(k, k.square(x!), dims, outputs[0]!)),
});

/** Whether any or every element over `dims` is true. */
function quantifier(name: "any" | "all", tensorflow: "Any" | "All"): Op<Reduction> {
  return defineOp<Reduction>({
    name,
    infer: ([x], { dims, keepdim }) => ({ shape: reducedShape(x!.shape, dims, keepdim), dtype: "bool" }),
    gradient: { none: "a truth value is not differentiable" },
    batch: reducingBatch,
    onnx(b, [x], { dims, keepdim }) {
      const numbers = b.node("Cast", [x!], { to: attr.type("float32") });
      const found = onnxReduce(b, name === "any" ? "ReduceMax" : "ReduceMin", numbers, dims, keepdim);
      return b.node("Cast", [found], { to: attr.type("bool") });
    },
    tensorflow: (b, [x], { dims, keepdim }) =>
      b.node(tensorflow, [x!, vector(b, dims)], {
        Tidx: INDEX,
        keep_dims: attr.bool(keepdim),
      }),
    tfjs: (k, [x], { dims, keepdim }, { outputs }) =>
      reduced(k, x!, outputs[0]!, name === "all" ? 1 : 0, () =>
        name === "any" ? k.any(x!, [...dims], keepdim) : k.all(x!, [...dims], keepdim),
      ),
  });
}

export const any = quantifier("any", "Any");
export const all = quantifier("all", "All");

export const amax = extreme("amax", "Max");
export const amin = extreme("amin", "Min");

/** Index of the first largest or smallest element along a dimension, or of the first NaN, as PyTorch has it. */
function argument(name: "argmax" | "argmin", tensorflow: "ArgMax" | "ArgMin"): Op<{ dim: number }> {
  return defineOp<{ dim: number }>({
    name,
    infer: ([x], { dim }) => ({ shape: reducedShape(x!.shape, [dim], false), dtype: "int64" }),
    gradient: { none: "an index is not differentiable" },
    batch: along,
    onnx: (b, [x], { dim }) => b.node(tensorflow, [x!], { axis: attr.int(dim), keepdims: attr.int(0) }),
    tensorflow(b, [x], { dim }, { inputs }) {
      const { dtype } = inputs[0]!;
      const find = (kernel: string, from: TfRef, type: DType): TfRef =>
        b.node(kernel, [from, scalar(b, dim, "int64")], {
          T: attr.type(type),
          Tidx: INDEX,
          output_type: INDEX,
        });
      const found = find(tensorflow, x!, dtype);
      // TensorFlow's kernels pass NaN over; ours of small plans find it.
      if (dtype !== "float32" || b.exact === true || b.portable === true) return found;
      const nan = b.node("IsNan", [x!], { T });
      const first = find("ArgMax", castNode(b, nan, "bool", "float32"), "float32");
      const some = b.node("Any", [nan, vector(b, [dim])], { Tidx: INDEX, keep_dims: attr.bool(false) });
      return b.node("SelectV2", [some, first, found], { T: INDEX });
    },
    tfjs(k, [x], { dim }) {
      const found = tensorflow === "ArgMax" ? k.argMax(x!, dim) : k.argMin(x!, dim);
      if (x!.dtype !== "float32") return found;
      const nan = k.isNaN(x!);
      return k.where(k.any(nan, dim), k.argMax(k.cast(nan, "float32"), dim), found);
    },
  });
}

export const argmax = argument("argmax", "ArgMax");
export const argmin = argument("argmin", "ArgMin");

/**
 * The gradient of a product, differentiable where elements are 0, too: for each element the product of the others, from
 * a matrix of n² elements for n that are multiplied.
 */
function othersOf(x: Tensor, grad: Tensor, dims: readonly number[]): Tensor {
  const kept = range(x.ndim).filter((d) => !dims.includes(d));
  const order = [...kept, ...dims];
  const lead = kept.map((d) => x.shape[d]!);
  const n = numel(dims.map((d) => x.shape[d]!));
  const moved = apply(permute, [x], { order });
  const row = apply(reshape, [moved], { shape: [...lead, 1, n] });
  const own = fromHost(
    filled(new Uint8Array(n * n), (i) => Number(i % (n + 1) === 0)),
    [n, n],
    "bool",
  );
  const others = call(where, own, constant(1), row);
  const products = apply(prod, [others], { dims: [lead.length + 1], keepdim: false });
  const slope = call(mul, products, apply(reshape, [grad], { shape: [...lead, 1] }));
  const back = order.map((_, d) => order.indexOf(d));
  return apply(permute, [apply(reshape, [slope], { shape: moved.shape })], { order: back });
}

/** Product over `dims`. */
export const prod: Op<Reduction> = defineOp<Reduction>({
  name: "prod",
  infer: ([x], { dims, keepdim }) => ({ shape: reducedShape(x!.shape, dims, keepdim), dtype: x!.dtype }),
  gradient({ grad, inputs: [x], attributes: { dims } }) {
    if (scope.gradients) return [othersOf(x!, grad, dims)];
    // Each element's gradient is the product of the others: of all that are not 0, unless another one is.
    const zero = call(eq, x!, constant(0));
    const filled = call(where, zero, constant(1), x!);
    const rest = apply(prod, [filled], { dims, keepdim: true });
    const zeros = apply(sum, [apply(cast, [zero], { dtype: "float32" })], { dims, keepdim: true });
    const none = call(eq, zeros, constant(0));
    const only = call(logicalAnd, zero, call(eq, zeros, constant(1)));
    const others = call(where, only, rest, constant(0));
    const slope = call(where, none, call(div, rest, filled), others);
    return [call(mul, slope, apply(reshape, [grad], { shape: zeros.shape }))];
  },
  batch: reducingBatch,
  onnx: (b, [x], { dims, keepdim }) => onnxReduce(b, "ReduceProd", x!, dims, keepdim),
  tensorflow: (b, [x], { dims, keepdim }, { outputs }) =>
    reduceNode(b, "Prod", x!, dims, keepdim, attr.type(outputs[0]!.dtype)),
  tfjs: (k, [x], { dims, keepdim }, { outputs }) =>
    reduced(k, x!, outputs[0]!, 1, () => k.prod(x!, [...dims], keepdim)),
});

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
  xla: true,
  infer: ([x]) => x!,
  gradient({ grad, outputs: [y] }) {
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
  xla: true,
  infer: ([x]) => x!,
  gradient({ grad, outputs: [y] }) {
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
  xla: true,
  refuses: { input: 1, check: checkTarget },
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
