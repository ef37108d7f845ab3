// Values of images and volumes at places between their pixels, and the gradients of both.
import type { Meta } from "../../core/meta.ts";
import type { Tensor } from "../../core/tensor.ts";
import { numel, type Shape } from "../../core/shape.ts";
import { attr, type TfAttribute } from "../../lowering/lowering.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { imagewise } from "../../planning/parts.ts";
import { apply } from "../../recording/apply.ts";
import { merging } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import { zeros } from "../expressions.ts";
import { formulaRules, functionsOf, RECORDED, type Writer } from "../formulas.ts";
import { indexAdd, indexSelect } from "../movement/indexing.ts";
import { cat, permute, reshape, sum } from "../movement/movement.ts";
import { Places, type GridAttributes } from "./gridPlaces.ts";

/** The input's sizes without batch and channels. */
interface Sizes {
  readonly sizes: Shape;
}

/** Images [N, C, …] as rows of pixels. */
function pixelRows<V extends Meta>(w: Writer<V>, x: V): V {
  const [batch, channels, ...sizes] = x.shape as [number, number, ...number[]];
  const flat = w.make(reshape, [x], { shape: [batch, channels, numel(sizes)] });
  const last = w.make(permute, [flat], { order: [0, 2, 1] });
  return w.make(reshape, [last], { shape: [batch * numel(sizes), channels] });
}

/** Rows of pixels as images of a shape. */
function imagesOf<V extends Meta>(w: Writer<V>, rows: V, shape: Shape): V {
  const [batch, channels, ...sizes] = shape as [number, number, ...number[]];
  const images = w.make(reshape, [rows], { shape: [batch, numel(sizes), channels] });
  const first = w.make(permute, [images], { order: [0, 2, 1] });
  return w.make(reshape, [first], { shape });
}

const outputShape = (input: Shape, grid: Shape): Shape => [...input.slice(0, 2), ...grid.slice(1, -1)];
const sizesOf = (shape: Shape): Shape => shape.slice(2);

function sampled<V extends Meta>(w: Writer<V>, [input, grid]: readonly V[], attributes: GridAttributes): V[] {
  const f = functionsOf(w);
  const rows = pixelRows(w, input!);
  const places = new Places(w, grid!, sizesOf(input!.shape), attributes);
  const terms = places.pixels.map((pixel) => {
    const values = w.make(indexSelect, [rows, pixel.row], { dim: 0 });
    // A place that is NaN has such weights.
    const own = f.where(pixel.inside, values, f.number(0));
    const weight = places.weight(pixel);
    return weight === undefined ? own : f.mul(own, weight);
  });
  return [imagesOf(w, terms.reduce(f.add), outputShape(input!.shape, grid!.shape))];
}

function inputGradient<V extends Meta>(
  w: Writer<V>,
  [g, grid]: readonly V[],
  { sizes, ...attributes }: GridAttributes & Sizes,
): V[] {
  const f = functionsOf(w);
  const rows = pixelRows(w, g!);
  const places = new Places(w, grid!, sizes, attributes);
  const shape = [...g!.shape.slice(0, 2), ...sizes];
  const length = shape[0]! * numel(sizes);
  const terms = places.pixels.map((pixel) => {
    const weight = places.weight(pixel);
    const own = f.where(pixel.inside, weight === undefined ? rows : f.mul(rows, weight), f.number(0));
    return w.make(indexAdd, [own, pixel.row], { dim: 0, length });
  });
  return [imagesOf(w, terms.reduce(f.add), shape)];
}

function gridGradient<V extends Meta>(
  w: Writer<V>,
  [g, input, grid]: readonly V[],
  attributes: GridAttributes,
): V[] {
  const f = functionsOf(w);
  const [rows, gradients] = [pixelRows(w, input!), pixelRows(w, g!)];
  const places = new Places(w, grid!, sizesOf(input!.shape), attributes);
  const totals: V[] = [];
  for (const pixel of places.pixels) {
    const values = w.make(indexSelect, [rows, pixel.row], { dim: 0 });
    const along = w.make(sum, [f.mul(values, gradients)], { dims: [1], keepdim: true });
    const own = f.where(pixel.inside, along, f.number(0));
    places.axes.forEach((_, d) => {
      const term = f.mul(own, places.weight(pixel, d)!);
      totals[d] = totals[d] === undefined ? term : f.add(totals[d], term);
    });
  }
  const columns = totals.map((total, d) => f.mul(total, places.axes[d]!.slope)).reverse();
  return [w.make(reshape, [w.make(cat, columns, { dim: 1 })], { shape: grid!.shape })];
}

const kernelAttributes = ({
  mode,
  paddingMode,
  alignCorners,
}: GridAttributes): Record<string, TfAttribute> => ({
  mode: attr.int(["nearest", "bilinear", "bicubic"].indexOf(mode)),
  padding_mode: attr.int(["zeros", "border", "reflection"].indexOf(paddingMode)),
  align_corners: attr.bool(alignCorners),
});

/** Pixels that count for one place. */
const tapsOf = ({ mode }: GridAttributes, dims: number): number =>
  ({ nearest: 1, bilinear: 2, bicubic: 4 })[mode] ** dims;

const forward = formulaRules(sampled);

/**
 * Values of images or volumes [N, C, …] at the places of a grid [N, …, 2 or 3] of numbers from −1 to 1, x first.
 * https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html
 */
export const gridSample: Op<GridAttributes> = defineOp<GridAttributes>({
  name: "gridSample",
  gradName: "GridSampler2DBackward0",
  infer: ([input, grid]) => ({ shape: outputShape(input!.shape, grid!.shape), dtype: "float32" }),
  gradient({ grad, inputs: [input, grid], attributes, needs }) {
    // Gradients that are differentiated again are written out.
    const again = scope.gradients;
    const ofInput = (): Tensor => {
      const [inputs, own] = [[grad, grid!], { ...attributes, sizes: sizesOf(input!.shape) }];
      return again ? inputGradient(RECORDED, inputs, own)[0]! : apply(gridSampleInputGrad, inputs, own);
    };
    const ofGrid = (): Tensor => {
      // The nearest pixel stays the same.
      if (attributes.mode === "nearest") return zeros(grid!.shape);
      const inputs = [grad, input!, grid!];
      return again
        ? gridGradient(RECORDED, inputs, attributes)[0]!
        : apply(gridSampleGridGrad, inputs, attributes);
    };
    return [needs[0] ? ofInput() : null, needs[1] ? ofGrid() : null];
  },
  batch: merging([0, 0], [0]),
  ...forward,
  onnx: (b, inputs, attributes, signature) => {
    const { mode, paddingMode, alignCorners } = attributes;
    if (signature.inputs[0]!.shape.length !== 4) return forward.onnx(b, inputs, attributes, signature);
    return b.node("GridSample", inputs, {
      mode: attr.string(mode),
      padding_mode: attr.string(paddingMode),
      align_corners: attr.int(Number(alignCorners)),
    });
  },
  tensorflow: (b, inputs, attributes, signature) =>
    b.exact === true
      ? b.node("GridSample", inputs, kernelAttributes(attributes))
      : forward.tensorflow(b, inputs, attributes, signature),
  cost: ({ inputs: [input], outputs: [y] }, attributes) =>
    numel(y!.shape) * tapsOf(attributes, input!.shape.length - 2),
  parts: imagewise([0, 1], "images"),
});

const inputBackward = formulaRules(inputGradient);

/** Gradient of the input of {@link gridSample}: from the gradient of the result and the grid. */
export const gridSampleInputGrad: Op<GridAttributes & Sizes> = defineOp<GridAttributes & Sizes>({
  name: "gridSampleInputGrad",
  infer: ([g], { sizes }) => ({ shape: [...g!.shape.slice(0, 2), ...sizes], dtype: "float32" }),
  gradient: { none: "gradients that are to be differentiated again are made of simpler ops" },
  batch: merging([0, 0], [0]),
  ...inputBackward,
  onnx: TRAINING_ONLY,
  tensorflow: (b, inputs, attributes, signature) =>
    b.exact === true
      ? b.node("GridSampleInputGrad", inputs, {
          ...kernelAttributes(attributes),
          sizes: attr.ints(attributes.sizes),
        })
      : inputBackward.tensorflow(b, inputs, attributes, signature),
  cost: ({ inputs: [g] }, attributes) => numel(g!.shape) * tapsOf(attributes, g!.shape.length - 2),
  parts: imagewise([0, 1], "images"),
});

const gridBackward = formulaRules(gridGradient);

/** Gradient of the grid of {@link gridSample}: from the gradient of the result, the input and the grid. */
export const gridSampleGridGrad: Op<GridAttributes> = defineOp<GridAttributes>({
  name: "gridSampleGridGrad",
  infer: ([, , grid]) => grid!,
  gradient: { none: "gradients that are to be differentiated again are made of simpler ops" },
  batch: merging([0, 0, 0], [0]),
  ...gridBackward,
  onnx: TRAINING_ONLY,
  tensorflow: (b, inputs, attributes, signature) =>
    b.exact === true
      ? b.node("GridSampleGridGrad", inputs, kernelAttributes(attributes))
      : gridBackward.tensorflow(b, inputs, attributes, signature),
  cost: ({ inputs: [g] }, attributes) => numel(g!.shape) * tapsOf(attributes, g!.shape.length - 2),
  parts: imagewise([0, 1, 2], "images"),
});
