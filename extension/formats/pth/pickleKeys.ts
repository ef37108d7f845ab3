/** Keys of dicts are numbers and texts, seldom tuples of a few. */
const MAX_DEPTH = 16;
const MAX_VALUES = 1024;

/** How deep a tuple is nested, and the values in it, each as often as it is reached. */
interface KeySize {
  readonly depth: number;
  readonly values: number;
}

/** Why something can't be the key of a dict, and the defect that this is. */
export type KeyProblem = readonly [defect: "pickle" | "limit", problem: string];

/**
 * The keys of dicts of a pickle. A tuple can be in another as often as the pickle likes, so each is measured once, when
 * it is first part of a key.
 */
export class PickleKeys {
  readonly #sizes = new Map<object, KeySize>();

  /** The number of values in a key, or why it can't be one. */
  sizeOf(key: unknown): number | KeyProblem {
    const size = isTuple(key) ? this.#measure(key, MAX_DEPTH) : sizeOfPlain(key);
    if (size === undefined)
      return ["pickle", isTuple(key) ? "a tuple with more than plain values" : "no plain value"];
    if (size.depth > MAX_DEPTH) return ["limit", `a tuple nested deeper than ${MAX_DEPTH} levels`];
    if (size.depth > 0 && size.values > MAX_VALUES)
      return ["limit", `a tuple of more than ${MAX_VALUES.toLocaleString("en-US")} values`];
    return size.values;
  }

  /** Undefined for what can't be a key. @param levels that may be in it, its own among them */
  #measure(tuple: readonly unknown[], levels: number): KeySize | undefined {
    const known = this.#sizes.get(tuple);
    if (known !== undefined) return known;
    if (levels === 0) return TOO_DEEP;
    let size: KeySize = { depth: 1, values: 1 + tuple.length };
    if (tuple.length <= MAX_VALUES) {
      // An empty tuple is something too: a million of them are a long key.
      let [depth, values] = [0, 1];
      for (const item of tuple) {
        const inner = isTuple(item) ? this.#measure(item, levels - 1) : sizeOfPlain(item);
        // The whole file is refused for either.
        if (inner === undefined || inner === TOO_DEEP) return inner;
        depth = Math.max(depth, inner.depth);
        values += inner.values;
      }
      size = { depth: depth + 1, values };
    }
    this.#sizes.set(tuple, size);
    return size;
  }
}

const TOO_DEEP: KeySize = { depth: MAX_DEPTH + 1, values: 0 };
const PLAIN: KeySize = { depth: 0, values: 1 };

/** A long text counts as several values. */
function sizeOfPlain(value: unknown): KeySize | undefined {
  if (typeof value === "string") return value.length < 64 ? PLAIN : { depth: 0, values: value.length >> 5 };
  return value === null || ["number", "bigint", "boolean"].includes(typeof value) ? PLAIN : undefined;
}

/** Tuples are frozen arrays: what cannot change in Python cannot change here. */
export function isTuple(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && Object.isFrozen(value);
}
