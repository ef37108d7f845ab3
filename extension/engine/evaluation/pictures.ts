import { encodePng } from "../../formats/images/png.ts";
import type { TensorView } from "../../protocol/evaluation.ts";

/** Pixels along a picture's longer side: of larger images, means are shown. */
export const MAX_SIDE = 128;

/** Values [channels, height, width] and, for each channel, those that are drawn black and white. */
export interface Plane {
  values: ArrayLike<number>;
  channels: number;
  height: number;
  width: number;
  low: readonly number[];
  high: readonly number[];
}

/** A smaller plane of the same proportions, whose pixels are means. */
export function shrunk(plane: Plane, side = MAX_SIDE): Plane {
  const factor = Math.ceil(Math.max(plane.height, plane.width) / side);
  if (factor <= 1) return plane;
  const { values, channels, height, width } = plane;
  const [h, w] = [Math.ceil(height / factor), Math.ceil(width / factor)];
  const out = new Float32Array(channels * h * w);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) {
        let sum = 0;
        let count = 0;
        for (let v = y * factor; v < Math.min(height, (y + 1) * factor); v++)
          for (let u = x * factor; u < Math.min(width, (x + 1) * factor); u++, count++)
            sum += values[(c * height + v) * width + u]!;
        out[(c * h + y) * w + x] = sum / count;
      }
  return { ...plane, values: out, height: h, width: w };
}

/** From 0 to 255. */
const byte = (share: number): number =>
  Number.isFinite(share) ? Math.max(0, Math.min(255, Math.round(share * 255))) : 0;

/** A picture of one channel (grey), or of the first three. */
export function picture(given: Plane, side = MAX_SIDE): Extract<TensorView, { kind: "image" }> {
  const { values, channels, height, width, low, high } = shrunk(given, side);
  const size = height * width;
  const share = (c: number, at: number): number => {
    const range = high[c]! - low[c]!;
    return range > 0 ? (values[c * size + at]! - low[c]!) / range : 0;
  };
  const data = new Uint8Array(4 * size);
  for (let at = 0; at < size; at++) {
    for (let c = 0; c < 3; c++) data[4 * at + c] = byte(share(channels >= 3 ? c : 0, at));
    data[4 * at + 3] = 255;
  }
  return { kind: "image", png: encodePng({ width, height, data }).toString("base64"), width, height };
}

/** A picture that is black and, in places, transparent: what colours a view gives it is the view's business. */
export function mask(values: ArrayLike<number>, height: number, width: number): string {
  const plane = shrunk({ values, channels: 1, height, width, low: [0], high: [0] });
  let largest = 0;
  for (let at = 0; at < plane.values.length; at++) largest = Math.max(largest, plane.values[at]!);
  const data = new Uint8Array(4 * plane.height * plane.width);
  for (let at = 0; at < plane.height * plane.width; at++)
    data[4 * at + 3] = largest > 0 ? byte(plane.values[at]! / largest) : 0;
  return encodePng({ width: plane.width, height: plane.height, data }).toString("base64");
}
