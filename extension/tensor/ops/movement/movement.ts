import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import type { DType } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import {
  attr,
  scalar,
  vector,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
} from "../../lowering/lowering.ts";
import { castNode, INDEX, reduceNode, reshapeNode, transposeNode } from "../../lowering/nodes.ts";
import { alongDim, reducedAlong, reordered, reshapedAlong } from "../../lowering/layouts.ts";
import { ints, number, type OnnxRef } from "../../lowering/onnx.ts";
import { along, leading, reducing as reducingBatch } from "../../recording/batchRules.ts";
import { defineOp, type Meta, type Op, type Tfjs } from "../../recording/op.ts";
import { partOf, reducing, reshaped } from "../../planning/parts.ts";
import { broadcastPlaces, copy, gather, places, sums } from "../../planning/plain.ts";
import { formatShape, numel, range, reducedShape, sameShape, strides, type Shape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { zeros } from "../expressions.ts";
import { asNumbers, FAR, slice, sliceAlong } from "./slicing.ts";
import { hostSum, sumOver } from "../reduction/sums.ts";

/** The same values under a gradient edge of their own: a copy. */
export const identity: Op<object> = defineOp({
  name: "identity",
  gradName: "CloneBackward0",
  layout: "elementwise",
  infer: ([x]) => x!,
  gradient: ({ grad }) => [grad],
  batch: leading,
  onnx: (b, inputs) => b.node("Identity", inputs),
  tensorflow: (b, inputs, _, { outputs }) => b.node("Identity", inputs, { T: attr.type(outputs[0]!.dtype) }),
  tfjs: (k, [x]) => k.clone(x!),
  plain: () => copy,
});

/** Several tensors as they are, behind one node: where the gradients of all of them meet. */
export const identities: Op<object> = defineOp({
  name: "identities",
  gradName: "BackwardHookFunctionBackward",
  infer: (inputs) => inputs,
  gradient: ({ grads }) => grads,
  batch: leading,
  onnx: (b, inputs) => inputs.map((x) => b.node("Identity", [x])),
  tensorflow(b, inputs, _, { outputs }) {
    const types = outputs.map((m) => m.dtype);
    if (b.together !== undefined && b.portable !== true && inputs.length > 1)
      return b.together(inputs, types);
    return inputs.map((x, i) => b.node("Identity", [x], { T: attr.type(types[i]!) }));
  },
  tfjs: (k, inputs) => inputs.map((x) => k.clone(x)),
});

/** Same elements in the same order, another shape of equal size. */
export const reshape: Op<{ shape: Shape }> = defineOp<{ shape: Shape }>({
  name: "reshape",
  moves: true,
  keepsElements: true,
  layout: { along: reshapedAlong },
  gradName: "ViewBackward0",
  infer: ([x], { shape }) => ({ shape, dtype: x!.dtype }),
  gradient: ({ grad, inputs }) => [apply(reshape, [grad], { shape: inputs[0]!.shape })],
  batch: (c) => c.apply(c.inputs, { shape: [c.size, ...c.attributes.shape] }),
  onnx: (b, [x], { shape }) => b.node("Reshape", [x!, b.sizes(shape)]),
  tensorflow: (b, [x], { shape }, { outputs }) => reshapeNode(b, x!, shape, attr.type(outputs[0]!.dtype)),
  tfjs: (k, [x], { shape }) => k.reshape(x!, [...shape]),
  plain: () => copy,
  parts([cut], { inputs }, { shape }, parts) {
    const to = reshaped(inputs[0]!.shape, cut!, shape, parts);
    return to && { inputs: [cut], outputs: [to], attributes: { shape: partOf(shape, to, parts) } };
  },
});

/** Dimensions in another order: `order[i]` is the input dimension that becomes dimension i. */
export const permute: Op<{ order: readonly number[] }> = defineOp<{ order: readonly number[] }>({
  name: "permute",
  layout: { order: ({ order }) => order },
  moves: true,
  keepsElements: true,
  infer: ([x], { order }) => ({ shape: order.map((d) => x!.shape[d]!), dtype: x!.dtype }),
  gradient: ({ grad, attributes: { order } }) => [
    apply(permute, [grad], { order: order.map((_, i) => order.indexOf(i)) }),
  ],
  batch: (c) => c.apply(c.inputs, { order: [0, ...c.attributes.order.map((d) => d + 1)] }),
  onnx: (b, [x], { order }) => b.node("Transpose", [x!], { perm: attr.ints(order) }),
  tensorflow: (b, [x], { order }, { outputs }) => transposeNode(b, x!, order, attr.type(outputs[0]!.dtype)),
  tfjs: (k, [x], { order }) => k.transpose(x!, [...order]),
  plain({ inputs: [x], outputs: [y] }, { order }) {
    const steps = strides(x!.shape);
    return gather(() =>
      places(
        y!.shape,
        order.map((d) => steps[d]!),
      ),
    );
  },
  parts: ([cut], _, { order }) => ({
    inputs: [cut],
    outputs: [{ ...cut!, dim: order.indexOf(cut!.dim) }],
  }),
});

/** Dimensions of length 1 (and new ones in front) repeated to a larger shape. */
export const expand = defineOp<{ shape: Shape }>({
  name: "expand",
  layout: {
    along: ({ shape }, order) =>
      shape.length === order.length
        ? { attributes: { shape: reordered(shape, order) }, images: true }
        : undefined,
  },
  keepsElements: true,
  infer([x], { shape }) {
    const lead = shape.length - x!.shape.length;
    x!.shape.forEach((d, i) => {
      if (d !== 1 && d !== shape[lead + i]) {
        throw new TensorError(
          "shape",
          `The expanded size of the tensor (${shape[lead + i]}) must match the existing size (${d}) at non-singleton dimension ${lead + i}.  Target sizes: ${formatShape(shape)}.  Tensor sizes: ${formatShape(x!.shape)}`,
        );
      }
    });
    return { shape, dtype: x!.dtype };
  },
  gradient: ({ grad, inputs }) => [sumTo(grad, inputs[0]!.shape)],
  batch: (c) => {
    const { shape } = c.attributes;
    return c.apply([c.aligned(0, shape.length)], { shape: [c.size, ...shape] });
  },
  onnx: (b, [x], { shape }) => b.node("Expand", [x!, b.sizes(shape)]),
  tensorflow: (b, [x], { shape }, { outputs }) =>
    b.node("BroadcastTo", [x!, vector(b, shape)], { T: attr.type(outputs[0]!.dtype), Tidx: INDEX }),
  tfjs: (k, [x], { shape }) => k.broadcastTo(x!, [...shape]),
  plain: ({ inputs: [x] }, { shape }) => gather(() => broadcastPlaces(x!.shape, shape)),
  parts([cut], { inputs }, { shape }, parts) {
    const to = { ...cut!, dim: cut!.dim + shape.length - inputs[0]!.shape.length };
    return { inputs: [cut], outputs: [to], attributes: { shape: partOf(shape, to, parts) } };
  },
});

/** Sum over `dims`. */
export const sum = defineOp<{ dims: readonly number[]; keepdim: boolean }>({
  name: "sum",
  layout: { along: reducedAlong },
  infer: ([x], { dims, keepdim }) => ({ shape: reducedShape(x!.shape, dims, keepdim), dtype: x!.dtype }),
  gradient: ({ grad, inputs, attributes: { dims } }) => {
    const { shape } = inputs[0]!;
    const kept = apply(reshape, [grad], { shape: reducedShape(shape, dims, true) });
    return [apply(expand, [kept], { shape })];
  },
  batch: reducingBatch,
  onnx: (b, [x], { dims, keepdim }) =>
    b.node("ReduceSum", [x!, ints(b, dims)], {
      keepdims: attr.int(Number(keepdim)),
      noop_with_empty_axes: attr.int(1),
    }),
  tensorflow: (b, [x], { dims, keepdim }, { inputs: [input] }) =>
    input!.dtype === "float32"
      ? sumOver(b, x!, input!.shape, dims, keepdim)
      : reduceNode(b, "Sum", x!, dims, keepdim, attr.type(input!.dtype)),
  tfjs: (k, [x], { dims, keepdim }, { outputs: [y] }) =>
    y!.dtype === "float32"
      ? hostSum(k, x!, dims, y!)
      : reduced(k, x!, y!, 0, () => k.sum(x!, [...dims], keepdim)),
  plain: (signature, { dims }) => sums(signature, dims),
  parts: reducing("sum"),
});

/** A reduction in tfjs: what one over no elements gives is `empty`, where wasm's kernels leave memory as it was. */
export function reduced(
  k: Tfjs,
  x: tfjs.Tensor,
  output: Meta,
  empty: number,
  kernel: () => tfjs.Tensor,
): tfjs.Tensor {
  if (x.size > 0) return kernel();
  const one = k.scalar(empty, output.dtype === "int64" ? "int32" : "float32");
  const filled = k.broadcastTo(one, [...output.shape]);
  return output.dtype === "bool" ? k.cast(filled, "bool") : filled;
}

/** Sums a broadcast result back to the shape it was broadcast from: the adjoint of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  const lead = x.shape.length - shape.length;
  const dims: number[] = [];
  for (let i = 0; i < x.shape.length; i++)
    if (i < lead || (shape[i - lead] === 1 && x.shape[i] !== 1)) dims.push(i);
  const summed = dims.length > 0 ? apply(sum, [x], { dims, keepdim: true }) : x;
  return sameShape(summed.shape, shape) ? summed : apply(reshape, [summed], { shape });
}

/** `value` before and after every dimension. */
export const pad = defineOp<{ before: readonly number[]; after: readonly number[]; value: number }>({
  name: "pad",
  layout: {
    along: ({ before, after, value }, order) => ({
      attributes: { before: reordered(before, order), after: reordered(after, order), value },
      images: true,
    }),
  },
  infer: ([x], { before, after }) => ({
    shape: x!.shape.map((n, i) => n + before[i]! + after[i]!),
    dtype: x!.dtype,
  }),
  gradient: ({ grad, inputs, attributes: { before } }) => {
    const end = inputs[0]!.shape.map((n, i) => n + before[i]!);
    return [apply(slice, [grad], { begin: before, end, step: end.map(() => 1) })];
  },
  batch: (c) => {
    const { before, after, value } = c.attributes;
    return c.apply(c.inputs, { before: [0, ...before], after: [0, ...after], value });
  },
  onnx: (b, [x], { before, after, value }, { outputs }) =>
    b.node("Pad", [x!, ints(b, [...before, ...after]), number(b, value, outputs[0]!.dtype)]),
  tensorflow(b, [x], { before, after, value }, { outputs }) {
    const { dtype } = outputs[0]!;
    const widths = before.flatMap((n, i) => [n, after[i]!]);
    const paddings = b.constant(Int32Array.from(widths), [before.length, 2], "int64");
    return b.node("PadV2", [x!, paddings, scalar(b, value, dtype)], {
      T: attr.type(dtype),
      Tpaddings: INDEX,
    });
  },
  tfjs: (k, [x], { before, after, value }) =>
    k.pad(
      x!,
      before.map((n, i) => [n, after[i]!] as [number, number]),
      value,
    ),
});

/** Checks that a shape, the i-th of those to join along a dimension, differs from the first one only there. */
function checkJoined(shape: Shape, first: Shape, dim: number, i: number): void {
  if (shape.length !== first.length) {
    throw new TensorError(
      "shape",
      `Tensors must have same number of dimensions: got ${first.length} and ${shape.length}`,
    );
  }
  for (let d = 0; d < first.length; d++) {
    if (d === dim || shape[d] === first[d]) continue;
    throw new TensorError(
      "shape",
      `Sizes of tensors must match except in dimension ${dim}. Expected size ${first[d]} but got size ${shape[d]} for tensor number ${i} in the list.`,
    );
  }
}

/** Tensors joined along a dimension. */
export const cat = defineOp<{ dim: number }>({
  name: "cat",
  layout: { along: alongDim },
  moves: true,
  infer(inputs, { dim }) {
    const { shape, dtype } = inputs[0]!;
    let total = 0;
    for (let i = 0; i < inputs.length; i++) {
      const other = inputs[i]!.shape;
      if (other !== shape) checkJoined(other, shape, dim, i);
      total += other[dim]!;
    }
    return { shape: shape.with(dim, total), dtype };
  },
  gradient({ grad, inputs, attributes: { dim } }) {
    let at = 0;
    return inputs.map((t) => sliceAlong(grad, dim, at, (at += t.shape[dim]!)));
  },
  batch: along,
  onnx: (b, inputs, { dim }) => b.node("Concat", inputs, { axis: attr.int(dim) }),
  tensorflow(b, inputs, { dim }, { outputs }) {
    const T = attr.type(outputs[0]!.dtype);
    // TensorFlow's kernel wants two at least.
    if (inputs.length === 1) return b.node("Identity", inputs, { T });
    const { shape } = outputs[0]!;
    if (b.optimized === true && numel(shape.slice(dim)) === inputs.length)
      return interleaved(b, inputs, shape, T);
    return b.node("ConcatV2", [...inputs, scalar(b, dim, "int64")], {
      N: attr.int(inputs.length),
      T,
      Tidx: INDEX,
    });
  },
  plain({ inputs, outputs: [y] }, { dim }) {
    const rows = numel(y!.shape, 0, dim);
    const width = numel(y!.shape, dim);
    return (given, [to]) => {
      let column = 0;
      for (let p = 0; p < given.length; p++) {
        const from = given[p]!;
        const own = numel(inputs[p]!.shape, dim);
        // Calling `set` takes as long as copying so many.
        if (rows === 1 && own > 32) to!.set(from, column);
        else
          for (let row = 0; row < rows; row++)
            for (let i = 0; i < own; i++) to![row * width + column + i] = from[row * own + i]!;
        column += own;
      }
    };
  },
  tfjs: (k, inputs, { dim }) => (inputs.length === 1 ? k.clone(inputs[0]!) : k.concat([...inputs], dim)),
  parts(cuts, { inputs }, { dim }) {
    const cut = cuts.find((c) => c !== undefined)!;
    return cut.dim === dim ? undefined : { inputs: inputs.map(() => cut), outputs: [cut] };
  },
});

/** Single elements in turn, as of rotated pairs: TensorFlow's kernel for joining copies each by a call of its own. */
function interleaved(b: TfBuilder, inputs: readonly TfRef[], shape: Shape, T: TfAttribute): TfRef {
  const rows = numel(shape) / inputs.length;
  const flat = inputs.map((x) => b.node("Reshape", [x, vector(b, [1, rows])], { T, Tshape: INDEX }));
  const attributes = { N: attr.int(inputs.length), T, Tidx: INDEX };
  const joined = b.node("ConcatV2", [...flat, scalar(b, 0, "int64")], attributes);
  const turned = b.node("Transpose", [joined, vector(b, [1, 0])], { T, Tperm: INDEX });
  return b.node("Reshape", [turned, vector(b, shape)], { T, Tshape: INDEX });
}

/** Parts of length 1 along the first dimension, without it: one output each. */
export const unstack: Op<object> = defineOp({
  name: "unstack",
  infer: ([x]) => {
    const [count, ...rest] = x!.shape as [number, ...number[]];
    return Array.from({ length: count }, () => ({ shape: rest, dtype: x!.dtype }));
  },
  gradient: ({ grads, outputs }) => {
    const rows = outputs.map((y, i) =>
      apply(reshape, [grads[i] ?? zeros(y.shape, y.dtype)], { shape: [1, ...y.shape] }),
    );
    return [rows.length === 1 ? rows[0]! : apply(cat, rows, { dim: 0 })];
  },
  batch: (c) => c.applyAll([c.behind(c.inputs[0]!, 1)]),
  onnx: (b, [x], _, { inputs }) =>
    range(inputs[0]!.shape[0]!).map((i) =>
      b.node("Gather", [x!, number(b, i, "int64")], { axis: attr.int(0) }),
    ),
  tensorflow: (b, [x], _, { inputs }) => {
    const [{ shape, dtype }] = inputs as [Meta];
    const count = shape[0]!;
    return b.nodes("Unpack", [x!], { T: attr.type(dtype), num: attr.int(count), axis: attr.int(0) }, count);
  },
  tfjs: (k, [x]) => k.unstack(x!, 0),
  parts: ([cut], { outputs }) =>
    cut!.dim === 0
      ? undefined
      : { inputs: [cut], outputs: outputs.map(() => ({ ...cut!, dim: cut!.dim - 1 })) },
});

/** Elements in reverse order along `dims`. */
export const flip: Op<{ dims: readonly number[] }> = defineOp<{ dims: readonly number[] }>({
  name: "flip",
  layout: {
    along: ({ dims }, order) => ({ attributes: { dims: dims.map((d) => order.indexOf(d)) }, images: true }),
  },
  infer: ([x]) => x!,
  gradient: ({ grad, attributes }) => [apply(flip, [grad], attributes)],
  batch: reducingBatch,
  onnx: (b, [x], { dims }) => {
    const all = (value: number): OnnxRef =>
      ints(
        b,
        dims.map(() => value),
      );
    return b.node("Slice", [x!, all(-1), all(-FAR), ints(b, dims), all(-1)]);
  },
  tensorflow: (b, [x], { dims }, { outputs }) =>
    b.node("ReverseV2", [x!, vector(b, dims)], { T: attr.type(outputs[0]!.dtype), Tidx: INDEX }),
  tfjs: (k, [x], { dims }) => asNumbers(k, x!, (y) => k.reverse(y, [...dims])),
});

/** Another element type: integers are truncated towards zero, everything but 0 is true. */
export const cast = defineOp<{ dtype: DType }>({
  name: "cast",
  keepsElements: true,
  layout: "elementwise",
  infer: ([x], { dtype }) => ({ shape: x!.shape, dtype }),
  gradient: { none: "float32 is the only type that has gradients" },
  batch: leading,
  onnx: (b, [x], { dtype }) => b.node("Cast", [x!], { to: attr.type(dtype) }),
  tensorflow: (b, [x], { dtype }, { inputs }) => castNode(b, x!, inputs[0]!.dtype, dtype),
  plain: (_, { dtype }) => (dtype === "float32" ? copy : undefined),
  tfjs: (k, [x], { dtype }) =>
    dtype === "bool" ? k.notEqual(x!, k.zerosLike(x!)) : k.cast(x!, dtype === "int64" ? "int32" : "float32"),
});
