import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { attr } from "../../tensor/lowering/lowering.ts";
import { transposeNode } from "../../tensor/lowering/nodes.ts";
import type { Reader, Value } from "../../tensor/recording/graph.ts";
import type { Meta } from "../../tensor/recording/op.ts";
import { moved, TO_PLAIN } from "../nhwc.ts";
import type { Compute } from "./oneNode.ts";

/** The tensor of a lazy value. */
export interface Kept {
  id: number;
  /** Whether its channels come last in memory: see nhwc.ts. */
  images: boolean;
}

/** Tensors of values that stay on the binding's side until they are read or used. */
export class LazyValues {
  readonly #binding: NativeBinding;
  readonly #compute: Compute;
  /** By what reads them. */
  readonly #kept = new Map<Reader, Kept>();

  constructor(binding: NativeBinding, compute: Compute) {
    this.#binding = binding;
    this.#compute = compute;
  }

  /** @param images for each value, whether its channels come last in memory. Default: for none */
  keep(values: readonly Value[], ids: readonly number[], images?: readonly boolean[]): void {
    values.forEach((value, i) => {
      const kept = { id: ids[i]!, images: images?.[i] ?? false };
      // A value may be the gradient of several leaves.
      this.release(value);
      let data: HostArray | undefined;
      const { shape, dtype } = value;
      value.read = () =>
        (data ??= this.#binding.tensorDataSync(this.#plain(kept, { shape, dtype })) as HostArray);
      this.#kept.set(value.read, kept);
    });
  }

  /** The tensor of a value as it lies in memory; undefined for one that isn't here, or is on the host. */
  kept({ data, read, retained }: Value): Kept | undefined {
    const reader = data === undefined ? (read ?? retained) : undefined;
    return reader && this.#kept.get(reader);
  }

  /** The same with its channels where its shape has them. */
  tensor(value: Value): number | undefined {
    const kept = this.kept(value);
    return kept && this.#plain(kept, value);
  }

  /** Turns a tensor for good if its channels come last. */
  #plain(kept: Kept, { shape, dtype }: Meta): number {
    if (!kept.images) return kept.id;
    const images = kept.id;
    const input = { id: images, shape: moved(shape), dtype };
    kept.id = this.#compute([input], (b, [x]) =>
      transposeNode(b, x!, TO_PLAIN[shape.length]!, attr.type(dtype)),
    );
    kept.images = false;
    this.#binding.deleteTensor(images);
    return kept.id;
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
