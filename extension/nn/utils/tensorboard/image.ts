import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import type { EventImage } from "./events.ts";

/** Images beside each other in a grid. */
const COLUMNS = 8;

/** A tensor's values by the letters of its dimensions: N, C, H and W. */
interface Planes {
  readonly sizes: Readonly<Record<string, number>>;
  readonly at: (n: number, c: number, h: number, w: number) => number;
}

function planesOf(callee: string, image: Tensor, format: string): Planes {
  const letters = format.toUpperCase();
  const { shape } = image;
  const known = letters.length === 4 ? "NCHW" : letters.length === 3 ? "CHW" : "HW";
  if (letters.split("").sort().join("") !== known.split("").sort().join(""))
    throw new TensorError(
      "value",
      `${callee}(): expected dataformats with the letters of "${known}", got "${format}"`,
    );
  if (shape.length !== letters.length)
    throw new TensorError(
      "shape",
      `size of input tensor and input format are different. tensor shape: (${shape.join(", ")}), input_format: ${letters}`,
    );
  if (image.dtype === "complex64")
    throw new TensorError("dtype", `${callee}(): expected an image of real numbers, got complex64`);
  const strides: Record<string, number> = { N: 0, C: 0, H: 0, W: 0 };
  const sizes: Record<string, number> = { N: 1, C: 1, H: 1, W: 1 };
  let stride = 1;
  for (let i = letters.length - 1; i >= 0; i--) {
    strides[letters[i]!] = stride;
    sizes[letters[i]!] = shape[i]!;
    stride *= shape[i]!;
  }
  if (stride === 0)
    throw new TensorError("shape", `${callee}(): the image of shape (${shape.join(", ")}) is empty`);
  const values = valuesOf(image.value);
  const { N, C, H, W } = strides as Record<"N" | "C" | "H" | "W", number>;
  return { sizes, at: (n, c, h, w) => values[n * N + c * C + h * H + w * W]! };
}

/**
 * The image that PyTorch's `add_image` and `add_images` write: several as a grid of 8 columns, one channel as three equal
 * ones. Floats are from 0 to 1; whole numbers, as there is no uint8 here, are from 0 to 255.
 * @param format The dimensions' letters, as "CHW"
 * @throws TensorError for another number of dimensions or of channels
 */
export function imageOf(callee: string, image: Tensor, format: string): EventImage {
  const { sizes, at } = planesOf(callee, image, format);
  const { N: count, C: given, H: height, W: width } = sizes as Record<"N" | "C" | "H" | "W", number>;
  if (given !== 1 && given !== 3 && (given !== 4 || format.length === 4))
    throw new TensorError("shape", `${callee}(): expected an image of 1 or 3 channels, got ${given}`);
  const channels = given === 4 ? 4 : 3;
  const scale = image.dtype === "int64" ? 1 : 255;
  const columns = Math.min(count, COLUMNS);
  const rows = Math.ceil(count / columns);
  const line = columns * width;
  const data = new Uint8Array(rows * height * line * channels);
  for (let n = 0; n < count; n++) {
    const [top, left] = [Math.floor(n / columns) * height, (n % columns) * width];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < channels; c++) {
          const value = Math.fround(at(n, given === 1 ? 0 : c, y, x) * scale);
          data[((top + y) * line + left + x) * channels + c] = Math.max(0, Math.min(255, value));
        }
  }
  return { width: line, height: rows * height, channels, data };
}
