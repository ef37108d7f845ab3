// Which values of a plan are brought to the host, which stay on the executor's side, and which are left out. A plain loop may read
// every value that it records outside of a forward, and a later plan may need every value; most are never asked for again.
import { numel } from "../core/shape.ts";
import type { Node, Value } from "../recording/graph.ts";
import { isIncomplete, type Executor, type Plan } from "./executor.ts";
import {
  LEAF_SHARE,
  LEFT_OUT_PLAN_BYTES,
  MAX_LEFT_OUT_PLANS,
  MAX_OUTLIVED_LATER,
  MAX_OUTLIVED_PLANS,
  MAX_OUTLIVED_WRITES,
  MAX_SAVED_BYTES,
  MAX_SAVED_PROFILES,
  MIN_SAVED_BYTES,
} from "../tuning.ts";

/** Outputs of a plan's nodes, by "node.output". */
type Places = Map<string, readonly [node: number, output: number]>;

/** Experience with a plan that has run before. */
interface Profile {
  /** Values that later plans have computed again. */
  readonly again: Places;
  /** Those among them that were expected by habit, and that no plan has needed so far. */
  readonly guessed: Set<string>;
  /** Values that are not to be left out: they were read, or needed longer than they were kept. */
  readonly read: Set<string>;
  /** Plans that its values outlive once one has taken them. */
  readonly outlives: number;
  /** Whether the plan was run otherwise than as a whole the last time. */
  altered: boolean;
}

/** How a plan is run. */
export interface Chosen {
  readonly plan: Plan;
  /** The plan's profile, if it has one. */
  readonly profile: Profile | undefined;
  /** Values that stay on the executor's side for later plans, with their places. */
  readonly kept: ReadonlyMap<Value, string>;
  /** Values that the program may read, but that aren't brought to the host, with the plans that the graph of each goes through. */
  readonly leftOut: ReadonlyMap<Value, number>;
  /** Leaves that may change: what is left out is computed from their values before the plan. */
  readonly leaves: readonly Value[];
}

interface Saved {
  readonly value: Value;
  /** Bytes that count: none of a gradient, which is needed in any case. */
  readonly bytes: number;
  /** Its place in the plan that has computed it, and that plan's profile, where it was kept by experience. */
  readonly place: string;
  readonly profile: Profile | undefined;
  /** Number of writes before it was kept. */
  readonly since: number;
  /** Plans that it outlives once one has taken it. */
  readonly outlives: number;
  /** Number of the first plan that has taken it. */
  used: number;
}

/**
 * Keeps and leaves out values by experience with their plan.
 *
 * Values that later plans have computed again are kept on the executor's side from the second time on, as PyTorch keeps what
 * autograd saves: a program that reads a loss before `backward()` would compute its forward twice. To all code that records, a
 * kept value is still to be computed: only plans take it as a leaf. It may be released at any time.
 *
 * Large values that the program may read are left out from the second time on: bringing them to the host takes longer than
 * computing them. They keep their graph, whose leaves stay as they were. A value that is read is computed from them, and from
 * then on with its plan.
 */
export class SavedValues {
  /** By key; the most recently used comes last. */
  readonly #profiles = new Map<string, Profile>();
  /**
   * Outputs of ops that later plans have computed again, by "op.output": a program whose graphs all differ, such as those of trees, has
   * no experience with a plan.
   */
  readonly #habits = new Set<string>();
  /** Whether the last step needed values of plans before it: such a program reads its loss before `backward()`. */
  #repeats = false;
  #needed = false;
  /** Of values that were left out, the plans that their graphs go through. */
  readonly #depths = new WeakMap<Value, number>();
  #saved: readonly Saved[] = [];
  #bytes = 0;
  #writes = 0;
  #plans = 0;

  /**
   * Chooses how a plan is run.
   * @param precedes whether plans for gradients may follow: values are read before them, or a step leaves some uncomputed
   * @param from bytes from which a value may be left out
   */
  choose(plan: Plan, precedes: boolean, from: number): Chosen {
    const profile = this.#profiles.get(plan.key) ?? (precedes ? this.#expected(plan) : undefined);
    // Nodes of a backward() that was taken over are missing: only the plan as it was can run without them.
    if (profile === undefined || isIncomplete(plan)) return whole(plan);
    profile.altered = false;
    const { leftOut, leaves } = partOf(plan, profile, from, (leaf) => this.#depthOf(leaf));
    if (leftOut.size + profile.again.size === 0) return whole(plan);
    const available = new Set([...plan.fetches, ...plan.lazy]);
    const kept = new Map<Value, string>();
    for (const [place, [node, output]] of profile.again) {
      const value = plan.nodes[node]!.outputs[output]!;
      if (leftOut.has(value) || (precedes && !available.has(value))) kept.set(value, place);
    }
    if (kept.size + leftOut.size === 0) return whole(plan);
    profile.altered = true;
    const name = ` keeps ${[...kept.values()].join(",")} without ${placesOf(plan, leftOut.keys())}`;
    return {
      plan: {
        ...plan,
        lazy: [...plan.lazy, ...kept.keys()],
        fetches: plan.fetches.filter((value) => !leftOut.has(value)),
        key: plan.key + name,
        graph: plan.graph + name,
      },
      profile,
      kept,
      leftOut,
      leaves,
    };
  }

  /** Whether a plan keeps or leaves out values. */
  readonly alters = (key: string): boolean => this.#profiles.get(key)?.altered ?? false;

  /** What is expected of a plan that has not run before, in a program that needs values of earlier plans. */
  #expected({ key, nodes }: Plan): Profile | undefined {
    if (!this.#repeats || !nodes.some((node: Node | undefined) => node?.edges !== undefined))
      return undefined;
    const again: Places = new Map();
    nodes.forEach((node: Node | undefined, at) => {
      for (const { index } of node?.outputs ?? [])
        if (this.#habits.has(habitOf(node!, index))) again.set(`${at}.${index}`, [at, index]);
    });
    const profile: Profile = {
      again,
      guessed: new Set(again.keys()),
      read: new Set(),
      outlives: 1,
      altered: false,
    };
    this.#profiles.set(key, profile);
    return profile;
  }

  /** Notes the values that a plan that was just named computes again. */
  learn({ nodes, requested, assigns, lazy }: Plan): void {
    if (!nodes.some(({ computedBy }) => computedBy !== undefined)) return;
    // Noted at the end: several nodes may read a value that no plan has computed again before.
    const again: { profile: Profile; place: string; at: number; index: number }[] = [];
    const meet = ({ producer, index, ready }: Value, read: boolean): void => {
      if (ready || producer.kind !== "node" || producer.computedBy === undefined) return;
      const [at, profile] = [producer.computedAs, producer.computedBy as Profile];
      const place = `${at}.${index}`;
      // What was kept, and released before a plan has taken it, is needed for longer.
      if (read || profile.again.has(place)) profile.read.add(place);
      again.push({ profile, place, at, index });
      this.#habits.add(habitOf(producer, index));
      this.#needed = true;
    };
    for (const { computedBy, inputs } of nodes)
      if (computedBy === undefined) for (const value of inputs) meet(value, false);
    for (const value of requested) meet(value, true);
    for (const value of [...lazy, ...assigns.map((one) => one.value)]) meet(value, false);
    for (const { profile, place, at, index } of again) {
      profile.again.set(place, [at, index]);
      profile.guessed.delete(place);
    }
  }

  /**
   * Notes that a plan was computed: kept values may not be needed any more.
   * @param reads whether it was computed because values are read, not for gradients or a step
   */
  passed(plan: Plan, reads: boolean, executor: Executor): void {
    this.#plans++;
    if (plan.assigns.length > 0) {
      this.#repeats = this.#needed;
      this.#needed = false;
    }
    if (this.#saved.length > 0) this.#age(plan, reads, executor);
  }

  /**
   * Notes that a plan was computed as chosen.
   * @param precedes as in {@link choose}
   */
  computed(plan: Plan, precedes: boolean, { kept, profile, leftOut }: Chosen, executor: Executor): void {
    this.#keep(kept, profile, leftOut, executor);
    this.#note(plan, precedes, leftOut.size > 0);
    for (const [value, depth] of leftOut) this.#depths.set(value, depth);
  }

  /** The plans that a leaf's graph goes through: 0 without a graph, Infinity where that is unknown. */
  #depthOf(leaf: Value): number {
    return leaf.producer.kind === "node" ? (this.#depths.get(leaf) ?? Infinity) : 0;
  }

  #age({ assigns, leaves }: Plan, reads: boolean, executor: Executor): void {
    const taken = new Set(leaves);
    for (const one of this.#saved)
      if (taken.has(one.value)) {
        one.used = Math.min(one.used, this.#plans);
        one.profile?.guessed.delete(one.place);
        this.#needed = true;
      }
    const writes = assigns.length > 0 && !reads;
    if (writes) this.#writes++;
    this.#release(({ used, since, outlives, place, profile }) => {
      // Wrong guesses together cost more than a plan's ops: the first write refutes them.
      const refuted = writes && profile?.guessed.delete(place) === true && profile.again.delete(place);
      const unused = writes && this.#writes - since >= MAX_OUTLIVED_WRITES;
      return refuted || unused || (writes && used <= this.#plans) || this.#plans - used >= outlives;
    }, executor);
  }

  /** Brings values that are read, or may be read later, to the host. */
  deliver(values: Iterable<Value>, executor: Executor | undefined): void {
    if (this.#saved.length === 0) return;
    for (const value of values) if (value.retained !== undefined) value.data ??= value.retained();
    this.drop(values, executor);
  }

  /** Releases values that are requested themselves: they are computed as usual. */
  drop(values: Iterable<Value>, executor: Executor | undefined): void {
    if (this.#saved.length === 0 || executor === undefined) return;
    const dropped = new Set<Value>();
    for (const value of values) if (value.retained !== undefined) dropped.add(value);
    if (dropped.size > 0) this.#release(({ value }) => dropped.has(value), executor);
  }

  /** Releases all values, and forgets all experience. */
  clear(executor: Executor | undefined): void {
    this.#profiles.clear();
    this.#habits.clear();
    this.#repeats = this.#needed = false;
    if (executor !== undefined) this.#release(() => true, executor);
  }

  #note({ key, nodes, fetches, requested }: Plan, precedes: boolean, leavesOut: boolean): void {
    if (!precedes && !leavesOut && fetches.length === requested.length) return;
    const profile: Profile = this.#profiles.get(key) ?? {
      again: new Map(),
      guessed: new Set(),
      read: new Set(),
      outlives: MAX_OUTLIVED_PLANS,
      altered: false,
    };
    this.#profiles.delete(key);
    this.#profiles.set(key, profile);
    if (this.#profiles.size > MAX_SAVED_PROFILES) this.#profiles.delete(this.#profiles.keys().next().value!);
    if (!precedes && !leavesOut) return;
    nodes.forEach((node: Node | undefined, at) => {
      // Nodes of a backward() that was taken over are missing.
      if (node === undefined || node.computedBy !== undefined) return;
      node.computedBy = profile;
      node.computedAs = at;
    });
  }

  /** Keeps values that the executor has just computed, and that later plans will need. */
  keep(values: readonly Value[], executor: Executor): void {
    this.#keep(
      values.map((value) => [value, ""] as const),
      undefined,
      NONE,
      executor,
    );
  }

  #keep(
    kept: Iterable<readonly [Value, place: string]>,
    profile: Profile | undefined,
    leftOut: Chosen["leftOut"],
    executor: Executor,
  ): void {
    const added = Array.from(kept, ([value, place]) => {
      value.retained = value.read;
      value.read = undefined;
      const bytes = profile === undefined ? 0 : Math.max(MIN_SAVED_BYTES, bytesOf(value));
      this.#bytes += bytes;
      return {
        value,
        place,
        profile,
        bytes,
        since: this.#writes,
        outlives: leftOut.has(value) ? MAX_OUTLIVED_LATER : (profile?.outlives ?? MAX_OUTLIVED_PLANS),
        used: Infinity,
      };
    });
    if (added.length === 0) return;
    const last = new Set(added.map(({ value }) => value));
    this.#saved = [...this.#saved, ...added];
    if (this.#bytes > MAX_SAVED_BYTES)
      this.#release(
        ({ value, bytes }) => bytes > 0 && this.#bytes > MAX_SAVED_BYTES && !last.has(value),
        executor,
      );
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

const NONE: ReadonlyMap<Value, number> = new Map();

const whole = (plan: Plan): Chosen => ({
  plan,
  profile: undefined,
  kept: new Map(),
  leftOut: NONE,
  leaves: [],
});

const habitOf = ({ op }: Node, output: number): string => `${op.name}.${output}`;

const bytesOf = ({ shape }: Value): number => 4 * numel(shape);

function total(values: Iterable<Value>): number {
  let bytes = 0;
  for (const value of values) bytes += bytesOf(value);
  return bytes;
}

function placesOf({ nodes }: Plan, values: Iterable<Value>): string {
  const places = new Map(nodes.map((node, at) => [node, at]));
  return Array.from(values, ({ producer, index }) => `${places.get(producer as Node)}.${index}`).join(",");
}

/** The values that a plan leaves out, if to keep the leaves that they need takes less. */
function partOf(
  plan: Plan,
  { read }: Profile,
  from: number,
  depthOf: (leaf: Value) => number,
): Pick<Chosen, "leftOut" | "leaves"> {
  const none = { leftOut: NONE, leaves: [] };
  const isLarge = (value: Value): boolean => bytesOf(value) >= from;
  if (!plan.fetches.some(isLarge)) return none;
  const [fetched, needed] = [new Set(plan.fetches), new Set([...plan.requested, ...plan.lazy])];
  const candidates = new Set<Value>();
  plan.nodes.forEach(({ outputs }, at) => {
    for (const value of outputs)
      if (isLarge(value) && fetched.has(value) && !needed.has(value) && !read.has(`${at}.${value.index}`))
        candidates.add(value);
  });
  if (candidates.size === 0) return none;
  const leftOut = new Map<Value, number>();
  // What would hold a graph of many plans is brought to the host, so that none grows from step to step. A value on the host has no
  // graph, but gradients still hold the nodes that they pass through.
  const depths = new Map<Value | Node, number>();
  for (const value of plan.leaves) depths.set(value, depthOf(value));
  const own = 1 + total(plan.leaves.filter(({ data }) => data !== undefined)) / LEFT_OUT_PLAN_BYTES;
  const nodes = beneath(candidates, plan);
  for (const one of plan.nodes) {
    if (!nodes.has(one)) continue;
    let depth = 0;
    for (const value of one.inputs) depth = Math.max(depth, depths.get(value) ?? 0);
    for (const edge of one.edges ?? [])
      if (edge?.node !== undefined) depth = Math.max(depth, depths.get(edge.node) ?? Infinity);
    depths.set(one, depth);
    for (const value of one.outputs) {
      if (depth < MAX_LEFT_OUT_PLANS && candidates.has(value)) leftOut.set(value, depth + own);
      if (!fetched.has(value) || leftOut.has(value)) depths.set(value, depth);
    }
  }
  const open = plan.leaves.filter(
    ({ data, producer: { kind } }) => data === undefined && (kind === "state" || kind === "data"),
  );
  if (leftOut.size === 0 || total(open) > total(leftOut.keys()) / LEAF_SHARE) return none;
  return { leftOut, leaves: open };
}

/** The plan's nodes that some values are made of, and those that their gradients pass through. */
function beneath(values: ReadonlySet<Value>, plan: Plan): ReadonlySet<Node> {
  const all = new Set(plan.nodes);
  const found = new Set<Node>();
  const stack: Value["producer"][] = Array.from(values, ({ producer }) => producer);
  for (let one = stack.pop(); one !== undefined; one = stack.pop()) {
    if (one.kind !== "node" || found.has(one) || !all.has(one)) continue;
    found.add(one);
    for (const { producer } of one.inputs) stack.push(producer);
    for (const edge of one.edges ?? []) if (edge?.node !== undefined) stack.push(edge.node);
  }
  return found;
}
