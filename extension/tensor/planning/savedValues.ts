// A program that reads a loss before it calls backward() computes its forward for the loss alone. Its backward() needs
// more values of the forward. From the second time on, the executor keeps them, as PyTorch keeps what autograd saves.
import { numel } from "../core/shape.ts";
import type { Node, Value } from "../recording/graph.ts";
import type { Executor, Plan } from "./executor.ts";
import {
  MAX_OUTLIVED_PLANS,
  MAX_OUTLIVED_WRITES,
  MAX_SAVED_BYTES,
  MAX_SAVED_PROFILES,
  MIN_SAVED_BYTES,
} from "../tuning.ts";

/** Values of a plan that later plans have computed again: their places by "node.output". */
type Profile = Map<string, readonly [node: number, output: number]>;

interface Saved {
  readonly value: Value;
  readonly bytes: number;
  /** Number of writes before it was kept. */
  readonly since: number;
  /** Number of the first plan that has taken it. */
  used: number;
}

/**
 * Values kept from forwards that were computed before their backward. To all code that records, a saved value is still
 * to be computed: only plans take it as a leaf. It may be released at any time.
 */
export class SavedValues {
  /** By key; the most recently used comes last. */
  readonly #profiles = new Map<string, Profile>();
  #saved: readonly Saved[] = [];
  #bytes = 0;
  #writes = 0;
  #plans = 0;

  /** Extends a plan that is computed because values are read by the values that later plans need of it. */
  extended(plan: Plan): Plan {
    const profile = this.#profiles.get(plan.key);
    if (profile === undefined || profile.size === 0) return plan;
    // Nodes of a backward() that was taken over are missing: only the plan as it was can run without them.
    if (plan.nodes.some((node: Node | undefined) => node === undefined)) return plan;
    const fetched = new Set(plan.fetches);
    const values = Array.from(profile.values(), ([node, output]) => plan.nodes[node]!.outputs[output]!);
    const name = ` saves ${profile.size}`;
    const lazy = values.filter((value) => !fetched.has(value));
    return { ...plan, lazy, key: plan.key + name, graph: plan.graph + name };
  }

  /** Notes the values that a plan that was just named computes again. */
  learn({ nodes, fetches, assigns, lazy }: Plan): void {
    if (!nodes.some(({ computedBy }) => computedBy !== undefined)) return;
    const meet = ({ producer, index, ready }: Value): void => {
      if (ready || producer.kind !== "node" || producer.computedBy === undefined) return;
      const at = producer.computedAs;
      (producer.computedBy as Profile).set(`${at}.${index}`, [at, index]);
    };
    for (const { computedBy, inputs } of nodes) if (computedBy === undefined) inputs.forEach(meet);
    for (const value of [...fetches, ...lazy, ...assigns.map((one) => one.value)]) meet(value);
  }

  /**
   * Notes that a plan was computed.
   * @param reads whether it was computed because values are read, not for gradients or a step
   * @param kept values that it was extended by
   */
  computed(plan: Plan, reads: boolean, kept: readonly Value[], executor: Executor): void {
    this.#plans++;
    if (this.#saved.length > 0) this.#age(plan, reads, executor);
    if (!reads) return;
    this.#keep(kept, executor);
    this.#note(plan);
  }

  #age({ assigns, leaves }: Plan, reads: boolean, executor: Executor): void {
    const taken = new Set(leaves);
    for (const one of this.#saved) if (taken.has(one.value)) one.used = Math.min(one.used, this.#plans);
    const writes = assigns.length > 0 && !reads;
    if (writes) this.#writes++;
    this.#release(({ used, since }) => {
      if (writes && (used <= this.#plans || this.#writes - since >= MAX_OUTLIVED_WRITES)) return true;
      return this.#plans - used >= MAX_OUTLIVED_PLANS;
    }, executor);
  }

  /** Releases values that are requested themselves: they are computed as usual. */
  drop(values: Iterable<Value>, executor: Executor | undefined): void {
    if (this.#saved.length === 0 || executor === undefined) return;
    const dropped = new Set<Value>();
    for (const value of values) if (value.retained !== undefined) dropped.add(value);
    if (dropped.size > 0) this.#release(({ value }) => dropped.has(value), executor);
  }

  /** Releases all values. */
  clear(executor: Executor | undefined): void {
    if (executor !== undefined) this.#release(() => true, executor);
  }

  #note({ key, nodes }: Plan): void {
    // Nodes of a backward() that was taken over are missing.
    if (!nodes.some((node: Node | undefined) => node?.edges !== undefined)) return;
    const profile: Profile = this.#profiles.get(key) ?? new Map<string, [number, number]>();
    this.#profiles.delete(key);
    this.#profiles.set(key, profile);
    if (this.#profiles.size > MAX_SAVED_PROFILES) this.#profiles.delete(this.#profiles.keys().next().value!);
    nodes.forEach((node: Node | undefined, at) => {
      if (node === undefined || node.computedBy !== undefined) return;
      node.computedBy = profile;
      node.computedAs = at;
    });
  }

  #keep(values: readonly Value[], executor: Executor): void {
    if (values.length === 0) return;
    const added = values.map((value) => {
      value.retained = value.read;
      value.read = undefined;
      return {
        value,
        bytes: Math.max(MIN_SAVED_BYTES, 4 * numel(value.shape)),
        since: this.#writes,
        used: Infinity,
      };
    });
    for (const { bytes } of added) this.#bytes += bytes;
    const last = new Set(values);
    this.#saved = [...this.#saved, ...added];
    if (this.#bytes > MAX_SAVED_BYTES)
      this.#release(({ value }) => this.#bytes > MAX_SAVED_BYTES && !last.has(value), executor);
  }

  #release(gone: (one: Saved) => boolean, executor: Executor): void {
    this.#saved = this.#saved.filter((one) => {
      if (!gone(one)) return true;
      this.#bytes -= one.bytes;
      executor.release?.(one.value);
      one.value.retained = undefined;
      return false;
    });
  }
}
