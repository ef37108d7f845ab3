// Types and scales of images.
import { filled } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import type { DType } from "../../tensor/core/dtype.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape, numel } from "../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";

/** An image of 8 bits a channel, row by row, as other libraries have it. */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  /** Channels of each pixel side by side: 1 to 4 of them. */
  readonly data: ArrayLike<number>;
}

export function toTensor(image: Tensor | RawImage): Tensor {
  if (image instanceof Tensor) return image;
  const { width, height, data } = image;
  const channels = data.length / (width * height);
  if (!Number.isInteger(channels) || channels < 1)
    throw new TensorError(
      "shape",
      `ToTensor(): expected whole channels of ${height} x ${width} pixels, got ${data.length} values`,
    );
  const size = width * height;
  const out = filled(
    new Float32Array(data.length),
    (i) => data[(i % size) * channels + Math.floor(i / size)]! / 255,
  );
  return fromHost(out, [channels, height, width], "float32");
}

/** Largest number of int64, which stands for white in torchvision. */
const WHITE = 2 ** 63;

export function convertImageDtype(image: Tensor, dtype: DType): Tensor {
  if (image.dtype === dtype) return image;
  if (image.dtype === "float32" && dtype === "int64")
    throw new TensorError("dtype", "The cast from torch.float32 to torch.int64 cannot be performed safely.");
  const values = valuesOf(image.value);
  if (dtype === "float32") {
    const white = image.dtype === "int64" ? WHITE : 1;
    const out = new Float32Array(values.length);
    for (let i = 0; i < out.length; i++) out[i] = values[i]! / white;
    return fromHost(out, image.shape, dtype);
  }
  if (image.dtype !== "float32" || dtype !== "bool")
    throw new TensorError(
      "dtype",
      `convert_image_dtype(): no cast from torch.${image.dtype} to torch.${dtype}: the scales of images need more bits`,
    );
  const out = new Uint8Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = values[i] === 0 ? 0 : 1;
  return fromHost(out, image.shape, dtype);
}

export function normalize(
  image: Tensor,
  means: readonly number[],
  deviations: readonly number[],
  inplace: boolean,
): Tensor {
  const { shape, dtype } = image;
  if (dtype !== "float32")
    throw new TensorError("dtype", `Input tensor should be a float tensor. Got torch.${dtype}.`);
  if (shape.length < 3)
    throw new TensorError(
      "shape",
      `Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = torch.Size(${formatShape(shape)})`,
    );
  const [mean, std] = [Float32Array.from(means), Float32Array.from(deviations)];
  if (std.includes(0))
    throw new TensorError(
      "value",
      "std evaluated to zero after conversion to torch.float32, leading to division by zero.",
    );
  const channels = shape.at(-3)!;
  for (const { length } of [mean, std])
    if (length !== 1 && length !== channels)
      throw new TensorError(
        "shape",
        `The size of tensor a (${channels}) must match the size of tensor b (${length}) at non-singleton dimension ${shape.length - 3}`,
      );
  const size = numel(shape.slice(-2));
  const values = valuesOf(image.value);
  const out = new Float32Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const channel = Math.floor(i / size) % channels;
    const centred = Math.fround(values[i]! - mean[mean.length === 1 ? 0 : channel]!);
    out[i] = centred / std[std.length === 1 ? 0 : channel]!;
  }
  const result = fromHost(out, shape, dtype);
  return inplace ? image.write(result) : result;
}
