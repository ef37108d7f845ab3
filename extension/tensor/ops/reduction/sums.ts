// Sums of many floats. Kernels of both libraries accumulate in float32, so that the error grows with the count.
import { filled } from "../../core/dtype.ts";
import type * as tfjs from "@tensorflow/tfjs-core";
import { attr, scalar, vector, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { castNode, INDEX, reduceNode, reshapeNode, T } from "../../lowering/nodes.ts";
import type { Meta, Tfjs } from "../../recording/op.ts";
import { runsOf, type Run } from "../../planning/runs.ts";
import { numel, reducedShape, type Shape } from "../../core/shape.ts";

const DOUBLE = attr.type("double");

/** Up to this count, floats are accumulated in float32: rounding costs about a unit in the last place. */
const FEW = 64;
/** Length of the blocks of longer sums, whose totals are added as doubles. */
const BLOCK = 16;
/** Contiguous sums up to this length are exact in TensorFlow's kernel, which keeps several partial sums. */
const ROW = 1024;

const product = (runs: readonly Run[]): number => runs.reduce((n, { size }) => n * size, 1);

/** Whether a kernel's own sum would be inexact. Sizes of a graph that is exported may differ when it runs. */
function inBlocks(b: TfBuilder, shape: Shape, dims: readonly number[]): boolean {
  if (b.portable === true || b.exact === true || numel(dims.map((d) => shape[d]!)) <= FEW) return false;
  const runs = runsOf(shape, dims);
  return runs.some(({ reduced, size }, i) => reduced && (i < runs.length - 1 || size > ROW));
}

/** The sum of floats over `dims`: of short blocks as floats, and of these as doubles, rounded once. */
export function sumOver(
  b: TfBuilder,
  x: TfRef,
  shape: Shape,
  dims: readonly number[],
  keepdim = false,
): TfRef {
  if (!inBlocks(b, shape, dims)) return reduceNode(b, "Sum", x, dims, keepdim);
  const runs = runsOf(shape, dims);
  const last = runs.findLastIndex(({ reduced }) => reduced);
  const [before, after] = [product(runs.slice(0, last)), product(runs.slice(last + 1))];
  let total = sumMiddle(b, x, [before, runs[last]!.size, after]);
  const rest = runs.slice(0, last).flatMap(({ reduced }, i) => (reduced ? [i] : []));
  if (rest.length > 0) {
    const sizes = [...runs.slice(0, last).map(({ size }) => size), after];
    total = reduceNode(b, "Sum", reshapeNode(b, total, sizes, DOUBLE), rest, false, DOUBLE);
  }
  return reshapeNode(b, castNode(b, total, "double", "float32"), reducedShape(shape, dims, keepdim));
}

/** Doubles: the sum over the middle one of three dimensions, or over the last where that has length 1. */
function sumMiddle(b: TfBuilder, x: TfRef, [outer, count, inner]: [number, number, number]): TfRef {
  const longest = inner === 1 ? ROW : BLOCK;
  const block = blockOf(count, longest);
  if (block === undefined) {
    // All that fit into blocks, and the rest.
    const whole = count - (count % longest);
    const cube = reshapeNode(b, x, [outer, count, inner]);
    const part = (from: number, size: number): TfRef => {
      const bounds = [vector(b, [0, from, 0]), vector(b, [outer, size, inner])];
      return sumMiddle(b, b.node("Slice", [cube, ...bounds], { T, Index: INDEX }), [outer, size, inner]);
    };
    return b.node("AddV2", [part(0, whole), part(whole, count - whole)], { T: DOUBLE });
  }
  const blocks = count / block;
  const shape = inner === 1 ? [outer * blocks, block] : [outer * blocks, block, inner];
  const sums = castNode(b, reduceNode(b, "Sum", reshapeNode(b, x, shape), [1]), "float32", "double");
  if (blocks === 1) return reshapeNode(b, sums, [outer, inner], DOUBLE);
  return reduceNode(b, "Sum", reshapeNode(b, sums, [outer, blocks, inner], DOUBLE), [1], false, DOUBLE);
}

/** The longest block, of at least a quarter of `longest`, of which `count` has a whole number. */
function blockOf(count: number, longest: number): number | undefined {
  if (count <= longest) return count;
  for (let block = longest; block >= longest / 4; block--) if (count % block === 0) return block;
  return undefined;
}

/** The sum over everything but the last dimension. */
export function columnSum(b: TfBuilder, x: TfRef, shape: Shape): TfRef {
  const columns = shape[shape.length - 1]!;
  const rows = numel(shape.slice(0, -1));
  if (rows > FEW && b.exact !== true)
    return reshapeNode(b, castNode(b, sumMiddle(b, x, [1, rows, columns]), "double", "float32"), [columns]);
  return b.node("BiasAddGrad", [x], { T, data_format: attr.string("NHWC") });
}

/** The mean of floats over `dims`. */
export function meanOver(
  b: TfBuilder,
  x: TfRef,
  shape: Shape,
  dims: readonly number[],
  keepdim = false,
): TfRef {
  if (!inBlocks(b, shape, dims)) {
    return reduceNode(b, "Mean", x, dims, keepdim);
  }
  const count = numel(dims.map((d) => shape[d]!));
  return b.node("RealDiv", [sumOver(b, x, shape, dims, keepdim), scalar(b, count, "float32")], { T });
}

/** The same in tfjs: in double precision, by a loop over what lies in memory. `factor` is what each sum is multiplied by. */
export function hostSum(
  k: Tfjs,
  x: tfjs.Tensor,
  dims: readonly number[],
  { shape }: Meta,
  factor = 1,
): tfjs.Tensor {
  const totals = sumsOf(x.dataSync<"float32">(), x.shape, dims);
  return k.tensor(
    filled(new Float32Array(totals.length), (i) => totals[i]! * factor),
    [...shape],
    "float32",
  );
}

/** Sums over `dims` in double precision. */
export function sumsOf(
  values: Float32Array | Float64Array,
  shape: Shape,
  dims: readonly number[],
): Float32Array | Float64Array {
  const runs = runsOf(shape, dims);
  if (values.length === 0) return new Float64Array(numel(reducedShape(shape, dims, false)));
  let sums = values;
  for (let i = runs.length - 1; i >= 0; i--) {
    if (!runs[i]!.reduced) continue;
    const inner = product(runs.slice(i + 1).filter(({ reduced }) => !reduced));
    sums = sumOfBlocks(sums, runs[i]!.size, inner);
  }
  return sums;
}

/** Of each block of `count` rows of `inner` values, their sum. */
function sumOfBlocks(values: Float32Array | Float64Array, count: number, inner: number): Float64Array {
  const outer = values.length / (count * inner);
  const sums = new Float64Array(outer * inner);
  let at = 0;
  if (inner === 1) {
    for (let block = 0; block < outer; block++) {
      // Four sums that don't wait for each other.
      let [p, q, r, s] = [0, 0, 0, 0];
      const end = at + count;
      for (; at + 3 < end; at += 4) {
        p += values[at]!;
        q += values[at + 1]!;
        r += values[at + 2]!;
        s += values[at + 3]!;
      }
      for (; at < end; at++) p += values[at]!;
      sums[block] = p + q + (r + s);
    }
    return sums;
  }
  for (let block = 0; block < outer; block++) {
    const start = block * inner;
    for (let row = 0; row < count; row++) for (let i = 0; i < inner; i++) sums[start + i]! += values[at++]!;
  }
  return sums;
}
