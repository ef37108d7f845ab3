// Convolutions of all samples of a batch.
import type { Meta } from "../../core/meta.ts";
import { numel, type Shape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { apply } from "../../recording/apply.ts";
import type { BatchContext, BatchRule } from "../../recording/op.ts";
import { add } from "../elementwise/elementwise.ts";
import { matmul } from "../matrix/matmul.ts";
import { groupsOf } from "./groups.ts";
import { cat, pad, reshape, sum } from "../movement/movement.ts";
import { slice, sliceAlong, unslice } from "../movement/slicing.ts";
import { call } from "../expressions.ts";

interface Attributes {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation?: readonly number[];
  /** Of the output, for gradients. */
  readonly shape?: Shape;
}

/** The dimension that samples are merged into, and that of the output that they are split along. */
type Merge = readonly [input: number, output: number];

interface Kind {
  /** Position of the images, and of the filters, among the two inputs and the output. */
  readonly images: number;
  readonly filters: number;
  /** For each input, the merge of its samples if the other input is shared and there are no groups. */
  readonly merges: readonly [Merge, Merge];
  /** Dimensions in which samples of both inputs and of the output become groups. */
  readonly grouped: readonly [number, number, number];
}

const KINDS = {
  convolution: {
    images: 0,
    filters: 1,
    merges: [
      [0, 0],
      [0, 1],
    ],
    grouped: [1, 0, 1],
  },
  imageGradient: {
    images: 2,
    filters: 1,
    merges: [
      [0, 0],
      [1, 1],
    ],
    grouped: [1, 0, 1],
  },
  filterGradient: {
    images: 1,
    filters: 2,
    merges: [
      [1, 0],
      [1, 1],
    ],
    grouped: [1, 1, 0],
  },
} satisfies Record<string, Kind>;

/**
 * A convolution, or a gradient of one: samples of one input become more images or channels, those of both become groups.
 * @param both where both differ from sample to sample, without groups or dilation
 */
export const convolving =
  <A extends Attributes>(kind: keyof typeof KINDS, both?: (c: BatchContext<A>) => Tensor): BatchRule<A> =>
  (c) => {
    const { images, filters, merges, grouped }: Kind = KINDS[kind];
    const { shape, dilation } = c.attributes;
    const merged = (inputs: readonly Tensor[], out: number): Tensor => {
      const larger = shape?.map((n, d) => (d === out ? n * c.size : n));
      return c.split(
        c.apply(inputs, larger === undefined ? c.attributes : { ...c.attributes, shape: larger }),
        out,
      );
    };
    const metas = [...c.signature.inputs, ...c.signature.outputs];
    const groups = groupsOf(metas[images]!.shape[1]!, metas[filters]!.shape);
    const apart = (): Tensor => {
      const [a, b, out] = grouped;
      return merged([c.merged(c.whole(0), a), c.merged(c.whole(1), b)], out);
    };
    if (c.batched[0] && c.batched[1])
      return (groups === 1 && dilation === undefined ? both?.(c) : undefined) ?? apart();
    const own = c.batched[0] ? 0 : 1;
    const [dim, out] = merges[own];
    // Channels of a group must stay together.
    if (groups > 1 && (dim !== 0 || out !== 0)) return apart();
    return merged(
      c.inputs.map((x, i) => (i === own ? c.merged(x, dim) : x)),
      out,
    );
  };

type Images = readonly [n: number, channels: number, height: number, width: number];

const product = (x: Tensor, y: Tensor, transposeA: boolean, transposeB: boolean): Tensor =>
  apply(matmul, [x, y], { transposeA, transposeB });

/** Where each cell of a filter meets padded images. */
function cells(
  [, , kh, kw]: Shape,
  [, , oh, ow]: Shape,
  [n, c]: Shape,
  stride: readonly number[],
): { begin: number[]; end: number[]; step: number[] }[] {
  const [sh, sw] = stride as [number, number];
  const found = [];
  for (let i = 0; i < kh!; i++)
    for (let j = 0; j < kw!; j++) {
      const end = [n!, c!, i + (oh! - 1) * sh + 1, j + (ow! - 1) * sw + 1];
      found.push({ begin: [0, 0, i, j], end, step: [1, 1, sh, sw] });
    }
  return found;
}

/** Input pixels under every filter cell (im2col): images [M, C, H, W] to [M, C · kH · kW, places]. */
function patches(x: Tensor, filters: Shape, output: Shape, { stride, padding }: Attributes): Tensor {
  const [top, bottom, left, right] = padding as [number, number, number, number];
  const image = padding.some((p) => p !== 0)
    ? apply(pad, [x], { before: [0, 0, top, left], after: [0, 0, bottom, right], value: 0 })
    : x;
  const [m, c] = image.shape as Images;
  const places = output[2]! * output[3]!;
  const found = cells(filters, output, image.shape, stride).map((cell) =>
    apply(reshape, [apply(slice, [image], cell)], { shape: [m, c, 1, places] }),
  );
  const all = found.length === 1 ? found[0]! : apply(cat, found, { dim: 2 });
  return apply(reshape, [all], { shape: [m, c * found.length, places] });
}

/** The adjoint of {@link patches}. */
function gathered(columns: Tensor, filters: Shape, output: Shape, to: Shape, a: Attributes): Tensor {
  const [top, bottom, left, right] = a.padding as [number, number, number, number];
  const [m, c, h, w] = to as Images;
  const shape = [m, c, h + top + bottom, w + left + right];
  const [, , oh, ow] = output as Images;
  const found = cells(filters, output, shape, a.stride);
  const apart = apply(reshape, [columns], { shape: [m, c, found.length, oh * ow] });
  const parts = found.map((cell, i) => {
    const own = apply(reshape, [sliceAlong(apart, 2, i, i + 1)], { shape: [m, c, oh, ow] });
    return apply(unslice, [own], { ...cell, shape });
  });
  const image = parts.reduce((x, y) => call(add, x, y));
  if (a.padding.every((p) => p === 0)) return image;
  return apply(slice, [image], {
    begin: [0, 0, top, left],
    end: [m, c, top + h, left + w],
    step: [1, 1, 1, 1],
  });
}

/** Filters of each sample as matrices: [size, 1, O, C · kH · kW]. */
const matrices = (c: BatchContext<Attributes>, w: Tensor, { shape }: Meta): Tensor =>
  c.reshaped(w, [c.size, 1, shape[0]!, numel(shape.slice(1))]);

/** Each sample's images with its own filters. */
export function convolutions(c: BatchContext<Attributes>): Tensor {
  const [x, w] = c.signature.inputs as [Meta, Meta];
  const [{ shape }] = c.signature.outputs as [Meta];
  const columns = patches(c.merged(c.inputs[0]!, 0), w.shape, shape, c.attributes);
  const apart = c.reshaped(columns, [c.size, x.shape[0]!, ...columns.shape.slice(1)]);
  return c.reshaped(product(matrices(c, c.inputs[1]!, w), apart, false, false), [c.size, ...shape]);
}

/** Gradients of each sample's images, by its own filters. */
export function imageGradients(c: BatchContext<Attributes>): Tensor {
  const [g, w] = c.signature.inputs as [Meta, Meta];
  const [n, o, oh, ow] = g.shape as Images;
  const [{ shape }] = c.signature.outputs as [Meta];
  const given = c.reshaped(c.inputs[0]!, [c.size, n, o, oh * ow]);
  const columns = product(matrices(c, c.inputs[1]!, w), given, true, false);
  const flat = c.reshaped(columns, [c.size * n, ...columns.shape.slice(2)]);
  const to = [c.size * n, ...shape.slice(1)];
  return c.split(gathered(flat, w.shape, g.shape, to, c.attributes), 0);
}

/** Gradients of the filters for each sample. */
export function filterGradients(c: BatchContext<Attributes>): Tensor {
  const [g, x] = c.signature.inputs as [Meta, Meta];
  const [n, o, oh, ow] = g.shape as Images;
  const [{ shape }] = c.signature.outputs as [Meta];
  const columns = patches(c.merged(c.inputs[1]!, 0), shape, g.shape, c.attributes);
  const apart = c.reshaped(columns, [c.size, x.shape[0]!, ...columns.shape.slice(1)]);
  const given = c.reshaped(c.inputs[0]!, [c.size, n, o, oh * ow]);
  const each = product(given, apart, false, true);
  const total = n === 1 ? each : apply(sum, [each], { dims: [1], keepdim: false });
  return c.reshaped(total, [c.size, ...shape]);
}
