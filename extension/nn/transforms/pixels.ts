// Colours of single pixels, in float32 and in the order of torchvision's kernels for tensors.
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { numel } from "../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { pyFloat } from "../module/repr.ts";
import { checkChannels, checkDimensions, floatsOf, planesOf } from "./image.ts";

const f = Math.fround;
const [RED, GREEN, BLUE] = [f(0.2989), f(0.587), f(0.114)];

/** The grey of a pixel whose red is at a place and whose green and blue are one and two planes further. */
const grayAt = (values: HostArray, at: number, size: number): number =>
  f(f(f(RED * values[at]!) + f(GREEN * values[at + size]!)) + f(BLUE * values[at + 2 * size]!));

/** An image [..., 1 or 3, H, W] in grey, as one channel or three equal ones. */
export function grayscale(image: Tensor, outputs: number): Tensor {
  checkDimensions(image);
  const channels = checkChannels(image);
  if (outputs !== 1 && outputs !== 3)
    throw new TensorError("value", "num_output_channels should be either 1 or 3");
  const { shape, dtype } = image;
  const size = numel(shape.slice(-2));
  const values = valuesOf(image.value);
  const out = new (values.constructor as Float32ArrayConstructor)(numel(shape.slice(0, -3)) * outputs * size);
  for (let i = 0; i < out.length; i++) {
    const at = Math.floor(i / (outputs * size)) * channels * size + (i % size);
    out[i] = channels === 1 ? values[at]! : grayAt(values, at, size);
  }
  return fromHost(out, [...shape.slice(0, -3), outputs, ...shape.slice(-2)], dtype);
}

const clamp = (x: number): number => Math.min(Math.max(x, 0), 1);

/** Another image of the same shape, from the values and their places. */
function mapped(image: Tensor, values: HostArray, pixel: (value: number, at: number) => number): Tensor {
  const out = new Float32Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = pixel(values[i]!, i);
  return fromHost(out, image.shape, "float32");
}

/** ratio · image + (1 − ratio) · other, from 0 to 1. */
export function blend(
  image: Tensor,
  values: HostArray,
  ratio: number,
  other: (at: number) => number,
): Tensor {
  const [own, rest] = [f(ratio), f(1 - ratio)];
  return mapped(image, values, (value, at) => clamp(f(f(own * value) + f(rest * other(at)))));
}

/** @throws TensorError "brightness_factor (-1.0) is not non-negative." */
export function checkFactor(name: string, factor: number): void {
  if (factor < 0) throw new TensorError("value", `${name} (${pyFloat(factor)}) is not non-negative.`);
}

export function adjustBrightness(image: Tensor, factor: number): Tensor {
  checkFactor("brightness_factor", factor);
  checkChannels(image);
  return blend(image, floatsOf("adjust_brightness", image), factor, () => 0);
}

export function adjustContrast(image: Tensor, factor: number): Tensor {
  checkFactor("contrast_factor", factor);
  const channels = checkChannels(image, [3, 1]);
  const values = floatsOf("adjust_contrast", image);
  const size = numel(image.shape.slice(-2));
  const means = Array.from({ length: values.length / (channels * size) }, (_, i) => {
    const start = i * channels * size;
    let sum = 0;
    for (let j = start; j < start + size; j++) sum += channels === 1 ? values[j]! : grayAt(values, j, size);
    return f(sum / size);
  });
  return blend(image, values, factor, (at) => means[Math.floor(at / (channels * size))]!);
}

export function adjustSaturation(image: Tensor, factor: number): Tensor {
  checkFactor("saturation_factor", factor);
  const channels = checkChannels(image);
  const values = floatsOf("adjust_saturation", image);
  if (channels === 1) return image;
  const size = numel(image.shape.slice(-2));
  return blend(image, values, factor, (at) =>
    grayAt(values, Math.floor(at / (3 * size)) * 3 * size + (at % size), size),
  );
}

export function adjustHue(image: Tensor, factor: number): Tensor {
  if (!(factor >= -0.5 && factor <= 0.5))
    throw new TensorError("value", `hue_factor (${pyFloat(factor)}) is not in [-0.5, 0.5].`);
  const channels = checkChannels(image);
  const values = floatsOf("adjust_hue", image);
  if (channels === 1) return image;
  const size = numel(image.shape.slice(-2));
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length / 3; i++) {
    const at = Math.floor(i / size) * 3 * size + (i % size);
    const [hue, saturation, value] = hsvOf(values[at]!, values[at + size]!, values[at + 2 * size]!);
    const sum = f(hue + f(factor)) % 1;
    const shifted = f(sum < 0 ? sum + 1 : sum);
    rgbOf(shifted, saturation, value).forEach((one, channel) => {
      out[at + channel * size] = one;
    });
  }
  return fromHost(out, image.shape, "float32");
}

function hsvOf(r: number, g: number, b: number): readonly [hue: number, saturation: number, value: number] {
  const [max, min] = [Math.max(r, g, b), Math.min(r, g, b)];
  if (max === min) return [0, 0, max];
  const range = f(max - min);
  const [rc, gc, bc] = [f(f(max - r) / range), f(f(max - g) / range), f(f(max - b) / range)];
  const sixths = max === r ? f(bc - gc) : max === g ? f(f(2 + rc) - bc) : f(f(4 + gc) - rc);
  return [f(f(f(sixths / 6) + 1) % 1), f(range / max), max];
}

function rgbOf(hue: number, saturation: number, value: number): readonly [number, number, number] {
  const sixth = Math.floor(f(hue * 6));
  const part = f(f(hue * 6) - sixth);
  const p = clamp(f(value * f(1 - saturation)));
  const q = clamp(f(value * f(1 - f(saturation * part))));
  const t = clamp(f(value * f(1 - f(saturation * f(1 - part)))));
  switch (sixth % 6) {
    case 0:
      return [value, t, p];
    case 1:
      return [q, value, p];
    case 2:
      return [p, value, t];
    case 3:
      return [p, q, value];
    case 4:
      return [t, p, value];
    default:
      return [value, p, q];
  }
}

export function adjustGamma(image: Tensor, gamma: number, gain: number): Tensor {
  checkChannels(image);
  if (gamma < 0) throw new TensorError("value", "Gamma should be a non-negative real number");
  const exponent = f(gamma);
  return mapped(image, floatsOf("adjust_gamma", image), (value) => clamp(f(f(gain) * f(value ** exponent))));
}

export function invert(image: Tensor): Tensor {
  checkDimensions(image);
  checkChannels(image);
  return mapped(image, floatsOf("invert", image), (value) => 1 - value);
}

export function solarize(image: Tensor, threshold: number): Tensor {
  checkDimensions(image);
  checkChannels(image);
  const values = floatsOf("solarize", image);
  if (threshold > 1) throw new TensorError("value", "Threshold should be less than bound of img.");
  return mapped(image, values, (value) => (value >= f(threshold) ? 1 - value : value));
}

export function posterize(image: Tensor, bits: number): Tensor {
  if (!(bits >= 0 && bits <= 8))
    throw new TensorError("value", `The number if bits should be between 0 and 8. Got ${bits}`);
  checkDimensions(image);
  checkChannels(image);
  const levels = 2 ** bits;
  return mapped(
    image,
    floatsOf("posterize", image),
    (value) => Math.min(Math.max(Math.floor(f(value * levels)), 0), levels - 1) / levels,
  );
}

export function autocontrast(image: Tensor): Tensor {
  checkDimensions(image);
  checkChannels(image);
  const values = floatsOf("autocontrast", image);
  const size = numel(image.shape.slice(-2));
  const ranges = Array.from({ length: planesOf(image).count }, (_, plane) => {
    let [min, max] = [Infinity, -Infinity];
    for (let i = plane * size; i < (plane + 1) * size; i++) {
      min = Math.min(min, values[i]!);
      max = Math.max(max, values[i]!);
    }
    return max === min ? { min: 0, range: 1 } : { min, range: f(max - min) };
  });
  return mapped(image, values, (value, at) => {
    const { min, range } = ranges[Math.floor(at / size)]!;
    return clamp(f(f(value - min) / range));
  });
}

/** Steps of an image of 8 bits a channel. */
const STEPS = 256;

export function equalize(image: Tensor): Tensor {
  checkDimensions(image);
  checkChannels(image);
  const values = floatsOf("equalize", image);
  const size = numel(image.shape.slice(-2));
  const step = f(STEPS - 1e-3);
  const levels = new Uint8Array(values.length);
  for (let i = 0; i < levels.length; i++) levels[i] = f(values[i]! * step);
  const tables = Array.from({ length: planesOf(image).count }, (_, plane) =>
    equalizing(levels.subarray(plane * size, (plane + 1) * size)),
  );
  const unit = f(1 / (STEPS - 1));
  return mapped(image, values, (_, at) => tables[Math.floor(at / size)]![levels[at]!]! * unit);
}

/** The new level of each level, after which all are about as frequent: Pillow's rule. */
function equalizing(levels: Uint8Array): readonly number[] {
  const counts = Array.from({ length: STEPS }, () => 0);
  for (const level of levels) counts[level]!++;
  const brightest = counts.findLastIndex((count) => count > 0);
  const step = Math.floor((levels.length - (counts[brightest] ?? 0)) / (STEPS - 1));
  let below = Math.floor(step / 2);
  return counts.map((count, level) => {
    if (step === 0) return level;
    const to = Math.min(Math.floor(below / step), STEPS - 1);
    below += count;
    return to;
  });
}
