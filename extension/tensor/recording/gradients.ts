// Gradients that a program can still reach when a step overwrites the values that they depend on: the `.grad` of a
// leaf, and tensors taken from there. PyTorch computes gradients in `backward()`, so they stay readable.
import type { GraphTensor, Node, Storage, Value } from "./graph.ts";
import { MAX_OUTLIVED_GRADIENTS, MIN_OUTLIVED_STEPS } from "../tuning.ts";

/** A gradient that the executor keeps beyond its step, without bringing it to the host. */
interface Kept {
  readonly value: Value;
  /** Weak from the second step on: a gradient must not keep a model that the program has dropped. */
  readonly leaf: GraphTensor | WeakRef<GraphTensor> | undefined;
  /** The tensor that was this leaf's `.grad`. */
  readonly gradient: GraphTensor | undefined;
}

/** Executor that keeps gradients. */
interface Keeper {
  /** Whether the value stays readable until {@link release}. */
  holds?(value: Value): boolean;
  release?(value: Value): void;
}

/** The gradients that a program can reach, of the step under way and of those before. */
export class Gradients {
  /** Leaves that live from step to step and have a gradient that is not computed yet. */
  graded = new Set<GraphTensor>();
  /** Number of nodes that `backward()` has recorded for gradients that are not computed yet. */
  nodes = 0;
  /** Gradients that the program has read from a leaf before they were computed. */
  taken = new Set<GraphTensor>();
  /** Gradients that the executor keeps beyond their step. */
  kept: readonly Kept[] = [];
  /** While a `backward()` runs hooks: the gradients that have arrived at nodes still to be visited, and at leaves. */
  arriving: (() => Iterable<GraphTensor | null>) | undefined;
  /** All gradients that the program has read from a leaf: it may hold them after the leaf gets another. */
  readonly #held = new WeakSet<GraphTensor>();
  /** How many steps have left a gradient uncomputed. */
  #ages: ReadonlyMap<Value, number> = new Map();
  #keptValues: { readonly of: readonly Kept[]; readonly values: ReadonlySet<Value> } | undefined;

  /** Notes that `backward()` has given a leaf a gradient. */
  note(leaf: GraphTensor): void {
    this.graded.add(leaf);
  }

  /** Notes that the program has read a gradient from its leaf. */
  take(gradient: GraphTensor): void {
    if (this.#held.has(gradient)) return;
    this.#held.add(gradient);
    if (gradient.still?.ready === false) this.taken.add(gradient);
  }

  /** Notes that a tensor was written to: a gradient that the program has read is pending again, also once its leaf has another. */
  wrote(tensor: GraphTensor): void {
    if (this.#held.has(tensor) && tensor.still?.ready === false) this.taken.add(tensor);
  }

  /** Whether the program may hold a gradient that has this value. */
  isHeld(gradient: GraphTensor | null | undefined, value: Value): boolean {
    return gradient != null && this.#held.has(gradient) && gradient.still === value;
  }

  /** Whether the executor will forget a value at the next step. */
  isTransient(value: Value): boolean {
    const { kept } = this;
    if (value.data !== undefined || value.read === undefined || kept.length === 0) return false;
    if (this.#keptValues?.of !== kept)
      this.#keptValues = { of: kept, values: new Set(kept.map((one) => one.value)) };
    return this.#keptValues.values.has(value);
  }

  /** Whether there may be gradients that are not computed yet. */
  get pending(): boolean {
    return this.graded.size + this.taken.size + this.kept.length > 0;
  }

  /** Leaves whose gradient is not computed yet, by `backward()` or by code that has written to a kept one, as clipping does. */
  pendingLeaves(): GraphTensor[] {
    const leaves = new Set(this.graded);
    for (const one of this.kept) {
      const leaf = leafOf(one);
      if (leaf !== undefined) leaves.add(leaf);
    }
    return [...leaves].filter((leaf) => isPending(leaf.ownGrad));
  }

  /**
   * Notes that a step has left gradients uncomputed: no parameter that it wrote changes them.
   * @returns those to be computed now, where many have outlived several steps
   */
  outlived(): Value[] {
    const ages = new Map<Value, number>();
    const old: Value[] = [];
    for (const leaf of this.pendingLeaves()) {
      const { value } = leaf.ownGrad!;
      const age = (this.#ages.get(value) ?? 0) + 1;
      ages.set(value, age);
      if (age >= MIN_OUTLIVED_STEPS) old.push(value);
    }
    this.#ages = ages;
    return old.length > MAX_OUTLIVED_GRADIENTS ? old : [];
  }

  /** Forgets gradients that are computed by now, and those that stay readable after any step. */
  forgetComputed(): void {
    if (this.graded.size > 0)
      this.graded = new Set([...this.graded].filter((leaf) => isPending(leaf.ownGrad)));
    if (this.graded.size === 0) this.nodes = 0;
    if (this.taken.size === 0) return;
    const isLost = madeOf((value) => {
      const { producer } = value;
      if (producer.kind === "state") return true;
      if (value.ready) return this.isTransient(value);
      if (producer.kind !== "node") return false;
      // A node without inputs is a stand-in for nodes that are not recorded.
      return producer.inputs.length === 0 || undefined;
    });
    this.taken = new Set([...this.taken].filter((one) => isPending(one) && isLost(one.value)));
  }

  /** Forgets the gradients that are not computed yet. */
  forgetPending(): void {
    this.nodes = 0;
    this.graded = new Set();
    this.taken = new Set();
  }
}

/** Gradients to be kept with a step, and the values that pending gradients need. */
export class Reached {
  readonly keep: Kept[] = [];
  readonly #pending = { graded: new Set<GraphTensor>(), taken: new Set<GraphTensor>() };
  readonly #needed = new Set<Value>();
  /** Kept values that the plan reads: released after it has run. */
  readonly #used: Kept[] = [];
  #kept: ReadonlySet<GraphTensor | undefined> | undefined;
  readonly #gradients: Gradients;
  readonly #written: ReadonlySet<GraphTensor>;
  readonly #isStandIn: (value: Value) => boolean;

  /**
   * @param all whether the gradients of written leaves are kept, and those that the program has taken
   * @param computed values that the step computes anyway
   * @param given leaves whose gradients are kept in any case
   * @param isStandIn whether a value stands for one that a repeated `backward()` would have recorded
   */
  constructor(
    gradients: Gradients,
    written: ReadonlySet<GraphTensor>,
    all: boolean,
    computed: () => Iterable<Value>,
    given: ReadonlySet<GraphTensor>,
    isStandIn: (value: Value) => boolean,
  ) {
    this.#gradients = gradients;
    this.#written = written;
    this.#isStandIn = isStandIn;
    if (all)
      for (const leaf of written) {
        const gradient = leaf.ownGrad;
        const value = gradient?.value;
        if (gradient === null || value?.producer.kind !== "node" || value.ready) continue;
        this.keep.push({ leaf, gradient, value });
      }
    if (written.size === 0 && !gradients.pending) return;
    const left = gradients.pendingLeaves().filter((leaf) => !written.has(leaf));
    const loose = all ? [...gradients.taken].filter(isPending) : [];
    if (left.length + loose.length === 0) return;
    const values = new Set(computed());
    // An optimizer's step ignores gradients of other models: a GAN's program discards those of its discriminator.
    const shared = all && this.keep.length === 0;
    for (const leaf of left) if (given.has(leaf)) this.#keep(leaf, leaf.ownGrad!);
    const others = given.size === 0 ? left : left.filter((leaf) => !given.has(leaf));
    const [graded, taken] = shared ? this.#keepShared(others, loose, values) : [others, loose];
    this.#divide(graded, taken, values);
  }

  /** Keeps gradients that share the forward of the computed values: it would be computed again for them. */
  #keepShared(
    left: readonly GraphTensor[],
    loose: readonly GraphTensor[],
    computed: ReadonlySet<Value>,
  ): [left: readonly GraphTensor[], loose: readonly GraphTensor[]] {
    const forward = forwardOf(computed);
    if (forward.size === 0) return [left, loose];
    // Skip gradients from before this forward, which share none of it: accumulated over many steps, graphs are long.
    let since = Infinity;
    for (const node of forward) since = Math.min(since, madeAt(node));
    const shares = madeOf(({ ready, producer }) => {
      if (ready || producer.kind !== "node" || madeAt(producer) < since) return false;
      return forward.has(producer) || undefined;
    });
    for (const leaf of left) if (shares(leaf.ownGrad!.value)) this.#keep(leaf, leaf.ownGrad!);
    for (const gradient of loose)
      if (!computed.has(gradient.value) && shares(gradient.value)) this.#keep(undefined, gradient);
    const kept = new Set(this.keep.map(({ gradient }) => gradient));
    return [left.filter((leaf) => !kept.has(leaf.ownGrad!)), loose.filter((gradient) => !kept.has(gradient))];
  }

  #keep(leaf: GraphTensor | undefined, gradient: GraphTensor): void {
    this.keep.push({ leaf, gradient, value: gradient.value });
  }

  /** The values to be kept. */
  get values(): Value[] {
    return this.keep.map(({ value }) => value);
  }

  /** Keeps gradients that couldn't be computed after the step. */
  #divide(left: readonly GraphTensor[], loose: readonly GraphTensor[], computed: Set<Value>): void {
    const storages = new Set<Storage>();
    for (const { storage } of this.#written) if (storage !== undefined) storages.add(storage);
    for (const { value } of this.keep) computed.add(value);
    // Whether a pending value depends on a storage written now, other than through values computed before.
    const lost = madeOf((value) => {
      if (value.ready || computed.has(value)) {
        if (this.#gradients.isTransient(value)) this.#needed.add(value);
        return false;
      }
      const { producer } = value;
      // A state of an older version is lost already.
      if (producer.kind === "state")
        return storages.has(producer.storage) && producer.storage.version === producer.version;
      // A stand-in's graph is not recorded; it depends on the parameters.
      return this.#isStandIn(value) || undefined;
    });
    // Without a step, nothing is lost, and all values that gradients of leaves may need stay: see #isAwaited.
    const steps = this.#written.size > 0;
    for (const leaf of left) {
      const gradient = leaf.ownGrad!;
      if (steps && lost(gradient.value)) this.#keep(leaf, gradient);
      else this.#pending.graded.add(leaf);
    }
    for (const gradient of loose) {
      const { value } = gradient;
      if (computed.has(value)) continue;
      // It is asked without a step, too: it notes the values that the gradient needs.
      if (lost(value) && steps) this.#keep(undefined, gradient);
      else this.#pending.taken.add(gradient);
    }
  }

  /** Whether there is anything to keep, or a parameter is written: then earlier gradients may be released. */
  get complete(): boolean {
    return this.#written.size > 0 || this.keep.length > 0;
  }

  /** Whether a step leaves gradients to be computed after it. */
  get leavesGradients(): boolean {
    return this.#written.size > 0 && this.#pending.graded.size > 0;
  }

  /**
   * Has the executor forget earlier gradients that the program can't reach any more. Those that the plan reads stay
   * until it has run.
   * @param used values that the plan reads
   * @returns whether the program has read some of them since
   */
  releaseOthers(used: ReadonlySet<Value>, keeper: Keeper, released: () => never): boolean {
    let read = false;
    const stay: Kept[] = [];
    for (const one of this.#gradients.kept) {
      const { value } = one;
      const isUsed = value.data === undefined && used.has(value);
      read ||= isUsed;
      if (isUsed && keeper.holds?.(value) === true) {
        this.#used.push(one);
        stay.push(one);
        continue;
      }
      if (isUsed) value.data = value.read!();
      read = this.#release(one, keeper, released, stay) || read;
    }
    this.#gradients.kept = stay;
    return read;
  }

  /** Forgets a gradient, or adds it to those that stay. @returns whether the program has read it */
  #release(one: Kept, keeper: Keeper, released: () => never, stay: Kept[]): boolean {
    const { value } = one;
    const leaf = leafOf(one);
    const current = leaf?.ownGrad;
    const reached = current?.still === value;
    const held = keeper.holds?.(value) === true;
    let read = false;
    if (value.data !== undefined) read = true;
    else if (held && this.#isAwaited(value, current)) {
      stay.push(one);
      return false;
    } else if (this.#needed.has(value) || this.#gradients.isHeld(one.gradient ?? current, value)) {
      value.data = value.read!();
    } else if (reached && leaf !== undefined) {
      read = this.#written.has(leaf);
      // A leaf that doesn't live from step to step may be dropped soon, and a weak reference would keep it.
      if (held && leaf.storage !== undefined) {
        current.dropGraph();
        stay.push({ value: current.value, leaf: new WeakRef(leaf), gradient: undefined });
        return read;
      }
      value.data = value.read!();
    } else {
      keeper.release?.(value);
      value.read = released;
      return false;
    }
    keeper.release?.(value);
    return read;
  }

  /** Whether a pending gradient may need a value. Before a step, all may, except values replaced by a kept gradient. */
  #isAwaited(value: Value, current: GraphTensor | null | undefined): boolean {
    if (this.#needed.has(value)) return true;
    if (this.#written.size > 0) return false;
    this.#kept ??= new Set(this.keep.map(({ gradient }) => gradient));
    return current?.value === value || !this.#kept.has(current ?? undefined);
  }

  /** Notes that the plan was computed. */
  done(keeper: Keeper, released: () => never): void {
    if (!this.complete) return;
    const gradients = this.#gradients;
    const pending = this.#pending;
    const used = new Set(this.#used);
    const kept = gradients.kept.filter((one) => !used.has(one));
    for (const one of used) this.#release(one, keeper, released, kept);
    gradients.kept = [...kept, ...this.keep];
    gradients.graded = pending.graded;
    gradients.nodes = 0;
    gradients.taken = pending.taken;
  }
}

const leafOf = ({ leaf }: Kept): GraphTensor | undefined => (leaf instanceof WeakRef ? leaf.deref() : leaf);

const isPending = (gradient: GraphTensor | null): boolean => {
  if (gradient === null) return false;
  const { value } = gradient;
  return !value.ready && value.producer.kind === "node";
};

/** When a node was recorded: after all of its inputs. */
const madeAt = ({ outputs }: Node): number => outputs[0]?.made ?? Infinity;

/** Nodes with gradients that the values are made of: their forward. */
function forwardOf(values: Iterable<Value>): Set<Node> {
  const found = new Set<Node>();
  const met = new Set<Node>();
  const stack = [...values];
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    const { producer } = value;
    if (value.ready || producer.kind !== "node" || met.has(producer)) continue;
    met.add(producer);
    if (producer.edges !== undefined) found.add(producer);
    stack.push(...producer.inputs);
  }
  return found;
}

/**
 * Returns a function that tells whether a value is made of one that passes a test.
 * @param test returns undefined for a value whose inputs are to be tested
 */
function madeOf(test: (value: Value) => boolean | undefined): (value: Value) => boolean {
  const known = new Map<Node, boolean>();
  const direct = (value: Value): boolean | Node => {
    const { producer } = value;
    const found = test(value);
    if (found !== undefined || producer.kind !== "node") return found ?? false;
    return known.get(producer) ?? producer;
  };
  // Without recursion: a chain may have thousands of nodes.
  return (value) => {
    const first = direct(value);
    if (typeof first === "boolean") return first;
    const stack: Node[] = [first];
    while (stack.length > 0) {
      const node = stack[stack.length - 1]!;
      let answer: boolean | undefined = false;
      for (const input of node.inputs) {
        const found = direct(input);
        if (typeof found === "boolean") answer = answer === undefined ? undefined : answer || found;
        else {
          stack.push(found);
          answer = undefined;
        }
      }
      if (answer === undefined) continue;
      known.set(node, answer);
      stack.pop();
    }
    return known.get(first)!;
  };
}
