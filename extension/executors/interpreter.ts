import type { HostArray } from "../tensor/core/dtype.ts";
import { demandMemory } from "../tensor/core/memory.ts";
import type { Inspector, Plan } from "../tensor/planning/executor.ts";
import type { Value } from "../tensor/recording/graph.ts";
import { naming } from "./errors.ts";
import type { LazyValues } from "./kernels/lazyValues.ts";
import type { StorageMemory } from "./kernels/storages.ts";
import { Lowering, resolved, type Backend } from "./nhwc.ts";

/** Computes nodes at once, into tensors of the binding. */
export interface NodeRunner<Ref> extends Backend<Ref> {
  /** How many ops it has computed. */
  readonly count: number;
  read(ref: Ref): HostArray;
  /** Deletes a tensor that it made. */
  free(ref: Ref): void;
  /** Returns the id of a tensor that outlives {@link release}. The caller owns it. */
  take(ref: Ref): number;
  /** Deletes the tensors that it made and that were not taken. */
  release(): void;
}

/** Counts of plans that ran op by op. */
interface Counters {
  interpreted: number;
  interpretedNodes: number;
}

/**
 * Runs a plan op by op: the reference that compiled graphs are checked against.
 * @returns the tensors of its lazy values
 */
export function interpret<Ref>(
  plan: Plan,
  runner: NodeRunner<Ref>,
  storages: StorageMemory,
  counters: Counters,
  inspector?: Inspector,
): number[] {
  const lowering = new Lowering(runner);
  const ref = (value: Value): Ref => lowering.plain(value);
  const read = (value: Value): HostArray => runner.read(ref(value));
  try {
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
        for (const made of lowering.forget(value)) runner.free(made);
      }
    });
    inspector?.done(read);
    for (const value of plan.fetches) value.data = fetched.get(resolved(value)) ?? read(value);
    const written = plan.assigns.map(({ value }) => runner.take(ref(value)));
    const made = plan.lazy.map((value) => runner.take(ref(value)));
    plan.assigns.forEach(({ storage }, i) => storages.replace(storage, written[i]!));
    return made;
  } finally {
    counters.interpreted++;
    counters.interpretedNodes += runner.count;
    runner.release();
  }
}

/** The tensor of a leaf whose value is on the binding's side; undefined for one on the host. */
export function tensorOf(value: Value, storages: StorageMemory, lazy: LazyValues): number | undefined {
  const leaf = value.producer;
  const kept = lazy.tensor(value);
  if (kept !== undefined) return kept;
  if (leaf.kind !== "state" || leaf.version !== leaf.storage.version) return undefined;
  return storages.handle(leaf.storage);
}

/** Refuses a plan with a tensor that the machine has no memory for: a library would look for it for half a minute. */
export function demandMemoryFor({ nodes }: Plan): void {
  for (const node of nodes) naming(node, () => node.outputs.forEach(({ shape }) => demandMemory(shape)));
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
