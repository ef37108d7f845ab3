import type { NativeBinding } from "../../native/binding.ts";
import type { TfRef } from "../../tensor/lowering/lowering.ts";
import { leafData } from "../../tensor/planning/barrier.ts";
import { tensorflowBackend } from "../backend.ts";
import { tensorOf, type NodeRunner } from "../interpreter.ts";
import type { LazyValues } from "../kernels/lazyValues.ts";
import type { StorageMemory } from "../kernels/storages.ts";
import { EagerBuilder, EagerRef } from "./eagerBuilder.ts";

/** Computes nodes with TensorFlow's kernels, one op after the other. */
export function eagerRunner(
  binding: NativeBinding,
  storages: StorageMemory,
  lazy: LazyValues,
): NodeRunner<TfRef> {
  const b = new EagerBuilder(binding);
  const backend = tensorflowBackend(b, (value) => {
    const tensor = tensorOf(value, storages, lazy);
    return tensor === undefined
      ? b.constant(leafData(value), value.shape, value.dtype)
      : new EagerRef(tensor);
  });
  return {
    ...backend,
    lower: (node, inputs) => b.op(() => backend.lower(node, inputs)),
    get count() {
      return b.count;
    },
    read: b.read,
    free: (ref) => b.free(ref as EagerRef),
    take: (ref) => b.take(ref as EagerRef),
    release: () => b.release(),
  };
}
