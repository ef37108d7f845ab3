import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../apply.ts";
import { attr, scalar, vector } from "../lowering.ts";
import { defineOp, type Op } from "../op.ts";
import { numel, type Shape } from "../shape.ts";

const INDEX = attr.type("int64");

/** Rows of dimension `dim` in the order of an index vector: x.shape with `dim` replaced by the index's length. */
export const indexSelect: Op<{ dim: number }> = defineOp<{ dim: number }>({
  name: "indexSelect",
  infer: ([x, index], { dim }) => ({
    shape: x!.shape.map((n, d) => (d === dim ? index!.shape[0]! : n)),
    dtype: x!.dtype,
  }),
  gradient: ({ grad, inputs: [x, index], attributes: { dim } }) => [
    apply(indexAdd, [grad, index!], { dim, length: x!.shape[dim]! }),
    null,
  ],
  tensorflow: (b, [x, index], { dim }, { outputs }) =>
    b.node("GatherV2", [x!, index!, scalar(b, dim, "int64")], {
      Tparams: attr.type(outputs[0]!.dtype),
      Tindices: INDEX,
      Taxis: INDEX,
      batch_dims: attr.int(0),
    }),
  tfjs: (k, [x, index], { dim }) => k.gather(x!, index as tfjs.Tensor1D, dim),
});

/** Zeros with `length` rows in dimension `dim`, to which each row of the input is added at its index. */
export const indexAdd: Op<{ dim: number; length: number }> = defineOp<{ dim: number; length: number }>({
  name: "indexAdd",
  infer: ([x], { dim, length }) => ({
    shape: x!.shape.map((n, d) => (d === dim ? length : n)),
    dtype: x!.dtype,
  }),
  gradient: ({ grad, inputs: [, index], attributes: { dim } }) => [
    apply(indexSelect, [grad, index!], { dim }),
    null,
  ],
  tensorflow(b, [x, index], { dim, length }, { inputs }) {
    const rank = inputs[0]!.shape.length;
    const order = swapped(rank, dim);
    const T = attr.type(inputs[0]!.dtype);
    const front = dim === 0 ? x! : b.node("Transpose", [x!, vector(b, order)], { T, Tperm: INDEX });
    const sums = b.node("UnsortedSegmentSum", [front, index!, scalar(b, length, "int64")], {
      T,
      Tindices: INDEX,
      Tnumsegments: INDEX,
    });
    return dim === 0 ? sums : b.node("Transpose", [sums, vector(b, order)], { T, Tperm: INDEX });
  },
  tfjs(k, [x, index], { dim, length }, { inputs, outputs }) {
    // Segment sum as a product with the one-hot matrix: neither wasm nor cpu has the kernel.
    const order = swapped(inputs[0]!.shape.length, dim);
    const front = k.transpose(x!, order);
    const hot = k.cast(k.oneHot(index as tfjs.Tensor1D, length), "float32");
    const rows = k.reshape<tfjs.Rank.R2>(k.cast(front, "float32"), [front.shape[0], -1]);
    const sums = k.reshape(k.matMul(hot as tfjs.Tensor2D, rows, true), [length, ...front.shape.slice(1)]);
    return k.cast(k.transpose(sums, order), outputs[0]!.dtype === "float32" ? "float32" : "int32");
  },
});

/** Exchanges dimensions 0 and `dim`: its own inverse. */
function swapped(rank: number, dim: number): number[] {
  return Array.from({ length: rank }, (_, d) => (d === 0 ? dim : d === dim ? 0 : d));
}

/** Elements at positions given by the rows of an [n, rank] index matrix: shape [n]. */
export const gatherPoints: Op<object> = defineOp({
  name: "gatherPoints",
  infer: ([x, index]) => ({ shape: [index!.shape[0]!], dtype: x!.dtype }),
  gradient: ({ grad, inputs: [x, index] }) => [
    apply(scatterPoints, [grad, index!], { shape: x!.shape }),
    null,
  ],
  tensorflow: (b, inputs, _, { outputs }) =>
    b.node("GatherNd", inputs, { Tparams: attr.type(outputs[0]!.dtype), Tindices: INDEX }),
  tfjs: (k, [x, index]) => k.gatherND(x!, index!),
});

/** Zeros of `shape` with values added at positions given by the rows of an [n, rank] index matrix. */
export const scatterPoints: Op<{ shape: Shape }> = defineOp<{ shape: Shape }>({
  name: "scatterPoints",
  infer: ([x], { shape }) => ({ shape, dtype: x!.dtype }),
  gradient: ({ grad, inputs: [, index] }) => [apply(gatherPoints, [grad, index!], {}), null],
  tensorflow: (b, [x, index], { shape }, { outputs }) =>
    b.node("ScatterNd", [index!, x!, vector(b, shape)], { T: attr.type(outputs[0]!.dtype), Tindices: INDEX }),
  tfjs: (k, [x, index], { shape }) => k.scatterND(index!, x!, [...shape] as never),
  cost: ({ inputs }) => numel(inputs[0]!.shape),
});
