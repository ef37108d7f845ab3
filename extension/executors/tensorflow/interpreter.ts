import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import type { TfRef } from "../../tensor/lowering/lowering.ts";
import { leafData, type Inspector, type Plan } from "../../tensor/planning/barrier.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import { Lowering, resolved } from "../nhwc.ts";
import { tensorflowBackend } from "./backend.ts";
import type { Counters } from "./counters.ts";
import { EagerBuilder, EagerRef } from "./eagerBuilder.ts";
import type { LazyValues } from "./lazyValues.ts";
import type { StorageMemory } from "./storages.ts";

/**
 * Runs a plan op by op: the reference that the compiled path is checked against.
 * @returns the tensors of its lazy values
 */
export function interpret(
  plan: Plan,
  binding: NativeBinding,
  storages: StorageMemory,
  lazy: LazyValues,
  counters: Counters,
  inspector?: Inspector,
): number[] {
  const b = new EagerBuilder(binding);
  try {
    const backend = tensorflowBackend(b, (value) => leafOf(b, value, storages, lazy));
    const lower: typeof backend.lower = (node, inputs) => b.op(() => backend.lower(node, inputs));
    const lowering = new Lowering({ ...backend, lower });
    const ref = (value: Value): EagerRef => lowering.plain(value) as EagerRef;
    const read = (value: Value): HostArray => binding.tensorDataSync(ref(value).id) as HostArray;
    // An inspector may read every value at the end.
    const last = inspector === undefined ? lastUses(plan) : undefined;
    const fetches = new Set(plan.fetches.map(resolved));
    const fetched = new Map<Value, HostArray>();
    inspector?.begin?.();
    plan.nodes.forEach((node, i) => {
      lowering.node(node);
      inspector?.node(node, read);
      for (const value of last?.[i] ?? []) {
        if (fetches.has(value)) fetched.set(value, read(value));
        for (const made of lowering.forget(value)) b.free(made as EagerRef);
      }
    });
    inspector?.done(read);
    for (const value of plan.fetches) value.data = fetched.get(resolved(value)) ?? read(value);
    const written = plan.assigns.map(({ value }) => b.take(ref(value)));
    const made = plan.lazy.map((value) => b.take(ref(value)));
    plan.assigns.forEach(({ storage }, i) => storages.replace(storage, written[i]!));
    return made;
  } finally {
    counters.interpreted++;
    counters.interpretedNodes += b.count;
    b.release();
  }
}

/** Values that no node after this one reads, nor the step itself, for each node. */
function lastUses({ nodes, assigns, lazy }: Plan): Value[][] {
  const met = new Set<Value>([...assigns.map(({ value }) => value), ...lazy].map(resolved));
  const last = nodes.map((): Value[] => []);
  for (let i = nodes.length - 1; i >= 0; i--) {
    const { inputs, outputs } = nodes[i]!;
    for (const value of [...inputs.map(resolved), ...outputs]) {
      if (met.has(value)) continue;
      met.add(value);
      last[i]!.push(value);
    }
  }
  return last;
}

function leafOf(b: EagerBuilder, value: Value, storages: StorageMemory, lazy: LazyValues): TfRef {
  const leaf = value.producer;
  const tensor = lazy.tensor(value);
  if (tensor !== undefined) return new EagerRef(tensor);
  if (leaf.kind === "state" && leaf.version === leaf.storage.version)
    return new EagerRef(storages.handle(leaf.storage));
  return b.constant(leafData(value), value.shape, value.dtype);
}
