import { filled } from "../../tensor/core/dtype.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import type { Blocks } from "./blocks.ts";
import { checkIndex, Dataset } from "./dataset.ts";

/** Transforms of the image and the class of each sample, applied whenever the sample is read. */
export interface VisionOptions {
  /** Of the image: a transform of `transforms.*`, or any function. */
  transform?: ((image: Tensor) => Tensor) | null;
  /** Of the class. */
  targetTransform?: ((target: number) => number) | null;
}

/** Images with classes: samples `[image, class]`, the image float32 [C, H, W] from 0 to 1 before its transform. */
export abstract class VisionDataset extends Dataset<[image: Tensor, target: number]> {
  abstract readonly classes: readonly string[];
  readonly transform: ((image: Tensor) => Tensor) | null;
  readonly targetTransform: ((target: number) => number) | null;

  constructor({ transform = null, targetTransform = null }: VisionOptions) {
    super();
    this.transform = transform;
    this.targetTransform = targetTransform;
  }

  /** A sample before its transforms. */
  protected abstract untransformed(index: number): [Tensor, number];

  get(index: number): [Tensor, number] {
    const [image, target] = this.untransformed(checkIndex(index, this.length));
    return [this.transform?.(image) ?? image, this.targetTransform?.(target) ?? target];
  }
}

/** Images of 8 bits in memory, all of one size: they become numbers when they are asked for. */
export class ByteImageDataset extends VisionDataset {
  readonly length: number;
  readonly classes: readonly string[];
  readonly #pixels: Uint8Array;
  readonly #targets: Uint8Array;
  readonly #shape: readonly [channels: number, height: number, width: number];

  constructor(
    pixels: Uint8Array,
    targets: Uint8Array,
    shape: readonly [channels: number, height: number, width: number],
    classes: readonly string[],
    options: VisionOptions,
  ) {
    super(options);
    this.length = targets.length;
    this.classes = classes;
    this.#pixels = pixels;
    this.#targets = targets;
    this.#shape = shape;
  }

  protected untransformed(index: number): [Tensor, number] {
    return [fromHost(this.#images([index]), this.#shape, "float32"), this.#targets[index]!];
  }

  override getBatch(indices: readonly number[]): [Tensor, Tensor] | undefined {
    if (this.transform !== null || this.targetTransform !== null) return undefined;
    const rows = indices.map((index) => checkIndex(index, this.length));
    return [
      fromHost(this.#images(rows), [rows.length, ...this.#shape], "float32"),
      fromHost(
        Int32Array.from(rows, (row) => this.#targets[row]!),
        [rows.length],
        "int64",
      ),
    ];
  }

  #images(rows: readonly number[]): Float32Array {
    const size = this.#shape.reduce((product, extent) => product * extent, 1);
    const out = new Float32Array(rows.length * size);
    rows.forEach((row, i) => {
      for (let at = 0; at < size; at++) out[i * size + at] = this.#pixels[row * size + at]! / 255;
    });
    return out;
  }
}

/**
 * Another data set whose samples are changed whenever they are asked for: the first part by `transform`, the second by
 * `targetTransform`.
 *
 * ```ts
 * new data.TransformDataset(data.digits(), { transform: new transforms.RandomCrop(8, { padding: 1 }) })
 * ```
 */
export class TransformDataset extends Dataset<unknown[]> {
  readonly dataset: Dataset<readonly unknown[]>;
  readonly transform: ((input: Tensor) => unknown) | null;
  readonly targetTransform: ((target: Tensor) => unknown) | null;

  constructor(
    dataset: Dataset<readonly unknown[]>,
    options: {
      transform?: ((input: Tensor) => unknown) | null;
      targetTransform?: ((target: Tensor) => unknown) | null;
    },
  ) {
    super();
    this.dataset = dataset;
    this.transform = options.transform ?? null;
    this.targetTransform = options.targetTransform ?? null;
  }

  get length(): number {
    return this.dataset.length;
  }

  /** The classes of the other set, where it names them. */
  get classes(): unknown {
    return Reflect.get(this.dataset, "classes");
  }

  get(index: number): unknown[] {
    const [input, target, ...rest] = this.dataset.get(index);
    const changed = [this.transform?.(input as Tensor) ?? input];
    if (target !== undefined) changed.push(this.targetTransform?.(target as Tensor) ?? target);
    return [...changed, ...rest];
  }

  override fit(indices: readonly number[]): void {
    this.dataset.fit?.(indices);
  }

  override readAhead(indices: readonly number[]): void {
    this.dataset.readAhead?.(indices);
  }

  override endReadAhead(): void {
    this.dataset.endReadAhead?.();
  }

  override get blocks(): Blocks | undefined {
    return this.dataset.blocks;
  }
}

/** Bytes as numbers from 0 to 1. */
export function unitTensor(bytes: Uint8Array, shape: readonly number[]): Tensor {
  return fromHost(
    filled(new Float32Array(bytes.length), (i) => bytes[i]! / 255),
    shape,
    "float32",
  );
}
