import { filled } from "../../core/dtype.ts";
import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, scalar, vector } from "../../lowering/lowering.ts";
import { gatherNode, INDEX, reshapeNode, transposeNode } from "../../lowering/nodes.ts";
import { alongDim } from "../../lowering/layouts.ts";
import { ints, number, type OnnxRef } from "../../lowering/onnx.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type BatchContext, type Meta, type Op, type Tfjs } from "../../recording/op.ts";
import { cast, reshape } from "./movement.ts";
import { numel, range, type Shape } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { add, div, eq, ge, logicalAnd, lt, mul, where } from "../elementwise/elementwise.ts";
import { call, constant, zeros } from "../expressions.ts";

/** Truths as 0 and 1. */
export const asFloat = (x: Tensor): Tensor => apply(cast, [x], { dtype: "float32" });

/**
 * Converts places in the rows of one sample, which has `length` rows, to places in those of all samples: [size, n] to
 * [size · n]. Places out of range stay out of range.
 */
export function amongAll({ size }: { readonly size: number }, index: Tensor, length: number): Tensor {
  const first = fromHost(
    filled(new Int32Array(size), (b) => b * length),
    [size, ...index.shape.slice(1).map(() => 1)],
    "int64",
  );
  const inside = call(
    logicalAnd,
    call(ge, index, constant(0, "int64")),
    call(lt, index, constant(length, "int64")),
  );
  const places = call(where, inside, call(add, index, first), call(mul, index, constant(size, "int64")));
  return apply(reshape, [places], { shape: [numel(index.shape)] });
}

/** Rows of dimension `dim` by an index that all samples share. */
function bySharedIndex<A extends { readonly dim: number }>(c: BatchContext<A>): Tensor {
  return c.apply(c.inputs, { ...c.attributes, dim: c.attributes.dim + 1 });
}

/** Rows of dimension `dim` in the order of an index vector: x.shape with `dim` replaced by the index's length. */
export const indexSelect: Op<{ dim: number }> = defineOp<{ dim: number }>({
  name: "indexSelect",
  layout: { along: alongDim },
  infer: ([x, index], { dim }) => ({
    shape: x!.shape.map((n, d) => (d === dim ? index!.shape[0]! : n)),
    dtype: x!.dtype,
  }),
  gradient: ({ grad, inputs: [x, index], attributes: { dim } }) => [
    apply(indexAdd, [grad, index!], { dim, length: x!.shape[dim]! }),
    null,
  ],
  batch(c) {
    const [x, index] = c.inputs as [Tensor, Tensor];
    const { dim } = c.attributes;
    if (!c.batched[1]) return bySharedIndex(c);
    const [{ shape }] = c.signature.inputs as [Meta];
    if (!c.batched[0]) return c.split(c.apply([x, c.merged(index, 0)]), dim);
    const places = amongAll(c, index, shape[dim]!);
    return c.split(c.apply([c.merged(x, dim), places]), dim);
  },
  onnx: (b, inputs, { dim }) => b.node("Gather", inputs, { axis: attr.int(dim) }),
  tensorflow: (b, inputs, { dim }, { outputs }) => gatherNode(b, inputs, dim, outputs[0]!.dtype),
  tfjs: (k, [x, index], { dim }) => k.gather(x!, index as tfjs.Tensor1D, dim),
});

/** Zeros with `length` rows in dimension `dim`, to which each row of the input is added at its index. */
export const indexAdd: Op<{ dim: number; length: number }> = defineOp<{ dim: number; length: number }>({
  name: "indexAdd",
  layout: { along: alongDim },
  infer: ([x], { dim, length }) => ({
    shape: x!.shape.map((n, d) => (d === dim ? length : n)),
    dtype: x!.dtype,
  }),
  gradient: ({ grad, inputs: [, index], attributes: { dim } }) => [
    apply(indexSelect, [grad, index!], { dim }),
    null,
  ],
  batch(c) {
    const { dim, length } = c.attributes;
    if (!c.batched[1]) return bySharedIndex(c);
    const places = amongAll(c, c.inputs[1]!, length);
    return c.split(c.apply([c.merged(c.whole(0), dim), places], { dim, length: c.size * length }), dim);
  },
  // Each process adds up its own rows.
  acrossProcesses([rows, index], attributes) {
    const { dim } = attributes;
    if (rows !== undefined && rows.dim !== dim) return undefined;
    const { outer } = (rows ?? index)!;
    return {
      inputs: [
        { dim, outer },
        { dim: 0, outer },
      ],
      write: (w, inputs) => [{ partial: w.make(indexAdd, inputs, attributes) }],
    };
  },
  onnx(b, [x, index], { dim }, { inputs, outputs }) {
    const turned = (t: OnnxRef): OnnxRef =>
      dim === 0 ? t : b.node("Transpose", [t], { perm: attr.ints(swapped(inputs[0]!.shape.length, dim)) });
    const [{ shape, dtype }] = outputs as [Meta];
    const rows = swapped(shape.length, dim).map((d) => shape[d]!);
    const zeros = b.node("Expand", [number(b, 0, dtype), b.sizes(rows)]);
    const places = b.node("Unsqueeze", [index!, ints(b, [-1])]);
    return turned(b.node("ScatterND", [zeros, places, turned(x!)], { reduction: attr.string("add") }));
  },
  tensorflow(b, [x, index], { dim, length }, { inputs }) {
    if (b.exact === true)
      return b.node("IndexAdd", [x!, index!], { dim: attr.int(dim), length: attr.int(length) });
    const rank = inputs[0]!.shape.length;
    const order = swapped(rank, dim);
    const T = attr.type(inputs[0]!.dtype);
    const front = dim === 0 ? x! : transposeNode(b, x!, order, T);
    // The kernel skips negative places: without their sign they are out of range.
    const places = b.node("BitwiseAnd", [index!, scalar(b, 0x7fffffff, "int64")], { T: INDEX });
    const sums = b.node("UnsortedSegmentSum", [front, places, scalar(b, length, "int64")], {
      T,
      Tindices: INDEX,
      Tnumsegments: INDEX,
    });
    return dim === 0 ? sums : transposeNode(b, sums, order, T);
  },
  tfjs(k, [x, index], { dim, length }, { inputs }) {
    // Scattering sums the values at one place: the segment sum that neither wasm nor cpu has.
    const order = swapped(inputs[0]!.shape.length, dim);
    const rows = k.transpose(x!, order);
    const places = k.reshape(within(index!, length), [-1, 1]);
    const sums = k.scatterND(places, rows, [length, ...rows.shape.slice(1)] as never);
    return k.transpose(sums, order);
  },
  parts(cuts, _, { dim }) {
    const [rows, index] = cuts;
    if (rows !== undefined && rows.dim !== dim)
      return index === undefined ? { inputs: cuts, outputs: [rows] } : undefined;
    const { outer } = (rows ?? index)!;
    return {
      inputs: [
        { dim, outer },
        { dim: 0, outer },
      ],
      outputs: ["sum"],
    };
  },
});

/** Exchanges dimensions 0 and `dim`: its own inverse. */
function swapped(rank: number, dim: number): number[] {
  return range(rank).map((d) => (d === 0 ? dim : d === dim ? 0 : d));
}

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
export type ScatterMode = "add" | "update" | "max" | "min";

/** As the binding's kernel counts them. */
const MODES: readonly ScatterMode[] = ["update", "add", "max", "min"];

const SCATTERS: Readonly<Record<ScatterMode, string>> = {
  add: "TensorScatterAdd",
  update: "TensorScatterUpdate",
  max: "TensorScatterMax",
  min: "TensorScatterMin",
};

/**
 * Per row of the first input, replaces its elements at the index by the third input, by their sum, or by the larger or
 * smaller of both. Elements of a fourth input that equal an extreme share its gradient: PyTorch's `scatter_reduce`
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
    const reduction = attr.string(mode === "add" ? "add" : "none");
    return b.node("ScatterElements", inputs, { axis: attr.int(-1), reduction });
  },
  tensorflow(b, [x, index, source], { mode }, { inputs }) {
    const [{ shape, dtype }, { shape: indexed }] = inputs as [Meta, Meta];
    const T = attr.type(dtype);
    const [count, length] = [numel(indexed.slice(0, -1)), indexed.at(-1)!];
    if (b.exact === true)
      return b.node("ScatterRows", [x!, index!, source!], { mode: attr.int(MODES.indexOf(mode)) });
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
    if (mode === "max" || mode === "min") return extremes(k, x!, index!, source!, mode);
    const positions = flatPositions(k, index!, shape);
    const [flat, values] = [k.reshape(x!, [-1]), k.reshape(source!, [-1])];
    const result =
      mode === "add"
        ? k.add(flat, k.scatterND(positions, values, [numel(shape)]))
        : updated(k, flat, positions, values);
    return k.reshape(result, [...shape]);
  },
});

/** Scatters extremes on the host: no backend has a kernel for it. */
function extremes(
  k: Tfjs,
  x: tfjs.Tensor,
  index: tfjs.Tensor,
  source: tfjs.Tensor,
  mode: "max" | "min",
): tfjs.Tensor {
  const [places, values, result] = [
    within(index, x.shape.at(-1)!).dataSync(),
    source.dataSync(),
    x.dataSync().slice(),
  ];
  const extreme = Math[mode];
  const [given, length] = [index.shape.at(-1)!, x.shape.at(-1)!];
  places.forEach((place, i) => {
    const at = Math.floor(i / given) * length + place;
    result[at] = extreme(result[at]!, values[i]!);
  });
  return k.tensor(result, [...x.shape], x.dtype);
}

/** Position in the flattened tensor of the first element of each row of an index over its last dimension. */
function rowStarts(shape: Shape, indexed: Shape): Int32Array {
  const length = shape[shape.length - 1]!;
  return filled(new Int32Array(numel(indexed.slice(0, -1))), (row) => row * length);
}

/**
 * Checks an index: kernels in wasm write anywhere, others skip places out of range.
 * @throws Error in the words of kernels that check (executors/errors.ts)
 */
function within(index: tfjs.Tensor, length: number): tfjs.Tensor {
  const wrong = index.dataSync().find((place) => place < 0 || place >= length);
  if (wrong === undefined) return index;
  throw new Error(`the index value ${wrong} is not in [0, ${length - 1}]`);
}

/** Converts an index over the last dimension to one into the flattened tensor, as a column. */
function flatPositions(k: Tfjs, index: tfjs.Tensor, shape: Shape): tfjs.Tensor2D {
  within(index, shape.at(-1)!);
  const starts = k.tensor(rowStarts(shape, index.shape), [...index.shape.slice(0, -1), 1], "int32");
  return k.reshape<tfjs.Rank.R2>(k.add(index, starts), [-1, 1]);
}

/** The first input with its rows at the index (a vector) replaced by those of the third. */
export const rowsUpdate: Op<object> = defineOp({
  name: "rowsUpdate",
  gradName: "IndexPutBackward0",
  infer: ([x]) => x!,
  gradient({ grad, inputs: [, index, source], needs }) {
    return [
      needs[0] ? call(rowsUpdate, grad, index!, zeros(source!.shape)) : null,
      null,
      needs[2] ? apply(indexSelect, [grad, index!], { dim: 0 }) : null,
    ];
  },
  batch(c) {
    if (!c.batched[1])
      return c.front(c.apply([c.behind(c.whole(0), 1), c.inputs[1]!, c.behind(c.whole(2), 1)]), 1);
    const places = amongAll(c, c.inputs[1]!, c.signature.inputs[0]!.shape[0]!);
    return c.split(c.apply([c.merged(c.whole(0), 0), places, c.merged(c.whole(2), 0)]), 0);
  },
  onnx: (b, [x, index, source]) =>
    b.node("ScatterND", [x!, b.node("Unsqueeze", [index!, ints(b, [-1])]), source!]),
  tensorflow(b, [x, index, source], _, { inputs }) {
    const column = reshapeNode(b, index!, [-1, 1], INDEX);
    return b.node("TensorScatterUpdate", [x!, column, source!], {
      T: attr.type(inputs[0]!.dtype),
      Tindices: INDEX,
    });
  },
  tfjs: (k, [x, index, source]) => updated(k, x!, k.reshape(within(index!, x!.shape[0]), [-1, 1]), source!),
});

/** A copy with values at positions. The cpu kernel writes into its input, and wasm's takes numbers only. */
function updated(k: Tfjs, x: tfjs.Tensor, positions: tfjs.Tensor, values: tfjs.Tensor): tfjs.Tensor {
  if (x.dtype === "bool") {
    return k.cast(updated(k, k.cast(x, "int32"), positions, k.cast(values, "int32")), "bool");
  }
  return k.tensorScatterUpdate(k.mul(x, k.scalar(1, x.dtype as "float32")), positions, values);
}
