import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";
import { attr, vector } from "../../tensor/lowering/lowering.ts";
import type { Reader, Value } from "../../tensor/recording/graph.ts";
import { TO_PLAIN } from "../nhwc.ts";
import { EagerBuilder, EagerRef } from "./eagerBuilder.ts";

/** The tensor of a lazy value. */
export interface Kept {
  readonly id: number;
  /** Whether its channels come last in memory: see nhwc.ts. */
  readonly images: boolean;
}

/** Tensors of values that stay on TensorFlow's side until they are read or used. */
export class LazyValues {
  readonly #binding: NativeBinding;
  /** By what reads them. */
  readonly #kept = new Map<Reader, { -readonly [K in keyof Kept]: Kept[K] }>();

  constructor(binding: NativeBinding) {
    this.#binding = binding;
  }

  /** @param images for each value, whether its channels come last in memory. Default: for none */
  keep(values: readonly Value[], ids: readonly number[], images?: readonly boolean[]): void {
    values.forEach((value, i) => {
      const kept = { id: ids[i]!, images: images?.[i] ?? false };
      // A value may be the gradient of several leaves.
      this.release(value);
      let data: HostArray | undefined;
      const { shape } = value;
      value.read = () => (data ??= this.#data(kept, shape));
      this.#kept.set(value.read, kept);
    });
  }

  #data({ id, images }: Kept, shape: Shape): HostArray {
    const data = this.#binding.tensorDataSync(id) as HostArray;
    return images ? channelsFirst(data, shape) : data;
  }

  /** The tensor of a value as it lies in memory; undefined for one that isn't here, or is on the host. */
  kept(value: Value): Kept | undefined {
    return this.#find(value);
  }

  #find({ data, read, retained }: Value) {
    const reader = data === undefined ? (read ?? retained) : undefined;
    return reader && this.#kept.get(reader);
  }

  /** The same with its channels where its shape has them. */
  tensor(value: Value): number | undefined {
    const kept = this.#find(value);
    if (kept?.images === true) {
      const images = kept.id;
      kept.id = this.#plain(images, value);
      kept.images = false;
      this.#binding.deleteTensor(images);
    }
    return kept?.id;
  }

  #plain(images: number, { shape, dtype }: Value): number {
    const b = new EagerBuilder(this.#binding);
    try {
      const inputs = [new EagerRef(images), vector(b, TO_PLAIN[shape.length]!)];
      return b.take(b.node("Transpose", inputs, { T: attr.type(dtype), Tperm: attr.type("int64") }));
    } finally {
      b.release();
    }
  }

  holds({ read }: Value): boolean {
    return read !== undefined && this.#kept.has(read);
  }

  release({ read, retained }: Value): void {
    const reader = read ?? retained;
    const kept = reader && this.#kept.get(reader);
    if (reader === undefined || kept === undefined) return;
    // A clone may be read later.
    if (reader.shared === true) reader();
    this.#kept.delete(reader);
    this.#binding.deleteTensor(kept.id);
  }
}

/** @param shape with the channels in its second dimension, where the result has them */
function channelsFirst(data: HostArray, shape: Shape): HostArray {
  const [count = 1, channels = 1] = shape;
  const size = numel(shape) / (count * channels);
  const out = data.slice();
  for (let n = 0; n < count; n++)
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < size; i++)
        out[(n * channels + c) * size + i] = data[(n * size + i) * channels + c]!;
  return out;
}
