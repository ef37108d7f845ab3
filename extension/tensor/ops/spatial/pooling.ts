import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, type TfAttribute } from "../../lowering/lowering.ts";
import { T } from "../../lowering/nodes.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { merging } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { imagewise } from "../../planning/parts.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call, zeros } from "../expressions.ts";
import { cropNode, outputSize, padImages, padNode, type ImagePadding } from "./images.ts";
import { gatherLast } from "../movement/elements.ts";
import { cat, pad, reshape } from "../movement/movement.ts";
import { argmax } from "../reduction/reduction.ts";
import { slice } from "../movement/slicing.ts";

type Pair = readonly [number, number];

export interface Pooling {
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Cells around the image that are never the maximum; `ceilMode` shows here as more of them at the end. */
  readonly padding: ImagePadding;
}

const LOWEST = -Infinity;

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
  saves: () => [true],
  gradient: ({ grad, inputs: [x], outputs: [y], attributes }) => [
    apply(maxPool2dGrad, [x!, y!, grad], attributes),
  ],
  batch: merging([0], [0]),
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
  tfjs(k, [x], { kernel, stride, padding }) {
    const images = padImages(k, x as tfjs.Tensor4D, padding, LOWEST);
    const most = (t: tfjs.Tensor): tfjs.Tensor =>
      k.maxPool(t as tfjs.Tensor4D, [...kernel], [...stride], "valid");
    // wasm's kernel passes NaN over.
    const nans = most(k.cast(k.isNaN(images), "float32"));
    return k.where(k.cast(nans, "bool"), k.scalar(NaN), most(images));
  },
  parts: imagewise([0], "images"),
});

/** Gives each window's gradient to the place of its first maximum. */
export const maxPool2dGrad: Op<Pooling> = defineOp<Pooling>({
  name: "maxPool2dGrad",
  layout: { images: [0, 1, 2], output: true },
  infer: ([x]) => x!,
  // Constant in x and linear in g: the gradient of g is the incoming gradient at each window's maximum.
  gradient: ({ grad, inputs: [x], attributes, needs }) => [
    needs[0] ? zeros(x!.shape) : null,
    null,
    needs[2] ? atMaxima(x!, grad, attributes) : null,
  ],
  batch: merging([0, 0, 0], [0]),
  onnx: TRAINING_ONLY,
  tensorflow(b, [x, y, g], a, { inputs }) {
    const padded = padNode(b, x!, a.padding, LOWEST);
    const grad = b.node("MaxPoolGrad", [padded, y!, g!], {
      ...attributesOf(a),
      explicit_paddings: attr.ints([]),
    });
    return cropNode(b, grad, a.padding, inputs[0]!.shape);
  },
  tfjs: (k, [x, , g], a) => maxPoolGradient(k, x as tfjs.Tensor4D, g as tfjs.Tensor4D, a),
  parts: imagewise([0, 1, 2], "images"),
});

/** Elements of `values` at the place of each window's first maximum of x. */
function atMaxima(x: Tensor, values: Tensor, attributes: Pooling): Tensor {
  const candidates = windowsOf(x, LOWEST, attributes);
  const { shape } = candidates;
  const first = apply(argmax, [candidates], { dim: 4 });
  const at = apply(reshape, [first], { shape: [...first.shape, 1] });
  const picked = call(gatherLast, windowsOf(values, 0, attributes), at);
  return apply(reshape, [picked], { shape: shape.slice(0, 4) });
}

/** The cells of every window in a dimension of their own, with `value` in the padding. */
function windowsOf(x: Tensor, value: number, { kernel, stride, padding }: Pooling): Tensor {
  const [top, bottom, left, right] = padding;
  const image = apply(pad, [x], { before: [0, 0, top, left], after: [0, 0, bottom, right], value });
  const [n, c, h, w] = image.shape as [number, number, number, number];
  const oh = outputSize(h, kernel[0], 0, 0, 1, stride[0]);
  const ow = outputSize(w, kernel[1], 0, 0, 1, stride[1]);
  const cells: Tensor[] = [];
  for (let i = 0; i < kernel[0]; i++)
    for (let j = 0; j < kernel[1]; j++) {
      const end = [n, c, i + (oh - 1) * stride[0] + 1, j + (ow - 1) * stride[1] + 1];
      const cell = apply(slice, [image], { begin: [0, 0, i, j], end, step: [1, 1, ...stride] });
      cells.push(apply(reshape, [cell], { shape: [n, c, oh, ow, 1] }));
    }
  return cells.length === 1 ? cells[0]! : apply(cat, cells, { dim: 4 });
}

/**
 * Adds each window's gradient to its first maximum, or to its last NaN, as in PyTorch. tfjs's wasm backend has no
 * kernel for it; composed of its other kernels, it took most of a convolutional network's step.
 */
function maxPoolGradient(
  k: Parameters<Op<Pooling>["tfjs"]>[0],
  x: tfjs.Tensor4D,
  g: tfjs.Tensor4D,
  { kernel, stride, padding: [top, , left] }: Pooling,
): tfjs.Tensor {
  const [n, h, w, c] = x.shape;
  const [, oh, ow] = g.shape;
  const values = x.dataSync();
  const gradients = g.dataSync();
  const result = new Float32Array(values.length);
  let at = 0;
  for (let image = 0; image < n; image++)
    for (let oy = 0; oy < oh; oy++) {
      const [fromY, toY] = range(oy * stride[0] - top, kernel[0], h);
      for (let ox = 0; ox < ow; ox++) {
        const [fromX, toX] = range(ox * stride[1] - left, kernel[1], w);
        for (let channel = 0; channel < c; channel++, at++) {
          let largest = -Infinity;
          let where = -1;
          for (let y = fromY; y < toY; y++)
            for (let px = fromX; px < toX; px++) {
              const place = ((image * h + y) * w + px) * c + channel;
              const value = values[place]!;
              if (where >= 0 && value <= largest) continue;
              if (where >= 0 && Number.isNaN(largest) && !Number.isNaN(value)) continue;
              largest = value;
              where = place;
            }
          // A window of padding alone has no maximum.
          if (where >= 0) result[where]! += gradients[at]!;
        }
      }
    }
  return k.tensor(result, [n, h, w, c]);
}

/** The part of a window that lies inside. */
const range = (from: number, size: number, length: number): [number, number] => [
  Math.max(0, from),
  Math.min(length, from + size),
];
