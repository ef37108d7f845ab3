// Kernels that tfjs's wasm backend lacks, or has only slow ones for.
import type * as tfjs from "@tensorflow/tfjs-core";
import type { Tfjs } from "../recording/op.ts";

type Pair = readonly [number, number];
type Padding = readonly [top: number, bottom: number, left: number, right: number];

/** Longest inner dimension of one call, which adds up in float32: longer sums lose accuracy. */
const TOGETHER = 512;

/**
 * A product of matrices, either transposed first. By hand: the wasm backend multiplies only matrices as they lie in memory to
 * XNNPACK, and takes ten times as long for the others.
 */
export function matrixProduct(
  k: Tfjs,
  x: tfjs.Tensor,
  y: tfjs.Tensor,
  transposeX: boolean,
  transposeY: boolean,
): tfjs.Tensor {
  if (x.rank > 2) return k.matMul(x, y, transposeX, transposeY);
  const [left, right] = [transposeX ? k.transpose(x) : x, transposeY ? k.transpose(y) : y];
  const [rows, length] = left.shape as [number, number];
  if (length <= TOGETHER) return k.matMul(left, right);
  let total: tfjs.Tensor | undefined;
  for (let from = 0; from < length; from += TOGETHER) {
    const count = Math.min(TOGETHER, length - from);
    const parts = [k.slice(left, [0, from], [rows, count]), k.slice(right, [from, 0], [count, -1])] as const;
    const product: tfjs.Tensor = k.matMul(...parts);
    total = total === undefined ? product : k.add(total, product);
  }
  return total!;
}

/** Floats of a matrix of patches, at most: it has each pixel as often as the filter has cells. */
const LARGEST = 2 ** 21;

/**
 * Gradient of a convolution with respect to its filters, [kH, kW, in, out], from its NHWC images `x` and the gradient `g`
 * of its result: patches times gradient, as many images at a time as fit.
 */
export function filterGradient(
  k: Tfjs,
  x: tfjs.Tensor4D,
  g: tfjs.Tensor4D,
  [kh, kw]: Pair,
  stride: Pair,
  padding: Padding,
): tfjs.Tensor {
  const [n, h, w, c] = x.shape;
  const [, gh, gw, o] = g.shape;
  const images = x.dataSync<"float32">();
  const rows = kh * kw * c;
  const together = Math.max(1, Math.min(n, Math.floor(LARGEST / (rows * gh * gw))));
  let total: tfjs.Tensor | undefined;
  for (let from = 0; from < n; from += together) {
    const count = Math.min(together, n - from);
    const part = images.subarray(from * h * w * c, (from + count) * h * w * c);
    const patches = patchesOf(part, [count, h, w, c], [gh, gw], [kh, kw], stride, padding);
    const grad = count === n ? g : k.slice(g, [from, 0, 0, 0], [count, gh, gw, o]);
    const product: tfjs.Tensor = k.matMul(
      k.tensor(patches, [rows, count * gh * gw], "float32"),
      k.reshape<tfjs.Rank.R2>(grad, [-1, o]),
    );
    total = total === undefined ? product : k.add(total, product);
  }
  return k.reshape(total ?? k.zeros([rows, o]), [kh, kw, c, o]);
}

/** For each cell of the filter and each channel, a row with what every place of the result sees there. */
function patchesOf(
  images: Float32Array,
  [n, h, w, c]: readonly [number, number, number, number],
  [gh, gw]: Pair,
  [kh, kw]: Pair,
  [sh, sw]: Pair,
  [top, , left]: Padding,
): Float32Array {
  const patches = new Float32Array(kh * kw * c * n * gh * gw);
  let at = 0;
  for (let i = 0; i < kh; i++)
    for (let j = 0; j < kw; j++) {
      // Columns of the result whose patch has this cell inside of the image.
      const first = Math.max(0, Math.ceil((left - j) / sw));
      const end = Math.min(gw, Math.floor((w - 1 + left - j) / sw) + 1);
      for (let channel = 0; channel < c; channel++)
        for (let image = 0; image < n; image++)
          for (let row = 0; row < gh; row++, at += gw) {
            const y = row * sh + i - top;
            if (y < 0 || y >= h) continue;
            const start = ((image * h + y) * w + j - left) * c + channel;
            for (let column = first; column < end; column++)
              patches[at + column] = images[start + column * sw * c]!;
          }
    }
  return patches;
}

/** A convolution of each channel of padded NHWC images with its own filters [kH, kW, 1, out], as many for each channel. */
export function depthwiseConvolution(
  k: Tfjs,
  x: tfjs.Tensor4D,
  filter: tfjs.Tensor4D,
  stride: Pair,
): tfjs.Tensor {
  const [h, w] = filter.shape;
  const [c, o] = [x.shape[3], filter.size / (h * w)];
  return k.depthwiseConv2d(x, k.reshape<tfjs.Rank.R4>(filter, [h, w, c, o / c]), [...stride], "valid");
}

/** {@link filterGradient} of such filters. */
export function depthwiseFilterGradient(
  k: Tfjs,
  x: tfjs.Tensor4D,
  g: tfjs.Tensor4D,
  [kh, kw]: Pair,
  [sh, sw]: Pair,
  [top, , left]: Padding,
): tfjs.Tensor {
  const [n, h, w, c] = x.shape;
  const [, gh, gw, o] = g.shape;
  const [images, gradient] = [x.dataSync<"float32">(), g.dataSync<"float32">()];
  const each = o / c;
  const sums = new Float64Array(kh * kw * o);
  for (let image = 0; image < n; image++)
    for (let row = 0; row < gh; row++)
      for (let i = 0; i < kh; i++) {
        const y = row * sh + i - top;
        if (y < 0 || y >= h) continue;
        for (let column = 0; column < gw; column++)
          for (let j = 0; j < kw; j++) {
            const at = column * sw + j - left;
            if (at < 0 || at >= w) continue;
            const from = ((image * h + y) * w + at) * c;
            let source = ((image * gh + row) * gw + column) * o;
            let to = (i * kw + j) * o;
            for (let channel = 0; channel < c; channel++) {
              const value = images[from + channel]!;
              for (let q = 0; q < each; q++) sums[to++]! += value * gradient[source++]!;
            }
          }
      }
  return k.tensor(Float32Array.from(sums), [kh, kw, 1, o], "float32");
}

/**
 * A tensor divided into equal parts along its first dimension: by hand, since the wasm backend's own splitting copies the
 * whole tensor for each part.
 */
export function split(k: Tfjs, x: tfjs.Tensor, parts: number): tfjs.Tensor[] {
  if (parts === 1 || x.size === 0 || x.dtype !== "float32") return k.split(x, parts, 0);
  const values = x.dataSync<"float32">();
  const shape = [x.shape[0] / parts, ...x.shape.slice(1)];
  const size = x.size / parts;
  return Array.from({ length: parts }, (_, i) =>
    k.tensor(values.subarray(i * size, (i + 1) * size), shape, "float32"),
  );
}
