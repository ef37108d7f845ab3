// Convolutions of groups of channels and with dilation, for backends whose kernels support only some of them, or none.
import type * as tfjs from "@tensorflow/tfjs-core";
import {
  attr,
  scalar,
  vector,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
} from "../../lowering/lowering.ts";
import { INDEX, reshapeNode, T } from "../../lowering/nodes.ts";
import type { Tfjs } from "../../recording/op.ts";
import { range, type Shape } from "../../core/shape.ts";
import { slice, spread, stepped, unslice } from "../movement/slicing.ts";

/** How filters move over images or volumes. */
export interface Geometry {
  readonly stride: readonly number[];
  /** Zeros before and after each dimension. */
  readonly padding: readonly number[];
  /** Distance of the filter's cells; 1 if it isn't given. */
  readonly dilation?: readonly number[];
}

type Dilation = Geometry["dilation"];

/** Groups of channels: each has filters that see its own channels only. */
export const groupsOf = (channels: number, filters: Shape): number => channels / filters[1]!;

const isDense = (dilation: Dilation): boolean => dilation?.every((d) => d === 1) ?? true;

/** Length of a dimension of filters from the first cell to the last. */
export const extent = (cells: number, d: number, dilation: Dilation): number =>
  (dilation?.[d] ?? 1) * (cells - 1) + 1;

/** The shape of filters that have zeros between their cells. */
export const dilatedShape = ([o, i, ...cells]: Shape, dilation: Dilation): Shape => [
  o!,
  i!,
  ...cells.map((n, d) => extent(n, d, dilation)),
];

/** Attributes of a slice that takes the cells from among the zeros. */
function cellsOf(
  filters: Shape,
  dilation: Dilation,
): { begin: number[]; end: Shape; step: number[]; shape: Shape } {
  const shape = dilatedShape(filters, dilation);
  return { begin: shape.map(() => 0), end: shape, step: [1, 1, ...dilation!], shape };
}

const meta = (shape: Shape) => ({ shape, dtype: "float32" }) as const;

/** Filters with zeros between their cells: no CPU kernel of TensorFlow has the gradients of dilation. */
export function dilatedNode(b: TfBuilder, w: TfRef, filters: Shape, dilation: Dilation): TfRef {
  if (isDense(dilation)) return w;
  const cells = cellsOf(filters, dilation);
  const signature = { inputs: [meta(filters)], outputs: [meta(cells.shape)] };
  return unslice.tensorflow(b, [w], cells, signature) as TfRef;
}

/** The cells of filters with zeros between them: the inverse of {@link dilatedNode}. */
export function cellsNode(b: TfBuilder, w: TfRef, filters: Shape, dilation: Dilation): TfRef {
  if (isDense(dilation)) return w;
  const cells = cellsOf(filters, dilation);
  return slice.tensorflow(b, [w], cells, { inputs: [meta(cells.shape)], outputs: [meta(filters)] }) as TfRef;
}

/** {@link dilatedNode} in tfjs. */
export const dilatedFilters = (k: Tfjs, w: tfjs.Tensor, filters: Shape, dilation: Dilation): tfjs.Tensor =>
  isDense(dilation) ? w : spread(k, w, cellsOf(filters, dilation));

/** {@link cellsNode} in tfjs. */
export function filterCells(k: Tfjs, w: tfjs.Tensor, filters: Shape, dilation: Dilation): tfjs.Tensor {
  if (isDense(dilation)) return w;
  const { begin, end, step } = cellsOf(filters, dilation);
  return stepped(k, w, begin, end, step);
}

/** Attributes for the binding's own kernels, which support all geometries and infer groups from the shapes. */
export function geometry({ stride, padding, dilation }: Geometry): Record<string, TfAttribute> {
  const explicit = padding.some((p) => p !== 0);
  return {
    T,
    strides: attr.ints([1, ...stride, 1]),
    padding: attr.string(explicit ? "EXPLICIT" : "VALID"),
    explicit_paddings: attr.ints(explicit ? [0, 0, ...padding, 0, 0] : []),
    dilations: attr.ints(isDense(dilation) ? [] : [1, ...dilation!, 1]),
  };
}

/** Sizes of images or volumes [N, C, *], channels last, as TensorFlow's gradients for images take them. */
export const sizesOf = (b: TfBuilder, [n, c, ...spatial]: Shape): TfRef => vector(b, [n!, ...spatial, c!]);

/** Runs `run` on each group's parts of the inputs, split along an axis each, and joins the results along `axis`. */
export function perGroup(
  b: TfBuilder,
  groups: number,
  inputs: readonly (readonly [x: TfRef, axis: number])[],
  axis: number,
  run: (...parts: TfRef[]) => TfRef,
): TfRef {
  if (groups === 1) return run(...inputs.map(([x]) => x));
  const axisNode = (d: number): TfRef => scalar(b, d, "int64");
  const parts = inputs.map(([x, d]) =>
    b.nodes("Split", [axisNode(d), x], { T, num_split: attr.int(groups) }, groups),
  );
  const made = range(groups).map((g) => run(...parts.map((of) => of[g]!)));
  return b.node("ConcatV2", [...made, axisNode(axis)], { N: attr.int(groups), T, Tidx: INDEX });
}

/** {@link perGroup} in tfjs. */
export function eachGroup(
  k: Tfjs,
  groups: number,
  inputs: readonly (readonly [x: tfjs.Tensor, axis: number])[],
  axis: number,
  run: (...parts: tfjs.Tensor[]) => tfjs.Tensor,
): tfjs.Tensor {
  if (groups === 1) return run(...inputs.map(([x]) => x));
  const part = (x: tfjs.Tensor, d: number, g: number): tfjs.Tensor => {
    const length = x.shape[d]! / groups;
    const begin = x.shape.map((_, i) => (i === d ? g * length : 0));
    return k.slice(
      x,
      begin,
      x.shape.map((n, i) => (i === d ? length : n)),
    );
  };
  const made = range(groups).map((g) => run(...inputs.map(([x, d]) => part(x, d, g))));
  return k.concat(made, axis);
}

/** Whether TensorFlow's kernels for groups of one channel fit: they have one stride. */
export const isDepthwise = (groups: number, [, each, ...cells]: Shape, stride: readonly number[]): boolean =>
  groups > 1 && each === 1 && cells.length === 2 && stride[0] === stride[1];

/** Attributes of these kernels. */
export function depthwise({ stride, padding }: Geometry): Record<string, TfAttribute> {
  const explicit = padding.some((p) => p !== 0);
  return {
    T,
    strides: attr.ints([1, ...stride, 1]),
    padding: attr.string(explicit ? "EXPLICIT" : "VALID"),
    explicit_paddings: attr.ints(explicit ? [0, 0, ...padding, 0, 0] : []),
    data_format: attr.string("NHWC"),
    dilations: attr.ints([1, 1, 1, 1]),
  };
}

/** Filters [kH, kW, 1, out] for these kernels: [kH, kW, channels, out / channels]. */
export const depthwiseFilters = (b: TfBuilder, w: TfRef, [o, , h, width]: Shape, channels: number): TfRef =>
  reshapeNode(b, w, [h!, width!, channels, o! / channels]);
