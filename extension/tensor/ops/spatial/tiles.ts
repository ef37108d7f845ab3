// Images and volumes as tiles of equal size: sums of these, and the elements that they are copies of.
import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { attr, vector, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { INDEX, reshapeNode } from "../../lowering/nodes.ts";
import { number } from "../../lowering/onnx.ts";
import { merging } from "../../recording/batchRules.ts";
import { defineOp, type Meta, type Op, type Tfjs } from "../../recording/op.ts";
import { imagewise } from "../../planning/parts.ts";
import { numel, type Shape } from "../../core/shape.ts";
import { sumOver } from "../reduction/sums.ts";

interface Tiles {
  /** Lengths of a tile. */
  readonly tile: readonly number[];
}

/** Shapes in memory, channels last, where `lengths` tiles lie side by side: with the tiles' elements, or one for each tile. */
function apart({ shape: [n, c] }: Meta, lengths: Shape, tile: readonly number[], one = false): number[] {
  return [n!, ...lengths.flatMap((length, d) => [length, one ? 1 : tile[d]!]), c!];
}

const whole = ({ shape: [n, c, ...spatial] }: Meta): number[] => [n!, ...spatial, c!];
/** The dimensions of tiles in such a shape. */
const inside = (tile: readonly number[]): number[] => tile.map((_, d) => 2 + 2 * d);

/** Does something to one dimension after the other: tfjs has tensors of six at most. */
function dimensionwise(
  x: tfjs.Tensor,
  tile: readonly number[],
  step: (x: tfjs.Tensor, lead: number, rest: number, d: number) => tfjs.Tensor,
): tfjs.Tensor {
  return tile.reduce((y, _, d) => step(y, numel(y.shape.slice(0, d + 1)), numel(y.shape.slice(d + 2)), d), x);
}

const withLength = (shape: Shape, d: number, length: number): number[] =>
  shape.map((n, i) => (i === d + 1 ? length : n));

/** Sums of the tiles of images or volumes [N, C, *]. */
export const tileSum: Op<Tiles> = defineOp<Tiles>({
  name: "tileSum",
  layout: { images: [0], output: true },
  batch: merging([0], [0]),
  infer: ([x], { tile }) => ({
    shape: x!.shape.map((n, d) => (d < 2 ? n : n / tile[d - 2]!)),
    dtype: "float32",
  }),
  gradient: ({ grad, attributes }) => [apply(tileCopies, [grad], attributes)],
  onnx(b, [x], { tile }) {
    const means = b.node("AveragePool", [x!], { kernel_shape: attr.ints(tile), strides: attr.ints(tile) });
    return b.node("Mul", [means, number(b, numel(tile))]);
  },
  tensorflow(b, [x], { tile }, { inputs: [images], outputs: [y] }) {
    const sizes = apart(images!, y!.shape.slice(2), tile);
    return sumOver(b, reshapeNode(b, x!, sizes), sizes, inside(tile));
  },
  tfjs: (k, [x], { tile }) =>
    dimensionwise(x!, tile, (y, lead, rest, d) => {
      const length = y.shape[d + 1]! / tile[d]!;
      const sums = k.sum(k.reshape(y, [lead, length, tile[d]!, rest]), 2);
      return k.reshape(sums, withLength(y.shape, d, length));
    }),
  parts: imagewise([0], "images"),
});

/** Images or volumes [N, C, *] with a tile of copies for every element. */
export const tileCopies: Op<Tiles> = defineOp<Tiles>({
  name: "tileCopies",
  layout: { images: [0], output: true },
  batch: merging([0], [0]),
  infer: ([x], { tile }) => ({
    shape: x!.shape.map((n, d) => (d < 2 ? n : n * tile[d - 2]!)),
    dtype: x!.dtype,
  }),
  gradient: ({ grad, attributes }) => [apply(tileSum, [grad], attributes)],
  onnx(b, [x], { tile }) {
    const scales = b.constant(Float32Array.of(1, 1, ...tile), [tile.length + 2], "float32");
    return b.node("Resize", [x!, null, scales], {
      mode: attr.string("nearest"),
      coordinate_transformation_mode: attr.string("asymmetric"),
      nearest_mode: attr.string("floor"),
    });
  },
  tensorflow: (b, [x], { tile }, { inputs: [images], outputs: [y] }) => copies(b, x!, tile, images!, y!),
  tfjs: (k, [x], { tile }) =>
    dimensionwise(x!, tile, (y, lead, rest, d) => repeated(k, y, [lead, rest], d, tile[d]!)),
  parts: imagewise([0], "images"),
});

function copies(b: TfBuilder, x: TfRef, tile: readonly number[], images: Meta, y: Meta): TfRef {
  const lengths = images.shape.slice(2);
  const type = attr.type(y.dtype);
  const single = reshapeNode(b, x, apart(images, lengths, tile, true), type);
  const many = b.node("BroadcastTo", [single, vector(b, apart(images, lengths, tile))], {
    T: type,
    Tidx: INDEX,
  });
  return reshapeNode(b, many, whole(y), type);
}

function repeated(
  k: Tfjs,
  y: tfjs.Tensor,
  [lead, rest]: readonly [number, number],
  d: number,
  times: number,
): tfjs.Tensor {
  const length = y.shape[d + 1]!;
  const many = k.broadcastTo(k.reshape(y, [lead, length, 1, rest]), [lead, length, times, rest]);
  return k.reshape(many, withLength(y.shape, d, length * times));
}
