import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape, numel } from "../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { BuiltIn } from "../module/module.ts";
import { py } from "../module/repr.ts";

/** An image of 8 bits a channel, row by row, as other libraries have it. */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  /** Channels of each pixel side by side: 1 to 4 of them. */
  readonly data: ArrayLike<number>;
}

/** Something that is done to a sample. */
export type Transform<In = Tensor, Out = unknown> = (input: In) => Out;

/**
 * Several transforms, one after the other:
 *
 * ```ts
 * new transforms.Compose([new transforms.RandomHorizontalFlip(), new transforms.Normalize([0.5], [0.5])])
 * ```
 */
export class Compose extends BuiltIn {
  readonly transforms: readonly Transform<never>[];

  constructor(transforms: readonly Transform<never>[]) {
    super();
    this.transforms = transforms;
  }

  forward(input: Tensor): Tensor {
    return this.transforms.reduce<unknown>((value, one) => one(value as never), input) as Tensor;
  }

  override toString(): string {
    return `Compose(${this.transforms.map((one) => `\n    ${describe(one)}`).join("")}\n)`;
  }
}

function describe(transform: Transform<never>): string {
  return transform instanceof BuiltIn ? transform.toString() : transform.name || "function";
}

/**
 * An image of 8 bits a channel as a tensor float32 [C, H, W] from 0 to 1. A tensor is returned unchanged: the
 * images of `data.ImageFolder` and of the bundled sets are tensors from 0 to 1.
 *
 * ```ts
 * new transforms.ToTensor()({ width: 1, height: 1, data: [255, 0, 51] }); // [3, 1, 1]: 1, 0, 0.2
 * ```
 */
export class ToTensor extends BuiltIn {
  forward(image: Tensor | RawImage): Tensor {
    if (image instanceof Tensor) return image;
    const { width, height, data } = image;
    const channels = data.length / (width * height);
    if (!Number.isInteger(channels) || channels < 1)
      throw new TensorError(
        "shape",
        `ToTensor(): expected whole channels of ${height} x ${width} pixels, got ${data.length} values`,
      );
    const size = width * height;
    const out = Float32Array.from(
      { length: data.length },
      (_, i) => data[(i % size) * channels + Math.floor(i / size)]! / 255,
    );
    return fromHost(out, [channels, height, width], "float32");
  }
}

/**
 * (x − mean) / std, channel by channel. Of [..., C, H, W]; `mean` and `std` have C numbers, or one.
 *
 * ```ts
 * new transforms.Normalize([0.5], [0.5])(torch.rand(1, 8, 8)); // from -1 to 1
 * ```
 * @throws TensorError for a std of 0, another type or fewer dimensions
 */
export class Normalize extends BuiltIn {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly inplace: boolean;

  constructor(mean: readonly number[], std: readonly number[], inplace = false) {
    super();
    this.mean = mean;
    this.std = std;
    this.inplace = inplace;
  }

  forward(image: Tensor): Tensor {
    const { shape, dtype } = image;
    if (dtype !== "float32")
      throw new TensorError("dtype", `Input tensor should be a float tensor. Got torch.${dtype}.`);
    if (shape.length < 3)
      throw new TensorError(
        "shape",
        `Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = torch.Size(${formatShape(shape)})`,
      );
    const [mean, std] = [Float32Array.from(this.mean), Float32Array.from(this.std)];
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
    return this.inplace ? image.write(result) : result;
  }

  override extraRepr(): string {
    return `mean=${py(this.mean)}, std=${py(this.std)}`;
  }
}

/**
 * Grey: 0.2989 red + 0.587 green + 0.114 blue, as one channel or three equal ones. Of [..., 1 or 3, H, W].
 *
 * ```ts
 * new transforms.Grayscale()(torch.rand(3, 8, 8)).shape; // [1, 8, 8]
 * ```
 * @throws TensorError for another number of channels
 */
export class Grayscale extends BuiltIn {
  readonly numOutputChannels: number;

  /** @param numOutputChannels 1 (default) or 3 */
  constructor(numOutputChannels = 1) {
    super();
    this.numOutputChannels = numOutputChannels;
  }

  forward(image: Tensor): Tensor {
    const { shape, dtype } = image;
    if (shape.length < 3)
      throw new TensorError(
        "shape",
        `Input image tensor should have at least 3 dimensions, but found ${shape.length}`,
      );
    const channels = shape.at(-3)!;
    if (channels !== 1 && channels !== 3)
      throw new TensorError(
        "shape",
        `Input image tensor permitted channel values are 1 or 3, but found ${channels}`,
      );
    const { numOutputChannels: outputs } = this;
    if (outputs !== 1 && outputs !== 3)
      throw new TensorError("value", "num_output_channels should be either 1 or 3");
    const size = numel(shape.slice(-2));
    const images = numel(shape.slice(0, -3));
    const values = valuesOf(image.value);
    const f = Math.fround;
    const [red, green, blue] = [f(0.2989), f(0.587), f(0.114)];
    const out = new (values.constructor as Float32ArrayConstructor)(images * outputs * size);
    for (let i = 0; i < out.length; i++) {
      const at = Math.floor(i / (outputs * size)) * channels * size + (i % size);
      out[i] =
        channels === 1
          ? values[at]!
          : f(f(red * values[at]!) + f(green * values[at + size]!)) + f(blue * values[at + 2 * size]!);
    }
    return fromHost(out, [...shape.slice(0, -3), outputs, ...shape.slice(-2)], dtype);
  }

  override extraRepr(): string {
    return `num_output_channels=${this.numOutputChannels}`;
  }
}

/** A function of your own as a transform: `new transforms.Lambda((x) => x.mul(2))`. */
export class Lambda<In = Tensor, Out = Tensor> extends BuiltIn {
  readonly lambd: Transform<In, Out>;

  constructor(lambd: Transform<In, Out>) {
    super();
    if (typeof lambd !== "function")
      throw new TensorError("value", `Argument lambd should be callable, got ${typeof lambd}`);
    this.lambd = lambd;
  }

  forward(input: In): Out {
    return this.lambd(input);
  }
}
