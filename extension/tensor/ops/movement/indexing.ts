import { filled } from "../../core/dtype.ts";
import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { attr, scalar } from "../../lowering/lowering.ts";
import { gatherNode, INDEX, reshapeNode, transposeNode } from "../../lowering/nodes.ts";
import { alongDim } from "../../lowering/layouts.ts";
import { ints, number, type OnnxRef } from "../../lowering/onnx.ts";
import { defineOp, type BatchContext, type Meta, type Op, type Tfjs } from "../../recording/op.ts";
import { cast, reshape } from "./movement.ts";
import { numel, range } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { add, ge, logicalAnd, lt, mul, where } from "../elementwise/elementwise.ts";
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

/**
 * Checks an index: kernels in wasm write anywhere, others skip places out of range.
 * @throws Error in the words of kernels that check (executors/errors.ts)
 */
export function within(index: tfjs.Tensor, length: number): tfjs.Tensor {
  const wrong = index.dataSync().find((place) => place < 0 || place >= length);
  if (wrong === undefined) return index;
  throw new Error(`the index value ${wrong} is not in [0, ${length - 1}]`);
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
export function updated(k: Tfjs, x: tfjs.Tensor, positions: tfjs.Tensor, values: tfjs.Tensor): tfjs.Tensor {
  if (x.dtype === "bool") {
    return k.cast(updated(k, k.cast(x, "int32"), positions, k.cast(values, "int32")), "bool");
  }
  return k.tensorScatterUpdate(k.mul(x, k.scalar(1, x.dtype as "float32")), positions, values);
}
