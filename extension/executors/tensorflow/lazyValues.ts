import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import type { Reader, Value } from "../../tensor/recording/graph.ts";

/** Tensors of values that stay on TensorFlow's side until they are read or used. */
export class LazyValues {
  readonly #binding: NativeBinding;
  /** By what reads them. */
  readonly #ids = new Map<Reader, number>();

  constructor(binding: NativeBinding) {
    this.#binding = binding;
  }

  keep(values: readonly Value[], ids: readonly number[]): void {
    values.forEach((value, i) => {
      const id = ids[i]!;
      // A value may be the gradient of several leaves.
      this.release(value);
      let data: HostArray | undefined;
      value.read = () => (data ??= this.#binding.tensorDataSync(id) as HostArray);
      this.#ids.set(value.read, id);
    });
  }

  /** The tensor of a value; undefined for one that isn't here, or is on the host. */
  tensor({ data, read, retained }: Value): number | undefined {
    const reader = data === undefined ? (read ?? retained) : undefined;
    return reader && this.#ids.get(reader);
  }

  holds({ read }: Value): boolean {
    return read !== undefined && this.#ids.has(read);
  }

  release({ read, retained }: Value): void {
    const reader = read ?? retained;
    const id = reader && this.#ids.get(reader);
    if (reader === undefined || id === undefined) return;
    // A clone may be read later.
    if (reader.shared === true) reader();
    this.#ids.delete(reader);
    this.#binding.deleteTensor(id);
  }
}
