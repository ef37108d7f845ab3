// Gradients that a program can still reach when a step overwrites what they depend on: the `.grad` of a leaf, and those
// that it has taken from there. PyTorch computes them in `backward()`, and so keeps them.
import type { GraphTensor, Node, Storage, Value } from "./graph.ts";

/** A gradient that the executor keeps beyond its step, without bringing it to the host. */
interface Kept {
  readonly value: Value;
  /** Weak from the second step on: a gradient must not keep a model that the program has dropped. */
  readonly leaf: GraphTensor | WeakRef<GraphTensor> | undefined;
  /** The tensor that was this leaf's `.grad`. */
  readonly gradient: GraphTensor | undefined;
}

/** What keeps gradients: an executor. */
interface Keeper {
  /** Whether the value stays readable until {@link release}. */
  holds?(value: Value): boolean;
  release?(value: Value): void;
}

/** The gradients that a program can reach, of the step under way and of those before. */
export class Gradients {
  /** Leaves that live from step to step, and have got a gradient that is not computed yet. */
  graded = new Set<GraphTensor>();
  /** Gradients that the program has read from a leaf before they were computed. */
  taken = new Set<GraphTensor>();
  /** Gradients that the executor keeps beyond their step. */
  kept: readonly Kept[] = [];
  /** All gradients that the program has read from a leaf: it may hold them after the leaf has another. */
  readonly #held = new WeakSet<GraphTensor>();
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

  /** Forgets the gradients that are not computed yet. */
  forgetPending(): void {
    this.graded = new Set();
    this.taken = new Set();
  }
}

/** Gradients to be kept with a step, and what those that are left pending are to be computed from. */
export class Reached {
  readonly keep: Kept[] = [];
  readonly #pending = { graded: new Set<GraphTensor>(), taken: new Set<GraphTensor>() };
  readonly #needed = new Set<Value>();
  readonly #gradients: Gradients;
  readonly #written: ReadonlySet<GraphTensor>;
  readonly #isStandIn: (value: Value) => boolean;

  /**
   * @param all whether the gradients of what is written are kept, and those that the program has taken
   * @param computed values that the step computes anyway
   * @param isStandIn whether a value stands for what a repeated `backward()` would have recorded
   */
  constructor(
    gradients: Gradients,
    written: ReadonlySet<GraphTensor>,
    all: boolean,
    computed: () => Iterable<Value>,
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
    const { graded, taken } = gradients;
    const left = [...graded].filter((leaf) => !written.has(leaf) && isPending(leaf.ownGrad));
    const loose = all ? [...taken].filter(isPending) : [];
    if (left.length + loose.length > 0) this.#divide(left, loose, new Set(computed()));
  }

  /** The values to be kept. */
  get values(): Value[] {
    return this.keep.map(({ value }) => value);
  }

  /** Keeps gradients that couldn't be computed any more after the step. */
  #divide(left: readonly GraphTensor[], loose: readonly GraphTensor[], computed: Set<Value>): void {
    const storages = new Set<Storage>();
    for (const { storage } of this.#written) if (storage !== undefined) storages.add(storage);
    for (const { value } of this.keep) computed.add(value);
    const lost = dependents(storages, computed, this.#isStandIn, (value) => {
      if (this.#gradients.isTransient(value)) this.#needed.add(value);
    });
    for (const leaf of left) {
      const gradient = leaf.ownGrad!;
      const { value } = gradient;
      if (lost(value)) this.keep.push({ leaf, gradient, value });
      else this.#pending.graded.add(leaf);
    }
    for (const gradient of loose) {
      const { value } = gradient;
      if (computed.has(value)) continue;
      if (lost(value)) this.keep.push({ leaf: undefined, gradient, value });
      else this.#pending.taken.add(gradient);
    }
  }

  /**
   * Has the executor forget the gradients of the step before that the program can't reach any more.
   * @param used values that the step under way reads
   * @returns whether the program has read some of them since
   */
  releaseOthers(used: ReadonlySet<Value>, keeper: Keeper, released: () => never): boolean {
    let read = false;
    const stay: Kept[] = [];
    for (const one of this.#gradients.kept) {
      const { value } = one;
      const leaf = one.leaf instanceof WeakRef ? one.leaf.deref() : one.leaf;
      const current = leaf?.ownGrad;
      const reached = current?.still === value;
      if (value.data !== undefined) read = true;
      else if (used.has(value)) {
        value.data = value.read!();
        read = true;
      } else if (this.#needed.has(value) && keeper.holds?.(value) === true) {
        stay.push(one);
        continue;
      } else if (this.#needed.has(value) || this.#gradients.isHeld(one.gradient ?? current, value)) {
        value.data = value.read!();
      } else if (reached && leaf !== undefined) {
        read ||= this.#written.has(leaf);
        if (keeper.holds?.(value) === true) {
          current.dropGraph();
          stay.push({ value: current.value, leaf: new WeakRef(leaf), gradient: undefined });
          continue;
        }
        value.data = value.read!();
      } else {
        keeper.release?.(value);
        value.read = released;
        continue;
      }
      keeper.release?.(value);
    }
    this.#gradients.kept = stay;
    return read;
  }

  /** The step was computed. */
  done(): void {
    const gradients = this.#gradients;
    const pending = this.#pending;
    gradients.kept = [...gradients.kept, ...this.keep];
    gradients.graded = pending.graded;
    gradients.taken = pending.taken;
  }
}

const isPending = (gradient: GraphTensor | null): boolean => {
  if (gradient === null) return false;
  const { value } = gradient;
  return !value.ready && value.producer.kind === "node";
};

/**
 * Answers whether a pending value depends on what is written now, other than through values that are computed before.
 * @param needs told of each value that pending ones read and that is there already
 */
function dependents(
  written: ReadonlySet<Storage>,
  computed: ReadonlySet<Value>,
  isStandIn: (value: Value) => boolean,
  needs: (value: Value) => void,
): (value: Value) => boolean {
  const known = new Map<Node, boolean>();
  const direct = (value: Value): boolean | Node => {
    const { producer } = value;
    if (value.ready || computed.has(value)) {
      needs(value);
      return false;
    }
    // Of an older version, it is lost already.
    if (producer.kind === "state")
      return written.has(producer.storage) && producer.storage.version === producer.version;
    if (producer.kind !== "node") return false;
    // What it stands for is not recorded, and depends on the parameters.
    return isStandIn(value) || (known.get(producer) ?? producer);
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
