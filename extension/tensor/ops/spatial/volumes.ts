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
import {
  cellsNode,
  dilatedFilters,
  dilatedNode,
  dilatedShape,
  eachGroup,
  filterCells,
  geometry,
  groupsOf,
  perGroup,
  sizesOf,
  type Geometry,
} from "./groups.ts";
import { onnxConvolution, onnxTransposed, outputSize } from "./images.ts";
import { spread } from "../movement/slicing.ts";

type Triple = [number, number, number];

type ToShape = Geometry & { readonly shape: Shape };

const withoutShape = ({ stride, padding, dilation }: Geometry): Geometry =>
  dilation === undefined ? { stride, padding } : { stride, padding, dilation };

/** TensorFlow's filters are [depth, height, width, in, out], PyTorch's [out, in, depth, height, width]. */
const DHWIO = [2, 3, 4, 1, 0];
const OIDHW = [4, 3, 0, 1, 2];

const attributesOf = ({ stride }: Geometry): Record<string, TfAttribute> => ({
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

/** Cross-correlation of volumes [N, C, D, H, W] with filters [O, C / groups, kD, kH, kW]. */
export const conv3d: Op<Geometry> = defineOp<Geometry>({
  name: "conv3d",
  layout: { images: [0], output: true },
  infer([x, w], { stride, padding, dilation }) {
    const [n, , ...spatial] = x!.shape;
    const lengths = spatial.map((length, d) =>
      outputSize(
        length,
        w!.shape[d + 2]!,
        padding[2 * d]!,
        padding[2 * d + 1]!,
        dilation?.[d] ?? 1,
        stride[d]!,
      ),
    );
    return { shape: [n!, w!.shape[0]!, ...lengths], dtype: "float32" };
  },
  gradient: ({ grad, inputs: [x, w], attributes, needs }) => [
    needs[0] ? apply(conv3dInputGrad, [grad, w!], { ...attributes, shape: x!.shape }) : null,
    needs[1] ? apply(conv3dWeightGrad, [grad, x!], { ...attributes, shape: w!.shape }) : null,
  ],
  batch: convolving("convolution"),
  onnx: (b, [x, w], a, { inputs }) => onnxConvolution(b, [x!, w!], a, inputs),
  tensorflow(b, [x, w], a, { inputs: [volumes, filters] }) {
    if (b.exact === true) return b.node("Conv3D", [x!, transposeNode(b, w!, DHWIO)], geometry(a));
    const { shape } = filters!;
    const groups = groupsOf(volumes!.shape[1]!, shape);
    const filter = transposeNode(b, dilatedNode(b, w!, shape, a.dilation), DHWIO);
    const run = (xs: TfRef, ws: TfRef): TfRef => b.node("Conv3D", [xs, ws], attributesOf(a));
    const around = padNode(b, x!, a.padding);
    return perGroup(
      b,
      groups,
      [
        [around, 4],
        [filter, 4],
      ],
      4,
      run,
    );
  },
  tfjs(k, [x, w], { stride, padding, dilation }, { inputs: [volumes, filters] }) {
    const { shape } = filters!;
    const groups = groupsOf(volumes!.shape[1]!, shape);
    const filter = k.transpose(dilatedFilters(k, w!, shape, dilation), DHWIO);
    const around = padded(k, x!, padding);
    const run = (xs: tfjs.Tensor, ws: tfjs.Tensor): tfjs.Tensor =>
      k.conv3d(xs as tfjs.Tensor5D, ws as tfjs.Tensor5D, stride as Triple, "valid");
    return eachGroup(
      k,
      groups,
      [
        [around, 4],
        [filter, 4],
      ],
      4,
      run,
    );
  },
  cost: ({ inputs, outputs }) => numel(outputs[0]!.shape) * numel(inputs[1]!.shape.slice(1)),
});

/** Gradient of {@link conv3d} with respect to its volumes, of `shape`: the transposed convolution. */
export const conv3dInputGrad: Op<ToShape> = defineOp<ToShape>({
  name: "conv3dInputGrad",
  layout: { images: [0], output: true },
  infer: (_, { shape }) => ({ shape, dtype: "float32" }),
  gradient: ({ grad, inputs: [g, w], attributes, needs }) => [
    needs[0] ? apply(conv3d, [grad, w!], withoutShape(attributes)) : null,
    needs[1] ? apply(conv3dWeightGrad, [g!, grad], { ...attributes, shape: w!.shape }) : null,
  ],
  batch: convolving("imageGradient"),
  onnx: (b, [g, w], a, { inputs }) => onnxTransposed(b, [g!, w!], a, inputs),
  tensorflow(b, [g, w], a, { inputs: [, filters] }) {
    const name = "Conv3DBackpropInputV2";
    if (b.exact === true)
      return b.node(name, [sizesOf(b, a.shape), transposeNode(b, w!, DHWIO), g!], geometry(a));
    const groups = groupsOf(a.shape[1]!, filters!.shape);
    const filter = transposeNode(b, dilatedNode(b, w!, filters!.shape, a.dilation), DHWIO);
    const [n, c, ...spatial] = a.shape as [number, number, ...number[]];
    const sizes = vector(b, paddedShape([n, c / groups, ...spatial], a.padding));
    const attributes = { ...attributesOf(a), Tshape: INDEX };
    const run = (gs: TfRef, ws: TfRef): TfRef => b.node(name, [sizes, ws, gs], attributes);
    const grad = perGroup(
      b,
      groups,
      [
        [g!, 4],
        [filter, 4],
      ],
      4,
      run,
    );
    if (unpadded(a.padding)) return grad;
    const [begin, size] = inner(a.shape, a.padding);
    return b.node("Slice", [grad, vector(b, begin), vector(b, size)], { T, Index: INDEX });
  },
  tfjs(k, [g, w], { stride, padding, dilation, shape }, { inputs: [, filters] }) {
    // A convolution of the gradient, its cells apart, with the flipped filter: wasm's own kernel leaves places out.
    const groups = groupsOf(shape[1]!, filters!.shape);
    const whole = dilatedFilters(k, w!, filters!.shape, dilation);
    const [, , ...kernel] = whole.shape as [number, number, ...number[]];
    const filter = k.reverse(k.transpose(whole, [2, 3, 4, 0, 1]), [0, 1, 2]);
    const [n, ...lengths] = paddedShape(shape, padding);
    const apart = spread(k, g!, {
      begin: [0, ...kernel.map((length) => length - 1), 0],
      step: [1, ...stride, 1],
      shape: [n!, ...kernel.map((length, d) => lengths[d]! + length - 1), g!.shape[4]!],
    });
    const run = (gs: tfjs.Tensor, ws: tfjs.Tensor): tfjs.Tensor =>
      k.conv3d(gs as tfjs.Tensor5D, ws as tfjs.Tensor5D, 1, "valid");
    const grad = eachGroup(
      k,
      groups,
      [
        [apart, 4],
        [filter, 3],
      ],
      4,
      run,
    );
    return unpadded(padding) ? grad : k.slice(grad, ...inner(shape, padding));
  },
  cost: ({ inputs }) => numel(inputs[0]!.shape) * numel(inputs[1]!.shape.slice(1)),
});

/** Gradient of {@link conv3d} with respect to its filters, of `shape`. */
export const conv3dWeightGrad: Op<ToShape> = defineOp<ToShape>({
  name: "conv3dWeightGrad",
  layout: { images: [0, 1], output: false },
  infer: (_, { shape }) => ({ shape, dtype: "float32" }),
  gradient: ({ grad, inputs: [g, x], attributes, needs }) => [
    needs[0] ? apply(conv3d, [x!, grad], withoutShape(attributes)) : null,
    needs[1] ? apply(conv3dInputGrad, [g!, grad], { ...attributes, shape: x!.shape }) : null,
  ],
  batch: convolving("filterGradient"),
  onnx: TRAINING_ONLY,
  tensorflow(b, [g, x], a, { inputs: [, volumes] }) {
    const name = "Conv3DBackpropFilterV2";
    const groups = groupsOf(volumes!.shape[1]!, a.shape);
    const sizes = ([o, ...rest]: Shape, parts: number): TfRef =>
      vector(
        b,
        DHWIO.map((d) => [o! / parts, ...rest][d]!),
      );
    if (b.exact === true)
      return transposeNode(b, b.node(name, [x!, sizes(a.shape, 1), g!], geometry(a)), OIDHW);
    const whole = sizes(dilatedShape(a.shape, a.dilation), groups);
    const around = padNode(b, x!, a.padding);
    const run = (xs: TfRef, gs: TfRef): TfRef => b.node(name, [xs, whole, gs], attributesOf(a));
    const filter = perGroup(
      b,
      groups,
      [
        [around, 4],
        [g!, 4],
      ],
      4,
      run,
    );
    return cellsNode(b, transposeNode(b, filter, OIDHW), a.shape, a.dilation);
  },
  tfjs(k, [g, x], { stride, padding, dilation, shape }, { inputs: [, all] }) {
    // The filter's gradient is itself a convolution: volumes as filters, batch and channels swapped.
    const groups = groupsOf(all!.shape[1]!, shape);
    const volumes = padded(k, x!, padding);
    const [n, ...rest] = volumes.shape;
    const kernel = dilatedShape(shape, dilation).slice(2);
    const used = kernel.map((length, d) => (g!.shape[d + 1]! - 1) * stride[d]! + length) as Triple;
    const images = k.slice(volumes, [0, 0, 0, 0, 0], [n, ...used, rest[3]] as typeof volumes.shape);
    const filters = k.transpose<tfjs.Tensor5D>(g as tfjs.Tensor5D, [1, 2, 3, 0, 4]);
    const swapped = k.transpose<tfjs.Tensor5D>(images, [4, 1, 2, 3, 0]);
    const run = (xs: tfjs.Tensor, gs: tfjs.Tensor): tfjs.Tensor =>
      k.conv3d(xs as tfjs.Tensor5D, gs as tfjs.Tensor5D, 1, "valid", "NDHWC", stride as Triple);
    const result = eachGroup(
      k,
      groups,
      [
        [swapped, 0],
        [filters, 4],
      ],
      4,
      run,
    );
    return filterCells(k, k.transpose(result, [4, 0, 1, 2, 3]), shape, dilation);
  },
  cost: ({ inputs }, { shape }) => numel(inputs[0]!.shape) * numel(shape.slice(1)),
});
