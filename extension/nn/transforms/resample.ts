import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { planesOf } from "./image.ts";

/** Which pixels a new pixel is made of, and with which weights. */
interface Taps {
  readonly from: number;
  readonly weights: readonly number[];
}

/** One new pixel each: the nearest old one. */
function nearestTaps(old: number, size: number): Taps[] {
  return Array.from({ length: size }, (_, i) => ({
    from: Math.min(Math.floor(Math.fround(i * Math.fround(old / size))), old - 1),
    weights: [1],
  }));
}

/**
 * Linear interpolation between the middles of pixels. With antialiasing, a smaller image is made of all pixels that a
 * triangle of the new pixels' size touches; without, of two.
 */
function linearTaps(old: number, size: number, antialias: boolean): Taps[] {
  const scale = old / size;
  const reach = antialias ? Math.max(scale, 1) : 1;
  return Array.from({ length: size }, (_, i) => {
    if (!antialias) {
      const at = Math.max(scale * (i + 0.5) - 0.5, 0);
      const from = Math.min(Math.floor(at), old - 1);
      return from + 1 < old ? { from, weights: [1 - (at - from), at - from] } : { from, weights: [1] };
    }
    const center = scale * (i + 0.5);
    const from = Math.max(Math.trunc(center - reach + 0.5), 0);
    const to = Math.min(Math.trunc(center + reach + 0.5), old);
    const raw = Array.from({ length: to - from }, (_w, j) =>
      Math.max(0, 1 - Math.abs((from + j - center + 0.5) / reach)),
    );
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    return { from, weights: raw.map((weight) => weight / total) };
  });
}

/** An image in another size, first in width, then in height. */
export function resampled(
  image: Tensor,
  [height, width]: readonly [number, number],
  interpolation: "nearest" | "bilinear",
  antialias: boolean,
): Tensor {
  const { values, count, height: oldHeight, width: oldWidth } = planesOf(image);
  const taps = (old: number, size: number): Taps[] =>
    interpolation === "nearest" ? nearestTaps(old, size) : linearTaps(old, size, antialias);
  const columns = taps(oldWidth, width);
  const rows = taps(oldHeight, height);
  const out = new Float32Array(count * height * width);
  const wide = new Float64Array(oldHeight * width);
  for (let plane = 0; plane < count; plane++) {
    const start = plane * oldHeight * oldWidth;
    for (let y = 0; y < oldHeight; y++)
      for (let x = 0; x < width; x++) {
        const { from, weights } = columns[x]!;
        let sum = 0;
        for (let j = 0; j < weights.length; j++)
          sum += weights[j]! * values[start + y * oldWidth + from + j]!;
        wide[y * width + x] = sum;
      }
    for (let y = 0; y < height; y++) {
      const { from, weights } = rows[y]!;
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let j = 0; j < weights.length; j++) sum += weights[j]! * wide[(from + j) * width + x]!;
        out[(plane * height + y) * width + x] = sum;
      }
    }
  }
  return fromHost(out, [...image.shape.slice(0, -2), height, width], "float32");
}
