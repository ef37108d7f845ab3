// Images whose pixels come from other places: rotations, affine and perspective maps, displacements. In float32 and in
// the order of torchvision's grids, so that the nearest pixel is the same one.
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape } from "../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { channelsOf, nearbyInteger, planesOf } from "./image.ts";
import type { Interpolation } from "./resample.ts";

const f = Math.fround;

/** Value of pixels from outside: one, or one for each channel. */
export type Fill = number | readonly number[];

/** Interpolations of warped images. */
export type WarpInterpolation = Extract<Interpolation, "nearest" | "bilinear">;

export type Point = readonly [x: number, y: number];
export type Corners = readonly [topLeft: Point, topRight: Point, bottomRight: Point, bottomLeft: Point];

/** Where the pixels of a new image come from; −1 and 1 are the edges of the old one. */
interface Grid {
  readonly height: number;
  readonly width: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
}

function gridOf(height: number, width: number, source: (x: number, y: number) => Point): Grid {
  const grid = { height, width, x: new Float32Array(height * width), y: new Float32Array(height * width) };
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      [grid.x[row * width + column], grid.y[row * width + column]] = source(column, row);
  return grid;
}

/** An image at the places of a grid: PyTorch's `grid_sample`, and what is outside is `fill`. */
function sampled(image: Tensor, grid: Grid, interpolation: Interpolation, fill: Fill | null): Tensor {
  const channels = channelsOf(image);
  if (fill !== null && typeof fill !== "number" && fill.length > 1 && fill.length !== channels)
    throw new TensorError(
      "value",
      `The number of elements in 'fill' cannot broadcast to match the number of channels of the image (${fill.length} != ${channels})`,
    );
  if (interpolation !== "nearest" && interpolation !== "bilinear")
    throw new TensorError("value", `Interpolation mode '${interpolation}' is unsupported with Tensor input`);
  const { values, count, height, width } = planesOf(image);
  const size = grid.x.length;
  const out = new (values.constructor as Float32ArrayConstructor)(count * size);
  const fills = typeof fill === "number" ? [fill] : (fill ?? [null]);
  for (let plane = 0; plane < count; plane++) {
    const outside = fills[fills.length === 1 ? 0 : plane % channels]!;
    const pixels = values.subarray(plane * height * width, (plane + 1) * height * width);
    for (let i = 0; i < size; i++) {
      const x = placeOf(grid.x[i]!, width);
      const y = placeOf(grid.y[i]!, height);
      out[plane * size + i] =
        interpolation === "nearest"
          ? nearest(pixels, width, height, x, y, outside ?? 0)
          : bilinear(pixels, width, height, x, y, outside, image.dtype !== "float32");
    }
  }
  return fromHost(out, [...image.shape.slice(0, -2), grid.height, grid.width], image.dtype);
}

/** The index, with a fraction, of a place from −1 to 1. PyTorch fuses the product and the difference. */
const placeOf = (at: number, size: number): number => f(f(at + 1) * (size / 2) - 0.5);

function nearest(
  pixels: ArrayLike<number>,
  width: number,
  height: number,
  x: number,
  y: number,
  outside: number,
): number {
  const column = nearbyInteger(x);
  const row = nearbyInteger(y);
  const inside = column >= 0 && row >= 0 && column < width && row < height;
  return inside ? pixels[row * width + column]! : outside;
}

function bilinear(
  pixels: ArrayLike<number>,
  width: number,
  height: number,
  x: number,
  y: number,
  outside: number | null,
  whole: boolean,
): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  let [sum, mask] = [0, 0];
  for (let row = top; row <= top + 1; row++)
    for (let column = left; column <= left + 1; column++) {
      if (column < 0 || row < 0 || column >= width || row >= height) continue;
      const weight = (1 - Math.abs(x - column)) * (1 - Math.abs(y - row));
      sum += weight * pixels[row * width + column]!;
      mask += weight;
    }
  // With a value for what is outside, torchvision weighs what it has sampled once more.
  const value = outside === null ? sum : sum * mask + (1 - mask) * outside;
  return whole ? nearbyInteger(value) : value;
}

/** The first two rows of a 3 × 3 matrix: for each new pixel the old one, from the image's middle. */
type Matrix = readonly [number, number, number, number, number, number];

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

function inverseMatrix(
  [centerX, centerY]: Point,
  angle: number,
  [moveX, moveY]: Point,
  scale: number,
  shear: Point,
): Matrix {
  const rotation = radians(angle);
  const [shearX, shearY] = [radians(shear[0]), radians(shear[1])];
  const a = Math.cos(rotation - shearY) / Math.cos(shearY);
  const b = (-Math.cos(rotation - shearY) * Math.tan(shearX)) / Math.cos(shearY) - Math.sin(rotation);
  const c = Math.sin(rotation - shearY) / Math.cos(shearY);
  const d = (-Math.sin(rotation - shearY) * Math.tan(shearX)) / Math.cos(shearY) + Math.cos(rotation);
  const [xx, xy, yx, yy] = [d / scale, -b / scale, -c / scale, a / scale];
  const x = xx * (-centerX - moveX) + xy * (-centerY - moveY) + centerX;
  const y = yx * (-centerX - moveX) + yy * (-centerY - moveY) + centerY;
  return [xx, xy, x, yx, yy, y];
}

function affineGrid(image: Tensor, matrix: Matrix, [height, width]: readonly [number, number]): Grid {
  const old = planesOf(image);
  const scaled = matrix.map((one, i) =>
    f(f(one) / f(0.5 * (i < 3 ? old.width : old.height))),
  ) as unknown as Matrix;
  const [xx, xy, x0, yx, yy, y0] = scaled;
  return gridOf(height, width, (column, row) => {
    const [x, y] = [column - width * 0.5 + 0.5, row - height * 0.5 + 0.5];
    return [f(f(f(x * xx) + f(y * xy)) + x0), f(f(f(x * yx) + f(y * yy)) + y0)];
  });
}

/** From the upper left corner to the middle. */
function fromMiddle(image: Tensor, center: Point | null): Point {
  const { height, width } = planesOf(image);
  return center === null ? [0, 0] : [center[0] - width * 0.5, center[1] - height * 0.5];
}

export function affine(
  image: Tensor,
  angle: number,
  translate: Point,
  scale: number,
  shear: Point,
  interpolation: Interpolation,
  fill: Fill | null,
  center: Point | null,
): Tensor {
  const { height, width } = planesOf(image);
  const matrix = inverseMatrix(fromMiddle(image, center), angle, translate, scale, shear);
  return sampled(image, affineGrid(image, matrix, [height, width]), interpolation, fill);
}

export function rotate(
  image: Tensor,
  angle: number,
  interpolation: Interpolation,
  expand: boolean,
  center: Point | null,
  fill: Fill | null,
): Tensor {
  const { height, width } = planesOf(image);
  const matrix = inverseMatrix(fromMiddle(image, center), -angle, [0, 0], 1, [0, 0]);
  const size = expand ? expandedSize(matrix, height, width) : ([height, width] as const);
  return sampled(image, affineGrid(image, matrix, size), interpolation, fill);
}

/** Height and width that hold all of a turned image. */
function expandedSize(matrix: Matrix, height: number, width: number): readonly [number, number] {
  const [xx, xy, x0, yx, yy, y0] = matrix.map(f) as unknown as Matrix;
  const corners = [-0.5, 0.5].flatMap((x) => [-0.5, 0.5].map((y) => [x * width, y * height] as const));
  const extent = (size: number, place: (x: number, y: number) => number): number => {
    const places = corners.map(([x, y]) => f(place(x, y) + f(size * 0.5)));
    // Truncated to 1e-4: the rounding error of a right angle is no pixel.
    const grid = (x: number): number => f(Math.trunc(f(x / f(1e-4))) * f(1e-4));
    return Math.ceil(grid(Math.max(...places))) - Math.floor(grid(Math.min(...places)));
  };
  return [
    extent(height, (x, y) => f(f(f(x * yx) + f(y * yy)) + y0)),
    extent(width, (x, y) => f(f(f(x * xx) + f(y * xy)) + x0)),
  ];
}

export function perspective(
  image: Tensor,
  startpoints: Corners,
  endpoints: Corners,
  interpolation: Interpolation,
  fill: Fill | null,
): Tensor {
  const { height, width } = planesOf(image);
  const [a, b, c, d, e, g, h, i] = perspectiveCoefficients(startpoints, endpoints) as Eight;
  const [halfWidth, halfHeight] = [f(0.5 * width), f(0.5 * height)];
  const [xx, xy, x0] = [f(a / halfWidth), f(b / halfWidth), f(c / halfWidth)];
  const [yx, yy, y0] = [f(d / halfHeight), f(e / halfHeight), f(g / halfHeight)];
  const grid = gridOf(height, width, (column, row) => {
    const [x, y] = [column + 0.5, row + 0.5];
    const below = f(f(f(x * h) + f(y * i)) + 1);
    return [
      f(f(f(f(f(x * xx) + f(y * xy)) + x0) / below) - 1),
      f(f(f(f(f(x * yx) + f(y * yy)) + y0) / below) - 1),
    ];
  });
  return sampled(image, grid, interpolation, fill);
}

type Eight = [number, number, number, number, number, number, number, number];

/** The map of the end points to the start points. */
function perspectiveCoefficients(startpoints: readonly Point[], endpoints: readonly Point[]): number[] {
  if (startpoints.length !== 4 || endpoints.length !== 4)
    throw new TensorError(
      "value",
      `Please provide exactly four corners, got ${startpoints.length} startpoints and ${endpoints.length} endpoints.`,
    );
  const rows = endpoints.flatMap(([x, y], i) => {
    const [startX, startY] = startpoints[i]!;
    return [
      [x, y, 1, 0, 0, 0, -startX * x, -startX * y, startX],
      [0, 0, 0, x, y, 1, -startY * x, -startY * y, startY],
    ];
  });
  return solved(rows).map(f);
}

/** The solution of linear equations, each row with its right side, by elimination with pivots. */
function solved(rows: number[][]): number[] {
  const size = rows.length;
  for (let i = 0; i < size; i++) {
    let pivot = i;
    for (let j = i + 1; j < size; j++) if (Math.abs(rows[j]![i]!) > Math.abs(rows[pivot]![i]!)) pivot = j;
    [rows[i], rows[pivot]] = [rows[pivot]!, rows[i]!];
    for (let j = 0; j < size; j++) {
      if (j === i) continue;
      const factor = rows[j]![i]! / rows[i]![i]!;
      for (let k = i; k <= size; k++) rows[j]![k]! -= factor * rows[i]![k]!;
    }
  }
  return rows.map((row, i) => row[size]! / row[i]!);
}

export function elasticTransform(
  image: Tensor,
  displacement: Tensor,
  interpolation: Interpolation,
  fill: Fill | null,
): Tensor {
  const { height, width } = planesOf(image);
  const shape = [1, height, width, 2];
  if (formatShape(displacement.shape) !== formatShape(shape))
    throw new TensorError(
      "shape",
      `Argument displacement shape should be (${shape.join(", ")}), but given torch.Size(${formatShape(displacement.shape)})`,
    );
  const moved = valuesOf(displacement.value);
  const identity = (at: number, size: number): number => f((2 * at + 1 - size) / size);
  const grid = gridOf(height, width, (x, y) => {
    const at = 2 * (y * width + x);
    return [f(identity(x, width) + moved[at]!), f(identity(y, height) + moved[at + 1]!)];
  });
  return sampled(image, grid, interpolation, fill);
}
