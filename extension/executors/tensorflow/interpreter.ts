import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import type { TfRef } from "../../tensor/lowering/lowering.ts";
import { leafData, type Inspector, type Plan } from "../../tensor/planning/barrier.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import { Lowering } from "../nhwc.ts";
import { tensorflowBackend } from "./backend.ts";
import type { Counters } from "./counters.ts";
import { EagerBuilder, EagerRef } from "./eagerBuilder.ts";
import type { StorageMemory } from "./storages.ts";

/**
 * Runs a plan op by op: the reference that the compiled path is checked against.
 * @returns the tensors of its lazy values
 */
export function interpret(
  plan: Plan,
  binding: NativeBinding,
  storages: StorageMemory,
  counters: Counters,
  inspector?: Inspector,
): number[] {
  const b = new EagerBuilder(binding);
  try {
    const lowering = new Lowering(tensorflowBackend(b, (value) => leafOf(b, value, storages)));
    const ref = (value: Value): EagerRef => lowering.plain(value) as EagerRef;
    const read = (value: Value): HostArray => binding.tensorDataSync(ref(value).id) as HostArray;
    inspector?.begin?.();
    for (const node of plan.nodes) {
      lowering.node(node);
      inspector?.node(node, read);
    }
    inspector?.done(read);
    for (const value of plan.fetches) value.data = read(value);
    const written = plan.assigns.map(({ value }) => b.take(ref(value)));
    const lazy = plan.lazy.map((value) => b.take(ref(value)));
    plan.assigns.forEach(({ storage }, i) => storages.replace(storage, written[i]!));
    return lazy;
  } finally {
    counters.interpreted++;
    counters.interpretedNodes += b.count;
    b.release();
  }
}

function leafOf(b: EagerBuilder, value: Value, storages: StorageMemory): TfRef {
  const leaf = value.producer;
  if (leaf.kind === "state" && leaf.version === leaf.storage.version)
    return new EagerRef(storages.handle(leaf.storage));
  return b.constant(leafData(value), value.shape, value.dtype);
}
