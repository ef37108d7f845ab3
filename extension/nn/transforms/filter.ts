// Filters of neighbouring pixels: blurring and sharpening.
import { TensorError } from "../../tensor/core/errors.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { py, pyFloat } from "../module/repr.ts";
import { checkChannels, floatsOf, pad, planesOf } from "./image.ts";
import { blend, checkFactor } from "./pixels.ts";

/** Weights of a Gauss curve, whose sum is 1. */
function gauss(size: number, sigma: number): Float64Array {
  const weights = Float64Array.from({ length: size }, (_, i) =>
    Math.exp(-0.5 * ((i - (size - 1) / 2) / sigma) ** 2),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** An image blurred by a kernel [width, height] with deviations [horizontal, vertical]; its edges are reflected. */
export function gaussianBlur(
  image: Tensor,
  [kernelWidth, kernelHeight]: readonly [number, number],
  sigma: readonly [number, number],
): Tensor {
  floatsOf("gaussian_blur", image);
  const { count, height, width } = planesOf(image);
  const [across, down] = [gauss(kernelWidth, sigma[0]), gauss(kernelHeight, sigma[1])];
  const padded = pad(image, [kernelWidth >> 1, kernelHeight >> 1], 0, "reflect");
  const { values, height: fullHeight, width: fullWidth } = planesOf(padded);
  const rows = new Float64Array(fullHeight * width);
  const out = new Float32Array(count * height * width);
  for (let plane = 0; plane < count; plane++) {
    for (let y = 0; y < fullHeight; y++)
      for (let x = 0; x < width; x++) {
        const start = (plane * fullHeight + y) * fullWidth + x;
        let sum = 0;
        for (let j = 0; j < kernelWidth; j++) sum += across[j]! * values[start + j]!;
        rows[y * width + x] = sum;
      }
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let j = 0; j < kernelHeight; j++) sum += down[j]! * rows[(y + j) * width + x]!;
        out[(plane * height + y) * width + x] = sum;
      }
  }
  return fromHost(out, image.shape, "float32");
}

/** @throws TensorError for a kernel of an even size, or a deviation that is not positive */
export function blurArguments(
  kernelSize: number | readonly number[],
  sigma: number | readonly number[] | null,
): readonly [kernel: readonly [number, number], sigma: readonly [number, number]] {
  const kernel = typeof kernelSize === "number" ? [kernelSize, kernelSize] : kernelSize;
  if (kernel.length !== 2)
    throw new TensorError(
      "value",
      `If kernel_size is a sequence its length should be 2. Got ${kernel.length}`,
    );
  if (kernel.some((one) => one < 0 || one % 2 === 0))
    throw new TensorError(
      "value",
      `kernel_size should have odd and positive integers. Got ${typeof kernelSize === "number" ? `[${kernel.join(", ")}]` : py(kernel)}`,
    );
  let deviations: readonly number[];
  if (sigma === null) deviations = kernel.map((one) => one * 0.15 + 0.35);
  else if (typeof sigma === "number") deviations = [sigma, sigma];
  else deviations = sigma.length === 1 ? [sigma[0]!, sigma[0]!] : sigma;
  if (deviations.length !== 2)
    throw new TensorError(
      "value",
      `If sigma is a sequence, its length should be 2. Got ${deviations.length}`,
    );
  if (deviations.some((one) => one <= 0))
    throw new TensorError(
      "value",
      `sigma should have positive values. Got [${deviations.map(pyFloat).join(", ")}]`,
    );
  return [kernel as [number, number], deviations as [number, number]];
}

/** An image blended with a smoothed one, of whose weights the middle one is 5 and the other eight are 1. */
export function adjustSharpness(image: Tensor, factor: number): Tensor {
  checkFactor("sharpness_factor", factor);
  checkChannels(image);
  const values = floatsOf("adjust_sharpness", image);
  const { height, width } = planesOf(image);
  if (width <= 2 || height <= 2) return image;
  return blend(image, values, factor, (at) => {
    const [x, y] = [at % width, Math.floor(at / width) % height];
    if (x === 0 || y === 0 || x === width - 1 || y === height - 1) return values[at]!;
    let sum = 4 * values[at]!;
    for (let row = at - width; row <= at + width; row += width)
      sum += values[row - 1]! + values[row]! + values[row + 1]!;
    return Math.fround(sum / 13);
  });
}
