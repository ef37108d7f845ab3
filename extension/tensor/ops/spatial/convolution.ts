import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { call, zeros } from "../expressions.ts";
import { TensorError } from "../../core/errors.ts";
import { attr, vector, type TfAttribute, type TfRef } from "../../lowering/lowering.ts";
import { reshapeNode, T, transposeNode } from "../../lowering/nodes.ts";
import { ints, TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { sum, reshape } from "../movement/movement.ts";
import { add } from "../elementwise/elementwise.ts";
import { convolutions, convolving, filterGradients, imageGradients } from "./batchedConvolution.ts";
import type { Tensor } from "../../core/tensor.ts";
import {
  cellsNode,
  depthwise,
  depthwiseFilters,
  dilatedFilters,
  dilatedNode,
  dilatedShape,
  eachGroup,
  extent,
  filterCells,
  geometry,
  groupsOf,
  isDepthwise,
  perGroup,
  sizesOf,
} from "./groups.ts";
import { onnxConvolution, onnxTransposed, outputSize, padImages, padNode } from "./images.ts";
import { formatShape, numel, range, type Shape } from "../../core/shape.ts";
import { imagewise, partOf } from "../../planning/parts.ts";
import { depthwiseConvolution, depthwiseFilterGradient, filterGradient } from "../wasmKernels.ts";
import { columnSum, hostSum } from "../reduction/sums.ts";

type Pair = readonly [number, number];

export interface Convolution {
  readonly stride: Pair;
  /** Zeros before and after height, before and after width. */
  readonly padding: readonly [top: number, bottom: number, left: number, right: number];
  /** Distance of the filters' cells; 1 if it isn't given. */
  readonly dilation?: Pair;
}

type ToShape = Convolution & { readonly shape: Shape };

const withoutShape = ({ stride, padding, dilation }: Convolution): Convolution =>
  dilation === undefined ? { stride, padding } : { stride, padding, dilation };

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
 * Cross-correlation of images [N, C, H, W] with filters [O, C / groups, kH, kW].
 * @throws TensorError "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead"
 */
export const conv2d: Op<Convolution> = defineOp<Convolution>({
  name: "conv2d",
  layout: { images: [0], output: true },
  infer([x, w], { stride, padding: [top, bottom, left, right], dilation }) {
    const [n, c, h, width] = x!.shape;
    const [o, i, kh, kw] = w!.shape;
    const groups = groupsOf(c!, w!.shape);
    if (!Number.isInteger(groups) || o! % groups !== 0) {
      throw new TensorError(
        "shape",
        `Given groups=1, weight of size ${formatShape(w!.shape)}, expected input${formatShape(x!.shape)} to have ${i} channels, but got ${c} channels instead`,
      );
    }
    const oh = outputSize(h!, kh!, top, bottom, dilation?.[0] ?? 1, stride[0]);
    const ow = outputSize(width!, kw!, left, right, dilation?.[1] ?? 1, stride[1]);
    if (oh < 1 || ow < 1) {
      throw new TensorError(
        "shape",
        `Calculated padded input size per channel: (${h! + top + bottom} x ${width! + left + right}). Kernel size: (${extent(kh!, 0, dilation)} x ${extent(kw!, 1, dilation)}). Kernel size can't be greater than actual input size`,
      );
    }
    return { shape: [n!, o!, oh, ow], dtype: "float32" };
  },
  gradient: ({ grad, inputs: [x, w], attributes, needs }) => [
    needs[0] ? apply(conv2dInputGrad, [grad, w!], { ...attributes, shape: x!.shape }) : null,
    needs[1] ? apply(conv2dWeightGrad, [grad, x!], { ...attributes, shape: w!.shape }) : null,
  ],
  batch: convolving("convolution", convolutions),
  onnx: (b, [x, w], a, { inputs }) => onnxConvolution(b, [x!, w!], a, inputs),
  tensorflow(b, [x, w], a, { inputs: [images, filters] }) {
    if (b.exact === true) return b.node("Conv2D", [x!, transposeNode(b, w!, HWIO)], geometry(a));
    const { shape } = filters!;
    const channels = images!.shape[1]!;
    const groups = groupsOf(channels, shape);
    const filter = transposeNode(b, dilatedNode(b, w!, shape, a.dilation), HWIO);
    if (isDepthwise(groups, shape, a.stride)) {
      const own = depthwiseFilters(b, filter, dilatedShape(shape, a.dilation), channels);
      return b.node("DepthwiseConv2dNative", [x!, own], depthwise(a));
    }
    const run = (xs: TfRef, ws: TfRef): TfRef => b.node("Conv2D", [xs, ws], convolutionAttributes(a));
    return perGroup(
      b,
      groups,
      [
        [x!, 3],
        [filter, 3],
      ],
      3,
      run,
    );
  },
  tfjs(k, [x, w], { stride, padding, dilation }, { inputs: [images, filters] }) {
    const { shape } = filters!;
    const groups = groupsOf(images!.shape[1]!, shape);
    const filter = k.transpose<tfjs.Tensor4D>(dilatedFilters(k, w!, shape, dilation) as tfjs.Tensor4D, HWIO);
    const padded = padImages(k, x as tfjs.Tensor4D, padding, 0);
    if (isDepthwise(groups, shape, stride)) return depthwiseConvolution(k, padded, filter, stride);
    const run = (xs: tfjs.Tensor, ws: tfjs.Tensor): tfjs.Tensor =>
      k.conv2d(xs as tfjs.Tensor4D, ws as tfjs.Tensor4D, [...stride], "valid");
    return eachGroup(
      k,
      groups,
      [
        [padded, 3],
        [filter, 3],
      ],
      3,
      run,
    );
  },
  cost: ({ inputs, outputs }) => numel(outputs[0]!.shape) * numel(inputs[1]!.shape.slice(1)),
  parts: imagewise([0], "images"),
});

/** Gradient of {@link conv2d} with respect to its images, of `shape`: the transposed convolution. */
export const conv2dInputGrad: Op<ToShape> = defineOp<ToShape>({
  name: "conv2dInputGrad",
  layout: { images: [0], output: true },
  infer: (_, { shape }) => ({ shape, dtype: "float32" }),
  gradient: ({ grad, inputs: [g, w], attributes, needs }) => [
    needs[0] ? apply(conv2d, [grad, w!], withoutShape(attributes)) : null,
    needs[1] ? apply(conv2dWeightGrad, [g!, grad], { ...attributes, shape: w!.shape }) : null,
  ],
  batch: convolving("imageGradient", imageGradients),
  onnx: (b, [g, w], a, { inputs }) => onnxTransposed(b, [g!, w!], a, inputs),
  tensorflow(b, [g, w], a, { inputs: [, filters] }) {
    const name = "Conv2DBackpropInput";
    if (b.exact === true)
      return b.node(name, [sizesOf(b, a.shape), transposeNode(b, w!, HWIO), g!], geometry(a));
    const [n, channels, ...spatial] = a.shape as [number, number, ...number[]];
    const groups = groupsOf(channels, filters!.shape);
    const shape = dilatedShape(filters!.shape, a.dilation);
    const filter = transposeNode(b, dilatedNode(b, w!, filters!.shape, a.dilation), HWIO);
    if (isDepthwise(groups, shape, a.stride)) {
      const own = depthwiseFilters(b, filter, shape, channels);
      return b.node("DepthwiseConv2dNativeBackpropInput", [sizesOf(b, a.shape), own, g!], depthwise(a));
    }
    const sizes = sizesOf(b, [n, channels / groups, ...spatial]);
    const attributes = convolutionAttributes(a, isSame(a, a.shape, shape));
    const run = (gs: TfRef, ws: TfRef): TfRef => b.node(name, [sizes, ws, gs], attributes);
    return perGroup(
      b,
      groups,
      [
        [g!, 3],
        [filter, 3],
      ],
      3,
      run,
    );
  },
  tfjs(k, [g, w], { stride, padding: [top, , left], dilation, shape }, { inputs: [, filters] }) {
    const [, channels, h, width] = shape as [number, number, number, number];
    const groups = groupsOf(channels, filters!.shape);
    const [o, , kh, kw] = dilatedShape(filters!.shape, dilation) as [number, number, number, number];
    // Dilated gradient, padded, convolved with the flipped filter: no backend kernel needed for any stride.
    const whole = dilatedFilters(k, w!, filters!.shape, dilation) as tfjs.Tensor4D;
    const filter = k.reverse<tfjs.Tensor4D>(k.transpose(whole, [2, 3, 0, 1]), [0, 1]);
    const [sh, sw] = stride;
    const [n, gh, gw] = (g as tfjs.Tensor4D).shape;
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
    if (isDepthwise(groups, filters!.shape, stride)) {
      // A channel's gradient is the sum of those of what was made of it.
      const each = depthwiseConvolution(k, padded, filter, [1, 1]);
      if (o === channels) return each;
      const parts = k.reshape(each, [n * h * width, channels, o / channels]);
      return k.reshape(k.sum(parts, 2), [n, h, width, channels]);
    }
    const run = (gs: tfjs.Tensor, ws: tfjs.Tensor): tfjs.Tensor =>
      k.conv2d(gs as tfjs.Tensor4D, ws as tfjs.Tensor4D, 1, "valid");
    return eachGroup(
      k,
      groups,
      [
        [padded, 3],
        [filter, 2],
      ],
      3,
      run,
    );
  },
  cost: ({ inputs }) => numel(inputs[0]!.shape) * numel(inputs[1]!.shape.slice(1)),
  parts: imagewise([0], "images", (a, cut, parts) => ({ ...a, shape: partOf(a.shape, cut, parts) })),
});

/** Gradient of {@link conv2d} with respect to its filters, of `shape`. */
export const conv2dWeightGrad: Op<ToShape> = defineOp<ToShape>({
  name: "conv2dWeightGrad",
  layout: { images: [0, 1], output: false },
  infer: (_, { shape }) => ({ shape, dtype: "float32" }),
  gradient: ({ grad, inputs: [g, x], attributes, needs }) => [
    needs[0] ? apply(conv2d, [x!, grad], withoutShape(attributes)) : null,
    needs[1] ? apply(conv2dInputGrad, [g!, grad], { ...attributes, shape: x!.shape }) : null,
  ],
  batch: convolving("filterGradient", filterGradients),
  onnx: TRAINING_ONLY,
  tensorflow(b, [g, x], a, { inputs: [, images] }) {
    const name = "Conv2DBackpropFilter";
    const hwio = (shape: Shape): TfRef =>
      vector(
        b,
        HWIO.map((d) => shape[d]!),
      );
    if (b.exact === true) return transposeNode(b, b.node(name, [x!, hwio(a.shape), g!], geometry(a)), OIHW);
    const channels = images!.shape[1]!;
    const groups = groupsOf(channels, a.shape);
    const shape = dilatedShape(a.shape, a.dilation);
    const [o, , h, w] = shape as [number, number, number, number];
    const finished = (filter: TfRef): TfRef =>
      cellsNode(b, transposeNode(b, filter, OIHW), a.shape, a.dilation);
    if (isDepthwise(groups, shape, a.stride)) {
      const sizes = vector(b, [h, w, channels, o / channels]);
      const own = b.node("DepthwiseConv2dNativeBackpropFilter", [x!, sizes, g!], depthwise(a));
      return finished(reshapeNode(b, own, [h, w, 1, o]));
    }
    const same = isSame(a, images!.shape, shape);
    const padded = same ? x! : padNode(b, x!, a.padding, 0);
    const sizes = hwio([o / groups, ...shape.slice(1)]);
    const attributes = convolutionAttributes({ stride: a.stride, padding: [0, 0, 0, 0] }, same);
    const run = (xs: TfRef, gs: TfRef): TfRef => b.node(name, [xs, sizes, gs], attributes);
    return finished(
      perGroup(
        b,
        groups,
        [
          [padded, 3],
          [g!, 3],
        ],
        3,
        run,
      ),
    );
  },
  tfjs(k, [g, x], { stride, padding, dilation, shape }, { inputs: [, images] }) {
    const groups = groupsOf(images!.shape[1]!, shape);
    const [, , kh, kw] = dilatedShape(shape, dilation) as [number, number, number, number];
    const [values, grad] = [x, g] as [tfjs.Tensor4D, tfjs.Tensor4D];
    const finished = (filter: tfjs.Tensor): tfjs.Tensor =>
      filterCells(k, k.transpose(filter, OIHW), shape, dilation);
    if (isDepthwise(groups, shape, stride))
      return finished(depthwiseFilterGradient(k, values, grad, [kh, kw], stride, padding));
    const run = (xs: tfjs.Tensor, gs: tfjs.Tensor): tfjs.Tensor =>
      filterGradient(k, xs as tfjs.Tensor4D, gs as tfjs.Tensor4D, [kh, kw], stride, padding);
    return finished(
      eachGroup(
        k,
        groups,
        [
          [values, 3],
          [grad, 3],
        ],
        3,
        run,
      ),
    );
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
    if (!c.batched[1]) return c.split(c.apply([c.merged(c.inputs[0]!, 0), c.inputs[1]!]), 0);
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
