// Parts of tensors: every step-th element between two indices.
import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import {
  attr,
  scalar,
  vector,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
} from "../../lowering/lowering.ts";
import { INDEX, reshapeNode } from "../../lowering/nodes.ts";
import { reordered } from "../../lowering/layouts.ts";
import { ints, type OnnxBuilder, type OnnxRef } from "../../lowering/onnx.ts";
import { defineOp, type Op, type Tfjs } from "../../recording/op.ts";
import { partOf, type Cut } from "../../planning/parts.ts";
import { gather, places, replaceAt } from "../../planning/plain.ts";
import { numel, range, strides, type Shape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { zeros } from "../expressions.ts";

interface SliceAttributes {
  /** First index, index after the last, and step (at least 1) of every dimension. */
  readonly begin: readonly number[];
  readonly end: readonly number[];
  readonly step: readonly number[];
}

/** The same part of every sample. */
const ofEach = (size: number, { begin, end, step }: SliceAttributes): SliceAttributes => ({
  begin: [0, ...begin],
  end: [size, ...end],
  step: [1, ...step],
});

/** The slice of a tensor whose dimensions are in another order. */
const turned = ({ begin, end, step }: SliceAttributes, order: readonly number[]): SliceAttributes => ({
  begin: reordered(begin, order),
  end: reordered(end, order),
  step: reordered(step, order),
});

const sliceShape = ({ begin, end, step }: SliceAttributes): number[] =>
  begin.map((b, i) => Math.max(0, Math.ceil((end[i]! - b) / step[i]!)));

/** Positions of the elements of a slice of a tensor of `shape`. */
function slicePlaces(attributes: SliceAttributes, shape: Shape): Int32Array {
  const own = strides(shape);
  return places(
    sliceShape(attributes),
    attributes.step.map((s, d) => s * own[d]!),
    attributes.begin.reduce((at, b, d) => at + b * own[d]!, 0),
  );
}

/** Start of a slice whose elements are contiguous: single indices, a part of one dimension, and then all. */
function startOfRun({ begin, end, step }: SliceAttributes, shape: Shape): number | undefined {
  let start = 0;
  let partial = false;
  for (let d = 0; d < shape.length; d++) {
    const [from, to, n] = [begin[d]!, end[d]!, shape[d]!];
    if (step[d] !== 1 || to > n || (partial && (from !== 0 || to !== n))) return undefined;
    if (to - from !== 1) partial = true;
    start = start * n + from;
  }
  return start;
}

/** A slice that leaves the split dimension unchanged, on a shard. */
function partOfSlice(
  attributes: SliceAttributes,
  shape: Shape,
  cut: Cut,
  parts: number,
): SliceAttributes | undefined {
  const { begin, end, step } = attributes;
  const { dim } = cut;
  if (begin[dim] !== 0 || end[dim] !== shape[dim] || step[dim] !== 1) return undefined;
  return { ...attributes, end: partOf(end, cut, parts) };
}

const SLICE_MASKS = {
  Index: INDEX,
  begin_mask: attr.int(0),
  end_mask: attr.int(0),
  ellipsis_mask: attr.int(0),
  new_axis_mask: attr.int(0),
  shrink_axis_mask: attr.int(0),
};

/** An index beyond the end of any dimension. */
export const FAR = 2 ** 31 - 1;

function onnxSlice(b: OnnxBuilder, x: OnnxRef, { begin, end, step }: SliceAttributes, shape: Shape): OnnxRef {
  const whole = (d: number): boolean => begin[d] === 0 && end[d]! >= shape[d]! && step[d] === 1;
  const axes = range(shape.length).filter((d) => !whole(d));
  // To the end, whatever the length: it may follow the batch.
  const ends = axes.map((d) => (end[d]! >= shape[d]! ? FAR : end[d]!));
  const at = (list: readonly number[]): OnnxRef =>
    ints(
      b,
      axes.map((d) => list[d]!),
    );
  return axes.length === 0
    ? b.node("Identity", [x])
    : b.node("Slice", [x, at(begin), ints(b, ends), ints(b, axes), at(step)]);
}

/** Every `step`-th element from `begin` to `end`, in every dimension. */
export const slice: Op<SliceAttributes> = defineOp<SliceAttributes>({
  name: "slice",
  layout: { along: (a, order) => ({ attributes: turned(a, order), images: true }) },
  moves: true,
  infer: ([x], attributes) => ({ shape: sliceShape(attributes), dtype: x!.dtype }),
  gradient: ({ grad, inputs, attributes }) => [
    apply(unslice, [grad], { ...attributes, shape: inputs[0]!.shape }),
  ],
  batch: (c) => c.apply(c.inputs, ofEach(c.size, c.attributes)),
  onnx: (b, [x], a, { inputs }) => onnxSlice(b, x!, a, inputs[0]!.shape),
  tensorflow: (b, [x], { begin, end, step }, { outputs }) =>
    b.node("StridedSlice", [x!, vector(b, begin), vector(b, end), vector(b, step)], {
      T: attr.type(outputs[0]!.dtype),
      ...SLICE_MASKS,
    }),
  tfjs: (k, [x], { begin, end, step }) => stepped(k, x!, begin, end, step),
  plain({ inputs: [x], outputs: [y] }, attributes) {
    const start = startOfRun(attributes, x!.shape);
    if (start === undefined) return gather(() => slicePlaces(attributes, x!.shape));
    const end = start + numel(y!.shape);
    return ([from], [to]) => to!.set(from!.subarray(start, end));
  },
  parts([cut], { inputs }, attributes, parts) {
    const part = partOfSlice(attributes, inputs[0]!.shape, cut!, parts);
    return part && { inputs: [cut], outputs: [cut!], attributes: part };
  },
});

/** The elements of dimension `dim` from one index to before another. */
export const sliceAlong = (x: Tensor, dim: number, from: number, to: number): Tensor =>
  apply(slice, [x], {
    begin: x.shape.map((_, d) => (d === dim ? from : 0)),
    end: x.shape.map((n, d) => (d === dim ? to : n)),
    step: x.shape.map(() => 1),
  });

/** Zeros behind every element, and zeros around all: ONNX has no op for it. */
function onnxSpread(
  b: OnnxBuilder,
  x: OnnxRef,
  { begin, step, shape }: SliceAttributes & { shape: Shape },
  from: Shape,
): OnnxRef {
  const now = [...from];
  let y = x;
  step.forEach((s, d) => {
    if (s === 1) return;
    const apart = b.node("Unsqueeze", [y, ints(b, [d + 1])]);
    const pads = range(2 * now.length + 2).map((i) => (i === now.length + d + 2 ? s - 1 : 0));
    const padded = b.node("Pad", [apart, ints(b, pads)]);
    now[d] = now[d]! * s;
    y = b.node("Reshape", [padded, b.sizes([...now])]);
  });
  // The zeros behind the last element may exceed the shape.
  const after = shape.map((n, d) => n - begin[d]! - now[d]!);
  return b.node("Pad", [y, ints(b, [...begin, ...after])]);
}

/** {@link spread} in portable nodes, which not only TensorFlow has. */
function spreadNodes(
  b: TfBuilder,
  x: TfRef,
  { begin, step, shape }: SliceAttributes & { shape: Shape },
  from: Shape,
  T: TfAttribute,
): TfRef {
  const now = [...from];
  const padded = (t: TfRef, widths: readonly (readonly [number, number])[]): TfRef =>
    b.node("Pad", [t, b.constant(widths.flat(), [widths.length, 2], "int64")], { T, Tpaddings: INDEX });
  let y = x;
  step.forEach((s, d) => {
    if (s === 1) return;
    const apart = [...now.slice(0, d + 1), 1, ...now.slice(d + 1)];
    const filled = padded(
      reshapeNode(b, y, apart, T),
      apart.map((_, i) => [0, i === d + 1 ? s - 1 : 0]),
    );
    const all = now.map((n, i) => (i === d ? n * s : n));
    now[d] = Math.min(all[d]!, shape[d]! - begin[d]!);
    const corner = vector(
      b,
      now.map(() => 0),
    );
    const whole = reshapeNode(b, filled, all, T);
    y = b.node("Slice", [whole, corner, vector(b, now)], { T, Index: INDEX });
  });
  return padded(
    y,
    now.map((n, d) => [begin[d]!, shape[d]! - begin[d]! - n]),
  );
}

/** Returns the one dimension that a slice cuts, and its range; undefined for steps, or several dimensions. */
export function rangeOf({
  begin,
  end,
  step,
  shape,
}: SliceAttributes & { shape: Shape }): { dim: number; from: number; to: number } | undefined {
  const cut = range(shape.length).filter((d) => begin[d] !== 0 || end[d] !== shape[d]);
  if (cut.length > 1 || step.some((s) => s !== 1)) return undefined;
  const dim = cut[0] ?? 0;
  const [from, to] = [begin[dim]!, end[dim]!];
  return shape.length > 0 && from >= 0 && from < to && to <= shape[dim]! ? { dim, from, to } : undefined;
}

/** Zeros of `shape` with the input where {@link slice} would have read: its adjoint. */
export const unslice: Op<SliceAttributes & { shape: Shape }> = defineOp<SliceAttributes & { shape: Shape }>({
  name: "unslice",
  layout: {
    along: (a, order) => ({
      attributes: { ...turned(a, order), shape: reordered(a.shape, order) },
      images: true,
    }),
  },
  infer: ([x], { shape }) => ({ shape, dtype: x!.dtype }),
  gradient: ({ grad, attributes: { begin, end, step } }) => [apply(slice, [grad], { begin, end, step })],
  batch: (c) =>
    c.apply(c.inputs, { ...ofEach(c.size, c.attributes), shape: [c.size, ...c.attributes.shape] }),
  onnx: (b, [x], a, { inputs }) => onnxSpread(b, x!, a, inputs[0]!.shape),
  tensorflow(b, [x], attributes, { inputs: [from], outputs }) {
    const T = attr.type(outputs[0]!.dtype);
    if (b.portable === true) return spreadNodes(b, x!, attributes, from!.shape, T);
    const { begin, end, step, shape } = attributes;
    const at = b.optimized === true ? rangeOf(attributes) : undefined;
    if (at !== undefined) {
      // Copies of whole blocks: the kernel below takes ten times as long.
      const zeros = (count: number): TfRef[] => {
        const sizes = shape.map((n, d) => (d === at.dim ? count : n));
        const zero = scalar(b, 0, outputs[0]!.dtype);
        return count === 0 ? [] : [b.node("Fill", [vector(b, sizes), zero], { T, index_type: INDEX })];
      };
      const pieces = [...zeros(at.from), x!, ...zeros(shape[at.dim]! - at.to)];
      if (pieces.length === 1) return b.node("Identity", [x!], { T });
      const axis = scalar(b, at.dim, "int64");
      return b.node("ConcatV2", [...pieces, axis], { N: attr.int(pieces.length), T, Tidx: INDEX });
    }
    const places = [shape, begin, end, step].map((list) => vector(b, list));
    return b.node("StridedSliceGrad", [...places, x!], { T, ...SLICE_MASKS });
  },
  tfjs: (k, [x], attributes) => spread(k, x!, attributes),
  plain(_, attributes) {
    const at = slicePlaces(attributes, attributes.shape);
    return ([x], [y]) => {
      y!.fill(0);
      for (let i = 0; i < at.length; i++) y![at[i]!] = x![i]!;
    };
  },
  parts([cut], _, attributes, parts) {
    const { shape } = attributes;
    const part = partOfSlice(attributes, shape, cut!, parts);
    return (
      part && {
        inputs: [cut],
        outputs: [cut!],
        attributes: { ...part, shape: partOf(shape, cut!, parts) },
      }
    );
  },
});

/** A slice with steps, in tfjs: the wasm kernel of strided slices treats all types as floats. */
export function stepped(
  k: Tfjs,
  x: tfjs.Tensor,
  begin: readonly number[],
  end: readonly number[],
  step: readonly number[],
): tfjs.Tensor {
  let y = k.slice(
    x,
    [...begin],
    begin.map((b, d) => Math.max(0, end[d]! - b)),
  );
  step.forEach((s, d) => {
    const length = y.shape[d]!;
    if (s === 1 || length === 0) return;
    // Rows of s elements, of which the first is kept.
    const rows = Math.ceil(length / s);
    const filled = k.pad(
      y,
      y.shape.map((_, i) => [0, i === d ? rows * s - length : 0] as [number, number]),
    );
    const split = k.reshape(filled, [...y.shape.slice(0, d), rows, s, ...y.shape.slice(d + 1)]);
    const kept = split.shape.map((n, i) => (i === d + 1 ? 1 : n));
    const first = k.slice(
      split,
      kept.map(() => 0),
      kept,
    );
    y = k.reshape(
      first,
      y.shape.map((n, i) => (i === d ? rows : n)),
    );
  });
  return y;
}

/** {@link unslice} in tfjs: zeros with a tensor at every `step`-th place from `begin` on. */
export function spread(
  k: Tfjs,
  x: tfjs.Tensor,
  { begin, step, shape }: Pick<SliceAttributes, "begin" | "step"> & { shape: Shape },
): tfjs.Tensor {
  // A step of s is undone by giving every element s - 1 zeros behind it.
  let y = x;
  step.forEach((s, d) => {
    if (s === 1) return;
    const before = y.shape.slice(0, d);
    const after = y.shape.slice(d + 1);
    const n = y.shape[d]!;
    const apart = k.pad(k.reshape(y, [...before, n, 1, ...after]), [
      ...before.map(unpadded),
      [0, 0],
      [0, s - 1],
      ...after.map(unpadded),
    ]);
    const length = Math.min(n * s, shape[d]! - begin[d]!);
    y = k.slice(
      k.reshape(apart, [...before, n * s, ...after]),
      y.shape.map(() => 0),
      [...before, length, ...after],
    );
  });
  return k.pad(
    y,
    y.shape.map((n, d) => [begin[d]!, shape[d]! - begin[d]! - n] as [number, number]),
  );
}

/** Runs a kernel that wasm has for numbers only: booleans are a byte each there, and go through as integers. */
export function asNumbers(k: Tfjs, x: tfjs.Tensor, kernel: (x: tfjs.Tensor) => tfjs.Tensor): tfjs.Tensor {
  return x.dtype === "bool" ? k.cast(kernel(k.cast(x, "int32")), "bool") : kernel(x);
}

const unpadded = (): [number, number] => [0, 0];

/** The first input with its {@link slice} replaced by the second. */
export const sliceUpdate: Op<SliceAttributes> = defineOp<SliceAttributes>({
  name: "sliceUpdate",
  layout: { along: (a, order) => ({ attributes: turned(a, order), images: true }) },
  moves: true,
  gradName: "CopySlices",
  infer: ([x]) => x!,
  gradient: ({ grad, inputs: [, v], attributes, needs }) => [
    needs[0] ? apply(sliceUpdate, [grad, zeros(v!.shape)], attributes) : null,
    needs[1] ? apply(slice, [grad], attributes) : null,
  ],
  batch: (c) => c.apply([c.whole(0), c.whole(1)], ofEach(c.size, c.attributes)),
  onnx: { none: "ONNX has no op that replaces a strided slice" },
  tensorflow: (b, [x, v], { begin, end, step }, { outputs }) =>
    b.node("TensorStridedSliceUpdate", [x!, vector(b, begin), vector(b, end), vector(b, step), v!], {
      T: attr.type(outputs[0]!.dtype),
      ...SLICE_MASKS,
    }),
  tfjs(k, [x, v], { begin, end, step }, { inputs }) {
    const { shape } = inputs[0]!;
    const attributes = { begin, end, step, shape };
    const here = k.cast(spread(k, k.ones(v!.shape), attributes), "bool");
    return asNumbers(k, x!, (y) => k.where(here, spread(k, k.cast(v!, y.dtype), attributes), y));
  },
  plain({ inputs: [x] }, attributes) {
    const start = startOfRun(attributes, x!.shape);
    if (start === undefined) return replaceAt(() => slicePlaces(attributes, x!.shape));
    return ([whole, part], [to]) => {
      to!.set(whole!);
      to!.set(part!, start);
    };
  },
});
