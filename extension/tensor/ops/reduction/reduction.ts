import { apply } from "../../recording/apply.ts";
import { filled, type DType } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, scalar, vector, type TfRef } from "../../lowering/lowering.ts";
import { castNode, INDEX, reduceNode, T } from "../../lowering/nodes.ts";
import { reducedAlong } from "../../lowering/layouts.ts";
import type { OnnxBuilder, OnnxRef } from "../../lowering/onnx.ts";
import { along, reducing as reducingBatch } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { reducing } from "../../planning/parts.ts";
import { scope } from "../../recording/scope.ts";
import { numel, range, reducedShape } from "../../core/shape.ts";
import { cast, expand, permute, reduced, reshape, sum } from "../movement/movement.ts";
import { div, eq, logicalAnd, mul, where } from "../elementwise/elementwise.ts";
import { sums } from "../../planning/plain.ts";
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
