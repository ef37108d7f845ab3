import { TensorError } from "../../tensor/core/errors.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { floatsOf, planesOf, type Size } from "./image.ts";

/** How pixels between those of an image are computed: PyTorch's names. */
export type Interpolation = "nearest" | "nearest-exact" | "bilinear" | "bicubic";

/** torchvision's names of interpolations: `interpolation: transforms.InterpolationMode.NEAREST`. */
export const InterpolationMode = {
  NEAREST: "nearest",
  NEAREST_EXACT: "nearest-exact",
  BILINEAR: "bilinear",
  BICUBIC: "bicubic",
} as const;

/** An interpolation as Python prints it: "InterpolationMode.NEAREST". */
export function interpolationText(interpolation: Interpolation): string {
  const name = Object.entries(InterpolationMode).find(([, value]) => value === interpolation)?.[0];
  return name === undefined ? interpolation : `InterpolationMode.${name}`;
}

/** Which pixels a new pixel is made of, and with which weights. */
interface Taps {
  readonly from: number;
  readonly weights: Float64Array;
}

/** One new pixel each: the nearest old one; `offset` 0.5 measures from the middle of the new pixel. */
function nearestTaps(old: number, size: number, offset: 0 | 0.5): Taps[] {
  const scale = Math.fround(old / size);
  return Array.from({ length: size }, (_, i) => ({
    from: Math.min(Math.floor(Math.fround((i + offset) * scale)), old - 1),
    weights: Float64Array.of(1),
  }));
}

/** A filter: its weight at a distance in pixels, and from where on that is 0. */
interface Filter {
  readonly reach: number;
  readonly weight: (distance: number) => number;
}

const TRIANGLE: Filter = { reach: 1, weight: (x) => Math.max(0, 1 - x) };

/** Keys' cubic convolution. */
const cubic = (a: number): Filter => ({
  reach: 2,
  weight: (x) => {
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  },
});

/** PyTorch has another parameter with antialiasing, which is Pillow's. */
const FILTERS = {
  bilinear: { smooth: TRIANGLE, sharp: TRIANGLE },
  bicubic: { smooth: cubic(-0.5), sharp: cubic(-0.75) },
} as const;

/** With antialiasing, a smaller image is made of all pixels that a filter of the new pixels' size touches. */
function smoothTaps(old: number, size: number, { reach, weight }: Filter): Taps[] {
  const scale = old / size;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: size }, (_, i) => {
    const center = scale * (i + 0.5);
    const from = Math.max(Math.trunc(center - reach * stretch + 0.5), 0);
    const to = Math.min(Math.trunc(center + reach * stretch + 0.5), old);
    const raw = Float64Array.from({ length: to - from }, (_w, j) =>
      weight(Math.abs((from + j - center + 0.5) / stretch)),
    );
    const total = raw.reduce((sum, one) => sum + one, 0);
    return { from, weights: raw.map((one) => one / total) };
  });
}

/** Without antialiasing, a new pixel is made of the two or four nearest ones; the outermost repeat beyond the edge. */
function sharpTaps(old: number, size: number, { reach, weight }: Filter): Taps[] {
  return Array.from({ length: size }, (_, i) => {
    const at = (old / size) * (i + 0.5) - 0.5;
    const first = Math.floor(at) - reach + 1;
    const inside = (index: number): number => Math.min(Math.max(index, 0), old - 1);
    const from = inside(first);
    const weights = new Float64Array(inside(first + 2 * reach - 1) - from + 1);
    for (let j = first; j < first + 2 * reach; j++) weights[inside(j) - from]! += weight(Math.abs(at - j));
    return { from, weights };
  });
}

/** An image in another size, first in width, then in height. */
function resampled(
  image: Tensor,
  [height, width]: readonly [number, number],
  interpolation: Interpolation,
  antialias: boolean,
): Tensor {
  const { values, count, height: oldHeight, width: oldWidth } = planesOf(image);
  const taps = (old: number, size: number): Taps[] => {
    if (interpolation === "nearest" || interpolation === "nearest-exact")
      return nearestTaps(old, size, interpolation === "nearest" ? 0 : 0.5);
    const { smooth, sharp } = FILTERS[interpolation];
    return antialias ? smoothTaps(old, size, smooth) : sharpTaps(old, size, sharp);
  };
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

/** @throws TensorError for an interpolation of another name */
export function checkInterpolation(callee: string, interpolation: Interpolation): void {
  if (!Object.values(InterpolationMode).includes(interpolation))
    throw new TensorError(
      "unsupported",
      `${callee}(): expected interpolation "nearest", "nearest-exact", "bilinear" or "bicubic"`,
    );
}

/** An image [..., H, W] in another size: see `transforms.Resize`. */
export function resize(
  image: Tensor,
  size: Size,
  interpolation: Interpolation,
  maxSize: number | null,
  antialias: boolean,
  callee = "resize",
): Tensor {
  checkInterpolation(callee, interpolation);
  floatsOf(callee, image);
  const { height, width } = planesOf(image);
  const target = outputSize(size, maxSize, height, width);
  if (target[0] === height && target[1] === width) return image;
  return resampled(image, target, interpolation, antialias);
}

function outputSize(
  size: Size,
  maxSize: number | null,
  height: number,
  width: number,
): readonly [number, number] {
  const sizes: readonly number[] = typeof size === "number" ? [size] : size;
  if (sizes.length !== 1 && sizes.length !== 2)
    throw new TensorError(
      "value",
      `Size must be an int or a 1 or 2 element tuple/list, not a ${sizes.length} element tuple/list`,
    );
  const [first, second] = sizes as [number, number | undefined];
  if (second !== undefined) {
    if (maxSize !== null)
      throw new TensorError(
        "value",
        "max_size should only be passed if size specifies the length of the smaller edge, i.e. size should be an int or a sequence of length 1 in torchscript mode.",
      );
    return [first, second];
  }
  const [short, long] = width <= height ? [width, height] : [height, width];
  let [newShort, newLong] = [first, Math.trunc((first * long) / short)];
  if (maxSize !== null) {
    if (maxSize <= first)
      throw new TensorError(
        "value",
        `max_size = ${maxSize} must be strictly greater than the requested size for the smaller edge size = [${first}]`,
      );
    if (newLong > maxSize) [newShort, newLong] = [Math.trunc((maxSize * newShort) / newLong), maxSize];
  }
  return width <= height ? [newLong, newShort] : [newShort, newLong];
}
