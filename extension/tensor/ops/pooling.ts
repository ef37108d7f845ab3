import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../apply.ts";
import { TensorError } from "../errors.ts";
import { attr, type TfAttribute } from "../lowering.ts";
import { TRAINING_ONLY } from "../onnx.ts";
import { defineOp, type Op, type Signature } from "../op.ts";
import { imagewise } from "../parts.ts";
import { cropNode, outputSize, padImages, padNode, type ImagePadding } from "./images.ts";

type Pair = readonly [number, number];

export interface Pooling {
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Cells around the image that are never the maximum; `ceilMode` shows here as more of them at the end. */
  readonly padding: ImagePadding;
}

const T = attr.type("float32");
const LOWEST = -3.4028234663852886e38;

const attributesOf = ({ kernel, stride }: Pooling): Record<string, TfAttribute> => ({
  T,
  ksize: attr.ints([1, ...kernel, 1]),
  strides: attr.ints([1, ...stride, 1]),
  padding: attr.string("VALID"),
  data_format: attr.string("NHWC"),
});

/**
 * Largest value of every window of images [N, C, H, W].
 * @throws TensorError "Given input size: (1x2x2). Calculated output size: (1x0x0). Output size is too small"
 */
export const maxPool2d: Op<Pooling> = defineOp<Pooling>({
  name: "maxPool2d",
  layout: { images: [0], output: true },
  infer([x], { kernel, stride, padding: [top, bottom, left, right] }) {
    const [n, c, h, w] = x!.shape as [number, number, number, number];
    const oh = outputSize(h, kernel[0], top, bottom, 1, stride[0]);
    const ow = outputSize(w, kernel[1], left, right, 1, stride[1]);
    if (oh < 1 || ow < 1) {
      throw new TensorError(
        "shape",
        `Given input size: (${c}x${h}x${w}). Calculated output size: (${c}x${oh}x${ow}). Output size is too small`,
      );
    }
    return { shape: [n, c, oh, ow], dtype: "float32" };
  },
  gradient: ({ grad, inputs: [x], outputs: [y], attributes }) => [
    apply(maxPool2dGrad, [x!, y!, grad], attributes),
  ],
  onnx: (b, [x], { kernel, stride, padding: [top, bottom, left, right] }) =>
    b.node("MaxPool", [x!], {
      kernel_shape: attr.ints(kernel),
      strides: attr.ints(stride),
      pads: attr.ints([top, left, bottom, right]),
    }),
  tensorflow: (b, [x], a) =>
    b.node("MaxPool", [padNode(b, x!, a.padding, LOWEST)], {
      ...attributesOf(a),
      explicit_paddings: attr.ints([]),
    }),
  tfjs: (k, [x], { kernel, stride, padding }) =>
    k.maxPool(padImages(k, x as tfjs.Tensor4D, padding, LOWEST), [...kernel], [...stride], "valid"),
  parts: imagewise([0], "images"),
});

/** Gives each window's gradient to the place of its first maximum. */
export const maxPool2dGrad: Op<Pooling> = defineOp<Pooling>({
  name: "maxPool2dGrad",
  layout: { images: [0, 1, 2], output: true },
  infer: ([x]) => x!,
  gradient: { none: "the second derivative of max pooling is not implemented" },
  onnx: TRAINING_ONLY,
  tensorflow(b, [x, y, g], a, { inputs }) {
    const padded = padNode(b, x!, a.padding, LOWEST);
    const grad = b.node("MaxPoolGrad", [padded, y!, g!], {
      ...attributesOf(a),
      explicit_paddings: attr.ints([]),
    });
    return cropNode(b, grad, a.padding, inputs[0]!.shape);
  },
  tfjs: (k, [x, y, g], a, signature) =>
    maxPoolGradient(k, x as tfjs.Tensor4D, y as tfjs.Tensor4D, g as tfjs.Tensor4D, a, signature),
  parts: imagewise([0, 1, 2], "images"),
});

/**
 * No wasm kernel exists for this gradient: for each place of the window, compare and pass the gradient on where it is
 * the first maximum.
 */
function maxPoolGradient(
  k: Parameters<Op<Pooling>["tfjs"]>[0],
  x: tfjs.Tensor4D,
  y: tfjs.Tensor4D,
  g: tfjs.Tensor4D,
  { kernel, stride, padding }: Pooling,
  { inputs }: Signature,
): tfjs.Tensor {
  const padded = padImages(k, x, padding, LOWEST);
  const [n, ph, pw, c] = padded.shape;
  const [, oh, ow] = y.shape;
  const spanH = (oh - 1) * stride[0] + 1;
  const spanW = (ow - 1) * stride[1] + 1;
  let free: tfjs.Tensor = k.onesLike(y);
  let total: tfjs.Tensor | undefined;
  for (let i = 0; i < kernel[0]; i++) {
    for (let j = 0; j < kernel[1]; j++) {
      const cell = k.stridedSlice(padded, [0, i, j, 0], [n, i + spanH, j + spanW, c], [1, ...stride, 1]);
      const hit = k.mul(k.cast(k.equal(cell, y), "float32"), free);
      free = k.sub(free, hit);
      const spread = k.reshape<tfjs.Rank.R4>(
        k.pad(k.reshape(k.mul(hit, g), [n, oh, 1, ow, 1, c]), [
          [0, 0],
          [0, 0],
          [0, stride[0] - 1],
          [0, 0],
          [0, stride[1] - 1],
          [0, 0],
        ]),
        [n, oh * stride[0], ow * stride[1], c],
      );
      const placed = padImages(k, spread, [i, ph - i - oh * stride[0], j, pw - j - ow * stride[1]], 0);
      total = total === undefined ? placed : k.add(total, placed);
    }
  }
  const [, , h, w] = inputs[0]!.shape as [number, number, number, number];
  return k.slice(total as tfjs.Tensor4D, [0, padding[0], padding[2], 0], [n, h, w, c]);
}
