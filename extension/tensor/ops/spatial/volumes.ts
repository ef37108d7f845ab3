// Convolution of volumes [N, C, D, H, W].
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
import { INDEX, T, transposeNode } from "../../lowering/nodes.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type Op, type Tfjs } from "../../recording/op.ts";
import { numel, type Shape } from "../../core/shape.ts";
import { convolving } from "./batchedConvolution.ts";
import { onnxConvolution, onnxTransposed, outputSize } from "./images.ts";
import { spread } from "../movement/slicing.ts";

type Triple = [number, number, number];

export interface VolumeConvolution {
  readonly stride: readonly number[];
  /** Zeros before and after depth, before and after height, before and after width. */
  readonly padding: readonly number[];
}

type ToShape = VolumeConvolution & { readonly shape: Shape };

/** TensorFlow's filters are [depth, height, width, in, out], PyTorch's [out, in, depth, height, width]. */
const DHWIO = [2, 3, 4, 1, 0];
const OIDHW = [4, 3, 0, 1, 2];

const attributesOf = ({ stride }: VolumeConvolution): Record<string, TfAttribute> => ({
  T,
  strides: attr.ints([1, ...stride, 1]),
  padding: attr.string("VALID"),
  data_format: attr.string("NDHWC"),
  dilations: attr.ints([1, 1, 1, 1, 1]),
});

/** Cells before and after every dimension of a volume as it lies in memory, channels last. */
const widths = (padding: readonly number[]): [number, number][] => [
  [0, 0],
  ...[0, 2, 4].map((i): [number, number] => [padding[i]!, padding[i + 1]!]),
  [0, 0],
];

/** The shape in memory of a volume [N, C, D, H, W] with its padding. */
function paddedShape([n, c, ...spatial]: Shape, padding: readonly number[]): number[] {
  return [n!, ...spatial.map((length, d) => length + padding[2 * d]! + padding[2 * d + 1]!), c!];
}

const unpadded = (padding: readonly number[]): boolean => padding.every((p) => p === 0);

/** No kernel pads volumes by itself. */
function padNode(b: TfBuilder, x: TfRef, padding: readonly number[]): TfRef {
  if (unpadded(padding)) return x;
  const paddings = b.constant(Int32Array.from(widths(padding).flat()), [5, 2], "int64");
  return b.node("PadV2", [x, paddings, scalar(b, 0, "float32")], { T, Tpaddings: INDEX });
}

const padded = (k: Tfjs, x: tfjs.Tensor, padding: readonly number[]): tfjs.Tensor5D =>
  (unpadded(padding) ? x : k.pad(x, widths(padding))) as tfjs.Tensor5D;

/** Where the unpadded volume begins in a padded one, and its shape in memory. */
const inner = ([n, c, ...spatial]: Shape, padding: readonly number[]): [number[], number[]] => [
  [0, padding[0]!, padding[2]!, padding[4]!, 0],
  [n!, ...spatial, c!],
];

/**
 * Cross-correlation of volumes [N, C, D, H, W] with filters [O, C, kD, kH, kW]. Dilated filters come with their zeros:
 * no CPU kernel has the gradients of dilation.
 */
export const conv3d: Op<VolumeConvolution> = defineOp<VolumeConvolution>({
  name: "conv3d",
  layout: { images: [0], output: true },
  infer([x, w], { stride, padding }) {
    const [n, , ...spatial] = x!.shape;
    const lengths = spatial.map((length, d) =>
      outputSize(length, w!.shape[d + 2]!, padding[2 * d]!, padding[2 * d + 1]!, 1, stride[d]!),
    );
    return { shape: [n!, w!.shape[0]!, ...lengths], dtype: "float32" };
  },
  gradient: ({ grad, inputs: [x, w], attributes, needs }) => [
    needs[0] ? apply(conv3dInputGrad, [grad, w!], { ...attributes, shape: x!.shape }) : null,
    needs[1] ? apply(conv3dWeightGrad, [grad, x!], { ...attributes, shape: w!.shape }) : null,
  ],
  batch: convolving([
    [0, 0],
    [0, 1],
  ]),
  onnx: (b, [x, w], { stride, padding }) => onnxConvolution(b, x!, w!, stride, padding),
  tensorflow: (b, [x, w], a) =>
    b.node("Conv3D", [padNode(b, x!, a.padding), transposeNode(b, w!, DHWIO)], attributesOf(a)),
  tfjs: (k, [x, w], { stride, padding }) =>
    k.conv3d(
      padded(k, x!, padding),
      k.transpose<tfjs.Tensor5D>(w as tfjs.Tensor5D, DHWIO),
      stride as Triple,
      "valid",
    ),
  cost: ({ inputs, outputs }) => numel(outputs[0]!.shape) * numel(inputs[1]!.shape.slice(1)),
});

/** Gradient of {@link conv3d} with respect to its volumes, of `shape`: the transposed convolution. */
export const conv3dInputGrad: Op<ToShape> = defineOp<ToShape>({
  name: "conv3dInputGrad",
  layout: { images: [0], output: true },
  infer: (_, { shape }) => ({ shape, dtype: "float32" }),
  gradient: ({ grad, inputs: [g, w], attributes: { stride, padding }, needs }) => [
    needs[0] ? apply(conv3d, [grad, w!], { stride, padding }) : null,
    needs[1] ? apply(conv3dWeightGrad, [g!, grad], { stride, padding, shape: w!.shape }) : null,
  ],
  batch: convolving([
    [0, 0],
    [1, 1],
  ]),
  onnx: (b, [g, w], { stride, padding, shape }, { inputs }) =>
    onnxTransposed(b, [g!, w!], { stride, padding, shape }, inputs),
  tensorflow(b, [g, w], a) {
    const sizes = vector(b, paddedShape(a.shape, a.padding));
    const grad = b.node("Conv3DBackpropInputV2", [sizes, transposeNode(b, w!, DHWIO), g!], {
      ...attributesOf(a),
      Tshape: INDEX,
    });
    if (unpadded(a.padding)) return grad;
    const [begin, size] = inner(a.shape, a.padding);
    return b.node("Slice", [grad, vector(b, begin), vector(b, size)], { T, Index: INDEX });
  },
  tfjs(k, [g, w], { stride, padding, shape }) {
    // A convolution of the gradient, its cells apart, with the flipped filter: wasm's own kernel leaves places out.
    const [, , ...kernel] = w!.shape as [number, number, ...number[]];
    const filter = k.reverse<tfjs.Tensor5D>(k.transpose(w as tfjs.Tensor5D, [2, 3, 4, 0, 1]), [0, 1, 2]);
    const [n, ...lengths] = paddedShape(shape, padding);
    const apart = spread(k, g!, {
      begin: [0, ...kernel.map((length) => length - 1), 0],
      step: [1, ...stride, 1],
      shape: [n!, ...kernel.map((length, d) => lengths[d]! + length - 1), g!.shape[4]!],
    });
    const grad = k.conv3d(apart as tfjs.Tensor5D, filter, 1, "valid");
    return unpadded(padding) ? grad : k.slice(grad, ...inner(shape, padding));
  },
  cost: ({ inputs }) => numel(inputs[0]!.shape) * numel(inputs[1]!.shape.slice(1)),
});

/** Gradient of {@link conv3d} with respect to its filters, of `shape`. */
export const conv3dWeightGrad: Op<ToShape> = defineOp<ToShape>({
  name: "conv3dWeightGrad",
  layout: { images: [0, 1], output: false },
  infer: (_, { shape }) => ({ shape, dtype: "float32" }),
  gradient: ({ grad, inputs: [g, x], attributes: { stride, padding }, needs }) => [
    needs[0] ? apply(conv3d, [x!, grad], { stride, padding }) : null,
    needs[1] ? apply(conv3dInputGrad, [g!, grad], { stride, padding, shape: x!.shape }) : null,
  ],
  batch: convolving([
    [1, 0],
    [1, 1],
  ]),
  onnx: TRAINING_ONLY,
  tensorflow(b, [g, x], a) {
    const sizes = vector(
      b,
      DHWIO.map((d) => a.shape[d]!),
    );
    const volumes = padNode(b, x!, a.padding);
    const filter = b.node("Conv3DBackpropFilterV2", [volumes, sizes, g!], attributesOf(a));
    return transposeNode(b, filter, OIDHW);
  },
  tfjs(k, [g, x], { stride, padding, shape }) {
    // The filter's gradient is itself a convolution: volumes as filters, batch and channels swapped.
    const volumes = padded(k, x!, padding);
    const [n, ...rest] = volumes.shape;
    const used = [0, 1, 2].map((d) => (g!.shape[d + 1]! - 1) * stride[d]! + shape[d + 2]!);
    const images = k.slice(volumes, [0, 0, 0, 0, 0], [n, ...used, rest[3]] as typeof volumes.shape);
    const filters = k.transpose<tfjs.Tensor5D>(g as tfjs.Tensor5D, [1, 2, 3, 0, 4]);
    const swapped = k.transpose<tfjs.Tensor5D>(images, [4, 1, 2, 3, 0]);
    const result = k.conv3d(swapped, filters, 1, "valid", "NDHWC", stride as Triple);
    return k.transpose(result, [4, 0, 1, 2, 3]);
  },
  cost: ({ inputs }, { shape }) => numel(inputs[0]!.shape) * numel(shape.slice(1)),
});
