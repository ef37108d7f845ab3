// Elements at places of their own rows: read, replaced or combined with others.
import type * as tfjs from "@tensorflow/tfjs-core";
import { filled, type DType } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { numel, type Shape } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import {
  attr,
  scalar,
  vector,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
} from "../../lowering/lowering.ts";
import { gatherNode, INDEX, reshapeNode } from "../../lowering/nodes.ts";
import { apply } from "../../recording/apply.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type Meta, type Op, type Tfjs } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import { div, eq, logicalAnd, mul, where } from "../elementwise/elementwise.ts";
import { call, constant, filled as filledTensor, zeros } from "../expressions.ts";
import { prod } from "../reduction/reduction.ts";
import { asFloat, updated, within } from "./indexing.ts";
import { reshape } from "./movement.ts";

/** Per row (all dimensions but the last), the elements at the indices of the same row: shape of the index. */
export const gatherLast: Op<object> = defineOp({
  name: "gatherLast",
  gradName: "GatherBackward0",
  infer: ([x, index]) => ({ shape: index!.shape, dtype: x!.dtype }),
  gradient: ({ grad, inputs: [x, index] }) => [
    apply(scatterLast, [zeros(x!.shape), index!, grad], { mode: "add" }),
    null,
  ],
  batch: leading,
  onnx: (b, inputs) => b.node("GatherElements", inputs, { axis: attr.int(-1) }),
  tensorflow(b, refs, _, { inputs, outputs }) {
    const last = inputs[0]!.shape.length - 1;
    return gatherNode(b, refs, last, outputs[0]!.dtype, last);
  },
  tfjs(k, [x, index], _, { inputs, outputs }) {
    const positions = k.reshape<tfjs.Rank.R1>(flatPositions(k, index!, inputs[0]!.shape), [-1]);
    return k.reshape(k.gather(k.reshape(x!, [-1]), positions), [...outputs[0]!.shape]);
  },
});

/** How a scattered value changes the element at its place. */
export type ScatterMode = "add" | "update" | "max" | "min" | "mul";

/** As the binding's kernel counts them. */
const MODES: readonly ScatterMode[] = ["update", "add", "max", "min", "mul"];

const SCATTERS: Readonly<Record<Exclude<ScatterMode, "mul">, string>> = {
  add: "TensorScatterAdd",
  update: "TensorScatterUpdate",
  max: "TensorScatterMax",
  min: "TensorScatterMin",
};

/** Where the row and the column of a matrix [n, n] differ. */
const differing = (n: number): Tensor =>
  fromHost(
    filled(new Uint8Array(n * n), (i) => Number(i % (n + 1) !== 0)),
    [n, n],
    "bool",
  );

/**
 * The gradients of a product by places: for each element the product of the others. Where gradients are recorded, they are
 * differentiable at elements that are 0, too, by a matrix of n² elements for n in a row.
 */
function othersAt(
  [x, index, source]: readonly [Tensor, Tensor, Tensor],
  grad: Tensor,
  needs: readonly boolean[],
): (Tensor | null)[] {
  const multiplied = (into: Tensor, by: Tensor): Tensor =>
    apply(scatterLast, [into, index, by], { mode: "mul" });
  const own = needs[0] ? call(mul, grad, multiplied(filledTensor(1, x.shape), source)) : null;
  if (!needs[2]) return [own, null, null];
  if (scope.gradients) {
    const [lead, n] = [index.shape.slice(0, -1), index.shape.at(-1)!];
    const row = (t: Tensor): Tensor => apply(reshape, [t], { shape: [...lead, 1, n] });
    const column = apply(reshape, [index], { shape: [...index.shape, 1] });
    const others = call(logicalAnd, call(eq, row(index), column), differing(n));
    const factors = call(where, others, row(source), constant(1));
    const products = apply(prod, [factors], { dims: [index.ndim], keepdim: false });
    return [own, null, call(mul, products, call(gatherLast, call(mul, grad, x), index))];
  }
  const zero = call(eq, source, constant(0));
  const zeros = asFloat(zero);
  const factors = call(where, zero, constant(1), source);
  const all = call(gatherLast, call(mul, grad, multiplied(x, factors)), index);
  const counts = apply(scatterLast, [filledTensor(0, x.shape), index, zeros], { mode: "add" });
  const alone = call(eq, call(gatherLast, counts, index), zeros);
  return [own, null, call(where, alone, call(div, all, factors), constant(0))];
}

/**
 * Per row of the first input, replaces its elements at the index by the third input, by their sum or product, or by the
 * larger or smaller of both. Elements of a fourth input that equal an extreme share its gradient: PyTorch's `scatter_reduce`
 * counts the elements that it leaves out.
 */
export const scatterLast: Op<{ mode: ScatterMode }> = defineOp<{ mode: ScatterMode }>({
  name: "scatterLast",
  gradName: "ScatterBackward0",
  infer: ([x]) => x!,
  gradient({ grad, inputs: [x, index, source, before], outputs: [y], attributes: { mode }, needs }) {
    if (mode === "max" || mode === "min") {
      // Values that share an extreme share its gradient.
      const given = asFloat(call(eq, source!, call(gatherLast, y!, index!)));
      const others = asFloat(call(eq, before ?? x!, y!));
      const each = call(div, grad, apply(scatterLast, [others, index!, given], { mode: "add" }));
      const own = before === undefined ? others : asFloat(call(eq, x!, y!));
      const gradients = [call(mul, own, each), null, call(mul, given, call(gatherLast, each, index!))];
      return before === undefined ? gradients : [...gradients, null];
    }
    if (mode === "mul") return othersAt([x!, index!, source!], grad, needs);
    const none = zeros(source!.shape);
    const kept =
      mode === "add" || !needs[0] ? grad : apply(scatterLast, [grad, index!, none], { mode: "update" });
    return [needs[0] ? kept : null, null, needs[2] ? call(gatherLast, grad, index!) : null];
  },
  batch: leading,
  onnx(b, inputs, { mode }) {
    // Since opset 18 there.
    if (mode === "max" || mode === "min")
      throw new TensorError("unsupported", `scatterReduce's ${mode} can't be exported to ONNX`);
    const reduction = attr.string(mode === "update" ? "none" : mode);
    return b.node("ScatterElements", inputs, { axis: attr.int(-1), reduction });
  },
  tensorflow(b, [x, index, source], { mode }, { inputs }) {
    const [{ shape, dtype }, { shape: indexed }] = inputs as [Meta, Meta];
    const T = attr.type(dtype);
    const [count, length] = [numel(indexed.slice(0, -1)), indexed.at(-1)!];
    if (b.exact === true)
      return b.node("ScatterRows", [x!, index!, source!], { mode: attr.int(MODES.indexOf(mode)) });
    if (mode === "mul") return productNode(b, [x!, index!, source!], shape, dtype);
    // Row and column, each of which is checked: a place past the end of its row must not hit the next one.
    const rows = b.constant(
      filled(new Int32Array(count), (row) => row),
      [count, 1, 1],
      "int64",
    );
    const each = b.node("BroadcastTo", [rows, vector(b, [count, length, 1])], { T: INDEX, Tidx: INDEX });
    const columns = reshapeNode(b, index!, [count, length, 1], INDEX);
    const places = b.node("ConcatV2", [each, columns, scalar(b, 2, "int64")], {
      N: attr.int(2),
      T: INDEX,
      Tidx: INDEX,
    });
    const written = b.node(
      SCATTERS[mode],
      [
        reshapeNode(b, x!, [numel(shape.slice(0, -1)), shape.at(-1)!], T),
        places,
        reshapeNode(b, source!, [count, length], T),
      ],
      { T, Tindices: INDEX },
    );
    return reshapeNode(b, written, shape, T);
  },
  tfjs(k, [x, index, source], { mode }, { inputs }) {
    const { shape } = inputs[0]!;
    if (mode in ON_HOST) return onHost(k, x!, index!, source!, ON_HOST[mode as keyof typeof ON_HOST]);
    const positions = flatPositions(k, index!, shape);
    const [flat, values] = [k.reshape(x!, [-1]), k.reshape(source!, [-1])];
    const result =
      mode === "add"
        ? k.add(flat, k.scatterND(positions, values, [numel(shape)]))
        : updated(k, flat, positions, values);
    return k.reshape(result, [...shape]);
  },
});

/** TensorFlow multiplies by segments: here the places of the flattened tensor, each with its own element first. */
function productNode(b: TfBuilder, [x, index, source]: readonly TfRef[], shape: Shape, dtype: DType): TfRef {
  const count = numel(shape);
  const [first, end, step] = [0, count, 1].map((value) => scalar(b, value, "int64")) as [TfRef, TfRef, TfRef];
  const own = reshapeNode(b, b.node("Range", [first, end, step], { Tidx: INDEX }), shape, INDEX);
  // Refuses a place past the end of its row, which would be one of the next.
  const places = gatherNode(b, [own, index!], shape.length - 1, "int64", shape.length - 1);
  const joined = (parts: readonly TfRef[], type: TfAttribute): TfRef =>
    b.node("ConcatV2", [...parts.map((t) => reshapeNode(b, t, [-1], type)), scalar(b, 0, "int64")], {
      N: attr.int(2),
      T: type,
      Tidx: INDEX,
    });
  const T = attr.type(dtype);
  const products = b.node(
    "UnsortedSegmentProd",
    [joined([x!, source!], T), joined([own, places], INDEX), end],
    { T, Tindices: INDEX, Tnumsegments: INDEX },
  );
  return reshapeNode(b, products, shape, T);
}

/** What no backend of tfjs has a kernel for. */
const ON_HOST = {
  max: Math.max,
  min: Math.min,
  mul: (a: number, b: number): number => a * b,
} as const;

function onHost(
  k: Tfjs,
  x: tfjs.Tensor,
  index: tfjs.Tensor,
  source: tfjs.Tensor,
  combined: (a: number, b: number) => number,
): tfjs.Tensor {
  const [given, length] = [index.shape.at(-1)!, x.shape.at(-1)!];
  const [places, values] = [within(index, length).dataSync(), source.dataSync()];
  const result = x.dataSync().slice();
  places.forEach((place, i) => {
    const at = Math.floor(i / given) * length + place;
    result[at] = combined(result[at]!, values[i]!);
  });
  return k.tensor(result, [...x.shape], x.dtype);
}

/** Position in the flattened tensor of the first element of each row of an index over its last dimension. */
function rowStarts(shape: Shape, indexed: Shape): Int32Array {
  const length = shape[shape.length - 1]!;
  return filled(new Int32Array(numel(indexed.slice(0, -1))), (row) => row * length);
}

/** Converts an index over the last dimension to one into the flattened tensor, as a column. */
function flatPositions(k: Tfjs, index: tfjs.Tensor, shape: Shape): tfjs.Tensor2D {
  within(index, shape.at(-1)!);
  const starts = k.tensor(rowStarts(shape, index.shape), [...index.shape.slice(0, -1), 1], "int32");
  return k.reshape<tfjs.Rank.R2>(k.add(index, starts), [-1, 1]);
}
