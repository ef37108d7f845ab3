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
 * The tuples of a pickle that can be keys of dicts. One can be in another as often as the pickle likes, so each is
 * measured once, when it is made.
 */
export class PickleKeys {
  readonly #sizes = new Map<object, KeySize>();

  /** Measures a tuple. Those in it were measured before. */
  add(tuple: readonly unknown[]): void {
    const size = this.#measure(tuple);
    if (size !== undefined) this.#sizes.set(tuple, size);
  }

  /** The number of values in a key, or why it can't be one. */
  sizeOf(key: unknown): number | KeyProblem {
    const size = isTuple(key) ? this.#sizes.get(key) : sizeOfPlain(key);
    if (size === undefined)
      return ["pickle", isTuple(key) ? "a tuple with more than plain values" : "no plain value"];
    if (size.depth > MAX_DEPTH) return ["limit", `a tuple nested deeper than ${MAX_DEPTH} levels`];
    if (size.depth > 0 && size.values > MAX_VALUES)
      return ["limit", `a tuple of more than ${MAX_VALUES.toLocaleString("en-US")} values`];
    return size.values;
  }

  /** Undefined for what can't be a key. */
  #measure(tuple: readonly unknown[]): KeySize | undefined {
    if (tuple.length > MAX_VALUES) return { depth: 1, values: tuple.length };
    // An empty tuple is something too: a million of them are a long key.
    let [depth, values] = [0, 1];
    for (const item of tuple) {
      const size = isTuple(item) ? this.#sizes.get(item) : sizeOfPlain(item);
      if (size === undefined) return undefined;
      depth = Math.max(depth, size.depth);
      values += size.values;
    }
    return { depth: depth + 1, values };
  }
}

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
