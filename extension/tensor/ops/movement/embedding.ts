import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { attr, scalar } from "../../lowering/lowering.ts";
import { equalNode, gatherNode, INDEX, reshapeNode } from "../../lowering/nodes.ts";
import { defineOp, type BatchContext, type Op } from "../../recording/op.ts";
import { numel } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { MAX_FLOAT } from "../../core/dtype.ts";
import { call, constant, filled } from "../expressions.ts";
import { div, eq, mul, ne, where } from "../elementwise/elementwise.ts";
import { amongAll, asFloat, indexAdd, indexSelect } from "./indexing.ts";
import { reshape } from "./movement.ts";

export interface Embedding {
  /** The row that has no gradient; −1 for none. */
  readonly paddingIdx: number;
  /** Whether a row's gradient is divided by the number of times it is looked up. */
  readonly scaleGradByFreq: boolean;
}

/** Rows of a matrix [V, D] at indices [*]: [*, D]. */
export const embedding: Op<Embedding> = defineOp<Embedding>({
  name: "embedding",
  gradName: "EmbeddingBackward0",
  outOfRange: "index out of range in self",
  infer: ([weight, indices]) => ({ shape: [...indices!.shape, weight!.shape[1]!], dtype: weight!.dtype }),
  gradient({ grad, inputs: [weight, indices], attributes: { paddingIdx, scaleGradByFreq } }) {
    const [length, width] = weight!.shape as [number, number];
    const count = numel(indices!.shape);
    const flat = apply(reshape, [indices!], { shape: [count] });
    const column = (x: Tensor): Tensor => apply(reshape, [x], { shape: [count, 1] });
    let rows = apply(reshape, [grad], { shape: [count, width] });
    if (paddingIdx >= 0) {
      const padding = constant(paddingIdx, "int64");
      rows = call(mul, rows, column(asFloat(call(ne, flat, padding))));
    }
    if (scaleGradByFreq) {
      const ones = filled(1, [count]);
      const found = apply(indexAdd, [ones, flat], { dim: 0, length });
      rows = call(div, rows, column(apply(indexSelect, [found, flat], { dim: 0 })));
    }
    return [apply(indexAdd, [rows, flat], { dim: 0, length }), null];
  },
  batch: ofSamples,
  onnx: (b, inputs) => b.node("Gather", inputs, { axis: attr.int(0) }),
  tensorflow: (b, inputs, _, { outputs }) => gatherNode(b, inputs, 0, outputs[0]!.dtype),
  tfjs(k, [weight, indices], _, { outputs }) {
    const rows = k.gather(weight!, k.reshape<tfjs.Rank.R1>(indices!, [-1]));
    return k.reshape(rows, [...outputs[0]!.shape]);
  },
  parts: ([weight, indices]) =>
    weight === undefined ? { inputs: [undefined, indices], outputs: [indices!] } : undefined,
});

/** Matrices that differ from sample to sample lie one after another. */
function ofSamples(c: BatchContext<Embedding>): Tensor | undefined {
  const [weight, indices] = c.inputs as [Tensor, Tensor];
  const { paddingIdx, scaleGradByFreq } = c.attributes;
  // Gradients that count, or leave out a row, do so for each sample.
  if (weight.requiresGrad && (scaleGradByFreq || (c.batched[0] && paddingIdx >= 0))) return undefined;
  if (!c.batched[0]) return c.apply([weight, indices]);
  const [length, width] = c.signature.inputs[0]!.shape as [number, number];
  const shape = [c.size, ...c.signature.outputs[0]!.shape];
  if (!c.batched[1]) {
    const flat = c.reshaped(indices, [numel(indices.shape)]);
    return c.reshaped(apply(indexSelect, [weight, flat], { dim: 1 }), shape);
  }
  const rows = c.reshaped(weight, [c.size * length, width]);
  return c.reshaped(c.apply([rows, amongAll(c, indices, length)]), shape);
}

/** Per segment number, the largest of the rows that have it, in each column; 0 where there is none. */
export const segmentMax: Op<{ length: number }> = defineOp<{ length: number }>({
  name: "segmentMax",
  infer: ([x], { length }) => ({ shape: [length, ...x!.shape.slice(1)], dtype: x!.dtype }),
  gradient({ grad, inputs: [x, segments], outputs: [y], attributes: { length } }) {
    // The first of the rows that have a maximum gets its gradient.
    const spread = (t: Tensor): Tensor => apply(indexSelect, [t, segments!], { dim: 0 });
    const [count, ...rest] = x!.shape as [number, ...number[]];
    const order = fromHost(
      Float32Array.from({ length: count }, (_, row) => -row),
      [count, ...rest.map(() => 1)],
      "float32",
    );
    const held = call(where, call(eq, x!, spread(y!)), order, constant(-Infinity));
    const first = apply(segmentMax, [held, segments!], { length });
    return [call(where, call(eq, held, spread(first)), spread(grad), constant(0)), null];
  },
  batch(c) {
    const { length } = c.attributes;
    if (!c.batched[1]) return c.front(c.apply([c.behind(c.inputs[0]!, 1), c.inputs[1]!]), 1);
    const segments = amongAll(c, c.inputs[1]!, length);
    return c.split(c.apply([c.merged(c.whole(0), 0), segments], { length: c.size * length }), 0);
  },
  onnx: { none: "ONNX has no maximum by segments" },
  tensorflow(b, [x, segments], { length }, { inputs, outputs: [y] }) {
    const T = attr.type(y!.dtype);
    const types = { T, Tindices: INDEX, Tnumsegments: INDEX };
    const count = scalar(b, length, "int64");
    const most = b.node("UnsortedSegmentMax", [x!, segments!, count], types);
    // The kernel begins with the lowest finite number: -Infinity is not above it.
    const finite = b.node("Greater", [most, scalar(b, -MAX_FLOAT, y!.dtype)], { T });
    const nan = equalNode(b, [most, most], y!.dtype, "NotEqual");
    const above = b.node("LogicalOr", [finite, nan], {});
    const largest = b.node("SelectV2", [above, most, scalar(b, -Infinity, y!.dtype)], { T });
    const rows = inputs[1]!.shape[0]!;
    const ones = b.constant(new Float32Array(rows).fill(1), [rows], "float32");
    const sizes = b.node("UnsortedSegmentSum", [ones, segments!, count], types);
    const empty = equalNode(b, [sizes, scalar(b, 0, "float32")], "float32");
    const shape = [length, ...y!.shape.slice(1).map(() => 1)];
    const column = reshapeNode(b, empty, shape, attr.type("bool"));
    return b.node("SelectV2", [column, scalar(b, 0, y!.dtype), largest], { T });
  },
  tfjs(k, [x, segments], _, { outputs: [y] }) {
    // No backend has a kernel for this.
    const [values, at] = [x!.dataSync(), segments!.dataSync()];
    const width = numel(y!.shape.slice(1));
    const result = new Float32Array(numel(y!.shape)).fill(-Infinity);
    at.forEach((segment, row) => {
      for (let i = 0; i < width; i++) {
        const place = segment * width + i;
        result[place] = Math.max(result[place]!, values[row * width + i]!);
      }
    });
    const used = new Set(at);
    for (let s = 0; s < y!.shape[0]!; s++) if (!used.has(s)) result.fill(0, s * width, (s + 1) * width);
    return k.tensor(result, [...y!.shape], "float32");
  },
});
