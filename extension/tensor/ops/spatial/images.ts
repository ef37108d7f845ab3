import type * as tfjs from "@tensorflow/tfjs-core";
import {
  vector,
  attr,
  scalar,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
} from "../../lowering/lowering.ts";
import { ints, number, type OnnxBuilder, type OnnxRef } from "../../lowering/onnx.ts";
import type { Meta, Tfjs } from "../../recording/op.ts";
import type { Shape } from "../../core/shape.ts";
import { extent, groupsOf, type Geometry } from "./groups.ts";

/** Rows before and after, columns before and after. */
export type ImagePadding = readonly [top: number, bottom: number, left: number, right: number];

/** A [N, C, H, W] shape as it lies in memory for kernels that want channels last. */
export const nhwc = ([n, c, h, w]: Shape): [number, number, number, number] => [n!, h!, w!, c!];

/** Length of a sliding window's output: PyTorch's formula of convolution and pooling. */
export function outputSize(
  length: number,
  kernel: number,
  before: number,
  after: number,
  dilation: number,
  stride: number,
): number {
  return Math.floor((length + before + after - dilation * (kernel - 1) - 1) / stride) + 1;
}

/** NHWC images with `value` around them. Negative widths crop. */
export function padImages(k: Tfjs, x: tfjs.Tensor4D, padding: ImagePadding, value: number): tfjs.Tensor4D {
  if (padding.every((p) => p === 0)) return x;
  const [top, bottom, left, right] = padding;
  const crop = padding.map((p) => Math.max(-p, 0));
  const [n, h, w, c] = x.shape;
  const inner = crop.some((p) => p > 0)
    ? k.slice(x, [0, crop[0]!, crop[2]!, 0], [n, h - crop[0]! - crop[1]!, w - crop[2]! - crop[3]!, c])
    : x;
  const wide = [top, bottom, left, right].map((p) => Math.max(p, 0));
  return k.pad(
    inner,
    [
      [0, 0],
      [wide[0]!, wide[1]!],
      [wide[2]!, wide[3]!],
      [0, 0],
    ],
    value,
  );
}

/** The same in TensorFlow, for kernels that refuse explicit padding. */
export function padNode(b: TfBuilder, x: TfRef, padding: ImagePadding, value: number): TfRef {
  if (padding.every((p) => p === 0)) return x;
  const paddings = b.constant(Int32Array.of(0, 0, ...padding, 0, 0), [4, 2], "int64");
  return b.node("PadV2", [x, paddings, scalar(b, value, "float32")], {
    T: attr.type("float32"),
    Tpaddings: attr.type("int64"),
  });
}

/** Undoes {@link padNode}. `shape` is the unpadded NCHW shape. */
export function cropNode(b: TfBuilder, x: TfRef, padding: ImagePadding, shape: Shape): TfRef {
  if (padding.every((p) => p === 0)) return x;
  return b.node("Slice", [x, vector(b, [0, padding[0], padding[2], 0]), vector(b, nhwc(shape))], {
    T: attr.type("float32"),
    Index: attr.type("int64"),
  });
}

/** Paddings before all dimensions, then after them: ours are before and after each. */
const onnxPads = (padding: readonly number[]): number[] =>
  [0, 1].flatMap((side) => padding.filter((_, i) => i % 2 === side));

/** Attributes of ONNX's convolutions, but for padding. */
const onnxGeometry = (a: Geometry, groups: number): Record<string, TfAttribute> => ({
  strides: attr.ints(a.stride),
  ...(groups > 1 ? { group: attr.int(groups) } : {}),
  ...(a.dilation === undefined ? {} : { dilations: attr.ints(a.dilation) }),
});

/** A convolution in ONNX, of images or volumes. */
export function onnxConvolution(
  b: OnnxBuilder,
  [x, w]: readonly [OnnxRef, OnnxRef],
  a: Geometry,
  [xMeta, wMeta]: readonly Meta[],
): OnnxRef {
  const crops = a.padding.some((p) => p < 0);
  const pads = onnxPads(a.padding);
  const half = pads.length / 2;
  const around = [0, 0, ...pads.slice(0, half), 0, 0, ...pads.slice(half)];
  const images = crops ? b.node("Pad", [x, ints(b, around), number(b, 0)]) : x;
  return b.node("Conv", [images, w], {
    ...onnxGeometry(a, groupsOf(xMeta!.shape[1]!, wMeta!.shape)),
    pads: attr.ints(crops ? pads.map(() => 0) : pads),
  });
}

/** The transposed convolution of `g` to a `shape`, in ONNX. */
export function onnxTransposed(
  b: OnnxBuilder,
  [g, w]: readonly [OnnxRef, OnnxRef],
  a: Geometry & { readonly shape: Shape },
  [gMeta, wMeta]: readonly Meta[],
): OnnxRef {
  const missing = a.shape.slice(2).map((length, d) => {
    const cells = extent(wMeta!.shape[d + 2]!, d, a.dilation);
    const covered = (gMeta!.shape[d + 2]! - 1) * a.stride[d]! + cells;
    return length - covered + a.padding[2 * d]! + a.padding[2 * d + 1]!;
  });
  return b.node("ConvTranspose", [g, w], {
    ...onnxGeometry(a, groupsOf(a.shape[1]!, wMeta!.shape)),
    pads: attr.ints(onnxPads(a.padding)),
    output_padding: attr.ints(missing),
  });
}
