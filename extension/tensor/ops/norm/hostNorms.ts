// Normalisation on the host: tfjs has no kernels of it, and its sums are less exact and no faster than these loops.
import type * as tfjs from "@tensorflow/tfjs-core";
import type { Tfjs } from "../../recording/op.ts";

type Floats = Float32Array;
type Doubles = Float64Array;

/** Where the groups lie whose statistics are taken: columns of a matrix of `width` columns, or its rows. */
export type Groups = "columns" | "rows";

const floats = (x: tfjs.Tensor): Floats => x.dataSync<"float32">();
const upload = (k: Tfjs, values: Floats | Doubles, shape: readonly number[]): tfjs.Tensor =>
  k.tensor(values instanceof Float32Array ? values : Float32Array.from(values), [...shape], "float32");

export interface Normalized {
  readonly unit: Floats;
  readonly mean: Doubles;
  readonly variance: Doubles;
}

/** (x − mean) / √(variance + eps) of each row or column, in double precision. */
function normalized(x: Floats, width: number, groups: Groups, eps: number): Normalized {
  const rows = x.length / width;
  const byRow = groups === "rows";
  const [count, size] = byRow ? [rows, width] : [width, rows];
  const [mean, variance, root] = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  const unit = new Float32Array(x.length);
  if (byRow) {
    for (let r = 0, at = 0; r < rows; r++, at += width) {
      let [sum, squares] = [0, 0];
      for (let i = at; i < at + width; i++) sum += x[i]!;
      const centre = sum / size;
      for (let i = at; i < at + width; i++) squares += (x[i]! - centre) ** 2;
      mean[r] = centre;
      variance[r] = squares / size;
      const scale = 1 / Math.sqrt(variance[r]! + eps);
      for (let i = at; i < at + width; i++) unit[i] = (x[i]! - centre) * scale;
    }
    return { unit, mean, variance };
  }
  for (let at = 0; at < x.length; at += width) for (let c = 0; c < width; c++) mean[c]! += x[at + c]!;
  for (let c = 0; c < width; c++) mean[c]! /= size;
  for (let at = 0; at < x.length; at += width)
    for (let c = 0; c < width; c++) variance[c]! += (x[at + c]! - mean[c]!) ** 2;
  for (let c = 0; c < width; c++) {
    variance[c]! /= size;
    root[c] = 1 / Math.sqrt(variance[c]! + eps);
  }
  for (let at = 0; at < x.length; at += width)
    for (let c = 0; c < width; c++) unit[at + c] = (x[at + c]! - mean[c]!) * root[c]!;
  return { unit, mean, variance };
}

/** Each column normalised, times its weight plus its bias; and the statistics of the columns. */
export function batchNormOnHost(
  k: Tfjs,
  [x, weight, bias]: readonly [tfjs.Tensor, tfjs.Tensor, tfjs.Tensor],
  eps: number,
): [y: tfjs.Tensor, mean: tfjs.Tensor, variance: tfjs.Tensor] {
  const width = weight.size;
  const { unit, mean, variance } = normalized(floats(x), width, "columns", eps);
  const [factor, offset] = [floats(weight), floats(bias)];
  for (let at = 0; at < unit.length; at += width)
    for (let c = 0; c < width; c++) unit[at + c] = unit[at + c]! * factor[c]! + offset[c]!;
  return [upload(k, unit, x.shape), upload(k, mean, [width]), upload(k, variance, [width])];
}

/** Gradients of x, weight and bias. */
export function batchNormGradOnHost(
  k: Tfjs,
  [g, x, weight, mean, variance]: readonly tfjs.Tensor[],
  eps: number,
): tfjs.Tensor[] {
  const width = weight!.size;
  const [grad, values, factor, centre] = [floats(g!), floats(x!), floats(weight!), floats(mean!)];
  const root = Float64Array.from(floats(variance!), (v) => 1 / Math.sqrt(v + eps));
  const [along, total] = [new Float64Array(width), new Float64Array(width)];
  for (let at = 0; at < grad.length; at += width)
    for (let c = 0; c < width; c++) {
      total[c]! += grad[at + c]!;
      along[c]! += grad[at + c]! * (values[at + c]! - centre[c]!);
    }
  const count = grad.length / width;
  const xGrad = new Float32Array(grad.length);
  for (let c = 0; c < width; c++) along[c]! *= root[c]!;
  const slope = along.map((sum, c) => (sum * root[c]!) / count);
  const shift = total.map((sum) => sum / count);
  const scale = root.map((r, c) => r * factor[c]!);
  for (let at = 0; at < grad.length; at += width)
    for (let c = 0; c < width; c++) {
      const distance = values[at + c]! - centre[c]!;
      xGrad[at + c] = (grad[at + c]! - shift[c]! - distance * slope[c]!) * scale[c]!;
    }
  return [upload(k, xGrad, x!.shape), upload(k, along, [width]), upload(k, total, [width])];
}

/** Each row normalised, times the weight plus the bias; the normalised rows, and 1 / √(variance + eps) of each. */
export function layerNormOnHost(
  k: Tfjs,
  x: tfjs.Tensor,
  weight: tfjs.Tensor | undefined,
  bias: tfjs.Tensor | undefined,
  eps: number,
): [y: tfjs.Tensor, unit: tfjs.Tensor, root: tfjs.Tensor] {
  const width = x.shape[x.rank - 1]!;
  const { unit, variance } = normalized(floats(x), width, "rows", eps);
  const roots = upload(
    k,
    variance.map((v) => 1 / Math.sqrt(v + eps)),
    [...x.shape.slice(0, -1), 1],
  );
  const rows = upload(k, unit, x.shape);
  const scaled = weight === undefined ? rows : k.mul(rows, weight);
  return [bias === undefined ? scaled : k.add(scaled, bias), rows, roots];
}

/** Gradients of x and, where there is one, of the weight. */
export function layerNormGradOnHost(
  k: Tfjs,
  [g, unit, root, weight]: readonly (tfjs.Tensor | undefined)[],
): tfjs.Tensor[] {
  const width = g!.shape[g!.rank - 1]!;
  const [grad, units, roots] = [floats(g!), floats(unit!), floats(root!)];
  const factor = weight === undefined ? new Float32Array(width).fill(1) : floats(weight);
  const [xGrad, weightGrad] = [new Float32Array(grad.length), new Float64Array(width)];
  for (let at = 0, r = 0; at < grad.length; at += width, r++) {
    let [total, along] = [0, 0];
    for (let i = 0; i < width; i++) {
      const [own, u] = [grad[at + i]!, units[at + i]!];
      const scaled = own * factor[i]!;
      total += scaled;
      along += scaled * u;
      weightGrad[i]! += own * u;
    }
    const [shift, slope] = [total / width, along / width];
    for (let i = 0; i < width; i++)
      xGrad[at + i] = (grad[at + i]! * factor[i]! - shift - units[at + i]! * slope) * roots[r]!;
  }
  const first = upload(k, xGrad, g!.shape);
  return weight === undefined ? [first] : [first, upload(k, weightGrad, [width])];
}

/** Groups of the channels of each image normalised, channels last, times a weight plus a bias; their means and roots. */
export function groupNormOnHost(
  k: Tfjs,
  [x, weight, bias]: readonly [tfjs.Tensor, tfjs.Tensor, tfjs.Tensor],
  groups: number,
  eps: number,
): [y: tfjs.Tensor, mean: tfjs.Tensor, root: tfjs.Tensor] {
  const [values, factors, offsets] = [floats(x), floats(weight), floats(bias)];
  const [n, c] = [x.shape[0], factors.length];
  const [size, each] = [values.length / n, c / groups];
  const count = size / groups;
  const [means, roots] = [new Float64Array(n * groups), new Float64Array(n * groups)];
  const y = new Float32Array(values.length);
  for (let image = 0; image < n; image++) {
    const [from, to, first] = [image * size, (image + 1) * size, image * groups];
    const group = (at: number): number => first + Math.floor((at % c) / each);
    for (let at = from; at < to; at++) means[group(at)]! += values[at]! / count;
    for (let at = from; at < to; at++) roots[group(at)]! += (values[at]! - means[group(at)]!) ** 2 / count;
    for (let g = first; g < first + groups; g++) roots[g] = 1 / Math.sqrt(roots[g]! + eps);
    for (let at = from; at < to; at++)
      y[at] = (values[at]! - means[group(at)]!) * roots[group(at)]! * factors[at % c]! + offsets[at % c]!;
  }
  return [upload(k, y, x.shape), upload(k, means, [n, groups]), upload(k, roots, [n, groups])];
}

/** Gradients of x, weight and bias, from those of y, x, weight, means and roots. */
export function groupNormGradOnHost(k: Tfjs, inputs: readonly tfjs.Tensor[], groups: number): tfjs.Tensor[] {
  const [g, x, weight, mean, root] = inputs.map(floats) as [Floats, Floats, Floats, Floats, Floats];
  const { shape } = inputs[1]!;
  const [n, c] = [shape[0], weight.length];
  const [size, each] = [x.length / n, c / groups];
  const count = size / groups;
  const [weightGrad, biasGrad] = [new Float64Array(c), new Float64Array(c)];
  const result = new Float32Array(x.length);
  for (let image = 0; image < n; image++) {
    const [from, to] = [image * size, (image + 1) * size];
    const [total, along] = [new Float64Array(groups), new Float64Array(groups)];
    for (let at = from; at < to; at++) {
      const channel = at % c;
      const group = Math.floor(channel / each);
      const unit = (x[at]! - mean[image * groups + group]!) * root[image * groups + group]!;
      weightGrad[channel]! += g[at]! * unit;
      biasGrad[channel]! += g[at]!;
      total[group]! += (g[at]! * weight[channel]!) / count;
      along[group]! += (g[at]! * weight[channel]! * unit) / count;
    }
    for (let at = from; at < to; at++) {
      const channel = at % c;
      const group = Math.floor(channel / each);
      const scale = root[image * groups + group]!;
      const unit = (x[at]! - mean[image * groups + group]!) * scale;
      result[at] = (g[at]! * weight[channel]! - total[group]! - unit * along[group]!) * scale;
    }
  }
  return [upload(k, result, shape), upload(k, weightGrad, [c]), upload(k, biasGrad, [c])];
}
