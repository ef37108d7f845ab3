// Inputs of steps: their form, and whether they are the same as before.
import type { HostArray } from "../../tensor/core/dtype.ts";
import { LARGE_ELEMENTS } from "../tuning.ts";

/** Last input of a leaf, and its tensor: reused while the input stays the same. */
export interface Fed {
  data: Remembered;
  id: number | undefined;
}

/** Input for a leaf: a number if it is 0-d, which saves an array; null for a value whose tensor exists already. */
export type Input = HostArray | number | null;

/** An input kept to compare the next one with. A symbol stands for a large array, which is not kept for that. */
export type Remembered = Input | symbol;

/** One symbol for each large array. A `WeakRef` would keep the array until the program's job ends, which is its whole loop. */
const symbols = new WeakMap<HostArray, symbol>();

export function remembered(input: Input): Remembered {
  if (typeof input !== "object" || input === null || input.length < LARGE_ELEMENTS) return input;
  let symbol = symbols.get(input);
  if (symbol === undefined) symbols.set(input, (symbol = Symbol("array")));
  return symbol;
}

/** Whether a leaf has the same input as before. */
export function sameInput(a: Remembered | undefined, b: Input | undefined): boolean {
  if (typeof a === "symbol") return typeof b === "object" && b !== null && symbols.get(b) === a;
  if (Object.is(a, b)) return true;
  return isOne(a) && isOne(b) && Object.is(a[0], b[0]);
}

const isOne = (x: Remembered | undefined): x is HostArray => typeof x === "object" && x?.length === 1;
