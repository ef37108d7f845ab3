import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { call, zeros } from "../expressions.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, vector, type TfAttribute } from "../../lowering/lowering.ts";
import { T, transposeNode } from "../../lowering/nodes.ts";
import { ints, TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { sum, reshape } from "../movement/movement.ts";
import { add } from "../elementwise/elementwise.ts";
import { convolutions, convolving, filterGradients, imageGradients } from "./batchedConvolution.ts";
import { nhwc, onnxConvolution, onnxTransposed, outputSize, padImages, padNode } from "./images.ts";
import { formatShape, numel, range, type Shape } from "../../core/shape.ts";
import { imagewise, partOf } from "../../planning/parts.ts";
import type { Tensor } from "../../core/tensor.ts";
import { filterGradient } from "../wasmKernels.ts";
import { columnSum, hostSum } from "../reduction/sums.ts";

type Pair = readonly [number, number];

export interface Convolution {
  readonly stride: Pair;
  /** Zeros before and after height, before and after width. */
  readonly padding: readonly [top: number, bottom: number, left: number, right: number];
}

// TensorFlow's filters are [height, width, in, out], PyTorch's [out, in, height, width].
const HWIO = [2, 3, 1, 0];
const OIHW = [3, 2, 0, 1];

/** @param same whether the padding is the one that TensorFlow calls so */
function convolutionAttributes({ stride, padding }: Convolution, same = false): Record<string, TfAttribute> {
  const explicit = !same && padding.some((p) => p !== 0);
  return {
    T,
    strides: attr.ints([1, ...stride, 1]),
    padding: attr.string(same ? "SAME" : explicit ? "EXPLICIT" : "VALID"),
    explicit_paddings: attr.ints(explicit ? [0, 0, ...padding, 0, 0] : []),
    use_cudnn_on_gpu: attr.bool(true),
    data_format: attr.string("NHWC"),
  };
}

/**
 * Whether TensorFlow's "SAME" pads images of a shape just so. oneDNN computes gradients with padding only if it is called
 * that: without it, those of filters take two to ten times as long.
 */
function isSame({ stride, padding }: Convolution, images: Shape, filters: Shape): boolean {
  return stride.every((s, d) => {
    const [length, kernel] = [images[d + 2]!, filters[d + 2]!];
    const all = Math.max((Math.ceil(length / s) - 1) * s + kernel - length, 0);
    return padding[2 * d] === all >> 1 && padding[2 * d + 1] === all - (all >> 1);
  });
}

/**
 * Cross-correlation of images [N, C, H, W] with filters [O, C, kH, kW]. Dilated filters come with their zeros: no CPU
 * kernel has the gradients of dilation.
 * @throws TensorError "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead"
 */
export const conv2d: Op<Convolution> = defineOp<Convolution>({
  name: "conv2d",
  layout: { images: [0], output: true },
  infer([x, w], { stride, padding: [top, bottom, left, right] }) {
    const [n, c, h, width] = x!.shape;
    const [o, i, kh, kw] = w!.shape;
    if (c !== i) {
      throw new TensorError(
        "shape",
        `Given groups=1, weight of size ${formatShape(w!.shape)}, expected input${formatShape(x!.shape)} to have ${i} channels, but got ${c} channels instead`,
      );
    }
    const oh = outputSize(h!, kh!, top, bottom, 1, stride[0]);
    const ow = outputSize(width!, kw!, left, right, 1, stride[1]);
    if (oh < 1 || ow < 1) {
      throw new TensorError(
        "shape",
        `Calculated padded input size per channel: (${h! + top + bottom} x ${width! + left + right}). Kernel size: (${kh} x ${kw}). Kernel size can't be greater than actual input size`,
      );
    }
    return { shape: [n!, o!, oh, ow], dtype: "float32" };
  },
  gradient: ({ grad, inputs: [x, w], attributes, needs }) => [
    needs[0] ? apply(conv2dInputGrad, [grad, w!], { ...attributes, shape: x!.shape }) : null,
    needs[1] ? apply(conv2dWeightGrad, [grad, x!], { ...attributes, shape: w!.shape }) : null,
  ],
  batch: convolving(
    [
      [0, 0],
      [0, 1],
    ],
    convolutions,
  ),
  onnx: (b, [x, w], { stride, padding }) => onnxConvolution(b, x!, w!, stride, padding),
  tensorflow: (b, [x, w], attributes) =>
    b.node("Conv2D", [x!, transposeNode(b, w!, HWIO)], convolutionAttributes(attributes)),
  tfjs(k, [x, w], { stride, padding }) {
    const filter = k.transpose<tfjs.Tensor4D>(w as tfjs.Tensor4D, HWIO);
    const padded = padImages(k, x as tfjs.Tensor4D, padding, 0);
    return k.conv2d(padded, filter, [...stride], "valid");
  },
  cost: ({ inputs, outputs }) => numel(outputs[0]!.shape) * numel(inputs[1]!.shape.slice(1)),
  parts: imagewise([0], "images"),
});

/** Gradient of {@link conv2d} with respect to its images, of `shape`: the transposed convolution. */
export const conv2dInputGrad: Op<Convolution & { shape: Shape }> = defineOp<Convolution & { shape: Shape }>({
  name: "conv2dInputGrad",
  layout: { images: [0], output: true },
  infer: (_, { shape }) => ({ shape, dtype: "float32" }),
  gradient: ({ grad, inputs: [g, w], attributes: { stride, padding }, needs }) => [
    needs[0] ? apply(conv2d, [grad, w!], { stride, padding }) : null,
    needs[1] ? apply(conv2dWeightGrad, [g!, grad], { stride, padding, shape: w!.shape }) : null,
  ],
  batch: convolving(
    [
      [0, 0],
      [1, 1],
    ],
    imageGradients,
  ),
  onnx: (b, [g, w], { stride, padding, shape }, { inputs }) =>
    onnxTransposed(b, [g!, w!], { stride, padding, shape }, inputs),
  tensorflow: (b, [g, w], attributes, { inputs }) =>
    b.node(
      "Conv2DBackpropInput",
      [vector(b, nhwc(attributes.shape)), transposeNode(b, w!, HWIO), g!],
      convolutionAttributes(attributes, isSame(attributes, attributes.shape, inputs[1]!.shape)),
    ),
  tfjs(k, [g, w], { stride, padding: [top, , left], shape }, { inputs }) {
    const [, , h, width] = shape as [number, number, number, number];
    const [, , kh, kw] = inputs[1]!.shape as [number, number, number, number];
    // Dilated gradient, padded, convolved with the flipped filter: no backend kernel needed for any stride.
    const filter = k.reverse<tfjs.Tensor4D>(k.transpose(w as tfjs.Tensor4D, [2, 3, 0, 1]), [0, 1]);
    const [sh, sw] = stride;
    const [n, gh, gw, o] = (g as tfjs.Tensor4D).shape;
    const spread = k.slice(
      k.reshape(
        k.pad(k.reshape(g!, [n, gh, 1, gw, 1, o]), [
          [0, 0],
          [0, 0],
          [0, sh - 1],
          [0, 0],
          [0, sw - 1],
          [0, 0],
        ]),
        [n, gh * sh, gw * sw, o],
      ),
      [0, 0, 0, 0],
      [n, (gh - 1) * sh + 1, (gw - 1) * sw + 1, o],
    ) as tfjs.Tensor4D;
    const before: Pair = [kh - 1 - top, kw - 1 - left];
    const rowsAfter = h + kh - 1 - before[0] - ((gh - 1) * sh + 1);
    const columnsAfter = width + kw - 1 - before[1] - ((gw - 1) * sw + 1);
    const padded = padImages(k, spread, [before[0], rowsAfter, before[1], columnsAfter], 0);
    return k.conv2d(padded, filter, 1, "valid");
  },
  cost: ({ inputs }) => numel(inputs[0]!.shape) * numel(inputs[1]!.shape.slice(1)),
  parts: imagewise([0], "images", (a, cut, parts) => ({ ...a, shape: partOf(a.shape, cut, parts) })),
});

/** Gradient of {@link conv2d} with respect to its filters, of `shape`. */
export const conv2dWeightGrad: Op<Convolution & { shape: Shape }> = defineOp<Convolution & { shape: Shape }>({
  name: "conv2dWeightGrad",
  layout: { images: [0, 1], output: false },
  infer: (_, { shape }) => ({ shape, dtype: "float32" }),
  gradient: ({ grad, inputs: [g, x], attributes: { stride, padding }, needs }) => [
    needs[0] ? apply(conv2d, [x!, grad], { stride, padding }) : null,
    needs[1] ? apply(conv2dInputGrad, [g!, grad], { stride, padding, shape: x!.shape }) : null,
  ],
  batch: convolving(
    [
      [1, 0],
      [1, 1],
    ],
    filterGradients,
  ),
  onnx: TRAINING_ONLY,
  tensorflow(b, [g, x], attributes, { inputs }) {
    const { shape, stride, padding } = attributes;
    const [o, i, h, w] = shape as [number, number, number, number];
    const same = isSame(attributes, inputs[1]!.shape, shape);
    const images = same ? x! : padNode(b, x!, padding, 0);
    const filter = b.node(
      "Conv2DBackpropFilter",
      [images, vector(b, [h, w, i, o]), g!],
      convolutionAttributes({ stride, padding: [0, 0, 0, 0] }, same),
    );
    return transposeNode(b, filter, OIHW);
  },
  tfjs(k, [g, x], { stride, padding, shape }) {
    const [, , kh, kw] = shape as [number, number, number, number];
    const images = [x, g] as tfjs.Tensor4D[];
    return k.transpose(filterGradient(k, images[0]!, images[1]!, [kh, kw], stride, padding), OIHW);
  },
  cost: ({ inputs }, { shape }) => numel(inputs[0]!.shape) * numel(shape.slice(1)),
  parts: imagewise([0, 1], "sum"),
});

/** Adds a value per channel to images or volumes. */
export const addChannelBias: Op<object> = defineOp({
  name: "addChannelBias",
  layout: { images: [0], output: true },
  infer: ([x]) => x!,
  gradient: ({ grad, needs }) => [grad, needs[1] ? call(channelBiasGrad, grad) : null],
  batch(c) {
    if (!c.batched[1]) return c.parted(c.apply([c.merged(c.inputs[0]!, 0), c.inputs[1]!]), 0);
    const { shape } = c.signature.outputs[0]!;
    const ones = shape.slice(2).map(() => 1);
    const bias = apply(reshape, [c.inputs[1]!], { shape: [c.size, 1, shape[1]!, ...ones] });
    return call(add, c.inputs[0]!, bias);
  },
  onnx: (b, [x, bias], _, { inputs }) =>
    b.node("Add", [x!, b.node("Unsqueeze", [bias!, ints(b, range(inputs[0]!.shape.length - 1).slice(1))])]),
  tensorflow: (b, inputs) => b.node("BiasAdd", inputs, { T, data_format: attr.string("NHWC") }),
  tfjs: (k, [x, bias]) => k.add(x!, bias!),
  cost: ({ outputs }) => numel(outputs[0]!.shape),
  parts: imagewise([0], "images"),
});

/** Sum of images or volumes over everything but channels. */
export const channelBiasGrad: Op<object> = defineOp({
  name: "channelBiasGrad",
  layout: { images: [0], output: false },
  infer: ([x]) => ({ shape: [x!.shape[1]!], dtype: "float32" }),
  gradient: ({ grad, inputs }) => [call(addChannelBias, zeros(inputs[0]!.shape), grad)],
  batch(c) {
    const [x] = c.inputs as [Tensor];
    const dims = range(x.ndim).filter((d) => d !== 0 && d !== 2);
    return apply(sum, [x], { dims, keepdim: false });
  },
  onnx: TRAINING_ONLY,
  tensorflow(b, [x], _, { inputs: [images] }) {
    const [n, c, ...spatial] = images!.shape as [number, number, ...number[]];
    return columnSum(b, x!, [n, ...spatial, c]);
  },
  tfjs: (k, [x], _, { outputs }) => hostSum(k, x!, range(x!.rank - 1), outputs[0]!),
  cost: ({ inputs }) => numel(inputs[0]!.shape),
  parts: imagewise([0], "sum"),
});
