// Inputs of steps: their form, and whether they are the same as before.
import { allocate, type HostArray } from "../../tensor/core/dtype.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import type { Plan } from "../../tensor/planning/barrier.ts";
import { numel } from "../../tensor/core/shape.ts";
import { LARGE_ELEMENTS } from "../tuning.ts";
import type { Feed } from "./graph/blueprint.ts";

/** Input tensors of a call of many steps. */
export interface Stack {
  readonly ids: readonly number[];
  /** Tensors made for this call, to be released after it. */
  readonly made: readonly number[];
}

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

/** Whether two steps have the same inputs. */
export const sameInputs = (a: readonly Input[], b: readonly Input[]): boolean =>
  a.every((input, i) => sameInput(input, b[i]));

/** Whether a leaf has the same input as before. */
export function sameInput(a: Remembered | undefined, b: Input | undefined): boolean {
  if (typeof a === "symbol") return typeof b === "object" && b !== null && symbols.get(b) === a;
  if (Object.is(a, b)) return true;
  return isOne(a) && isOne(b) && Object.is(a[0], b[0]);
}

const isOne = (x: Remembered | undefined): x is HostArray => typeof x === "object" && x?.length === 1;

/** Which leaves have changed from step to step. */
export class VaryingInputs {
  readonly leaves = new Set<number>();
  #last: readonly Remembered[] | undefined;
  readonly #feeds: readonly Feed[];
  /** Whether inputs include large arrays. */
  readonly #large: boolean;

  constructor(feeds: readonly Feed[], { leaves }: Plan) {
    this.#feeds = feeds;
    this.#large = feeds.some(({ leaf }) => numel(leaves[leaf]!.shape) >= LARGE_ELEMENTS);
  }

  /** Notes the inputs of the next step. */
  note(inputs: readonly Input[]): void {
    const last = this.#last;
    if (last !== undefined)
      this.#feeds.forEach(({ leaf, kind }, i) => {
        const gone = inputs[i] === null && kind !== "state";
        if (gone || !sameInput(last[i], inputs[i])) this.leaves.add(leaf);
      });
    this.#last = this.#large ? inputs.map(remembered) : inputs;
  }
}

/** Concatenates the inputs of several steps, in the given array if its type fits. */
export function stacked(
  inputs: readonly Input[],
  { shape, dtype }: Value,
  room: number,
  given: HostArray | undefined,
): HostArray {
  const size = numel(shape);
  // Drawn integers may have more than 32 bits: the upload refuses them.
  const wide = inputs.some((input) => input instanceof Float64Array);
  const fits = given !== undefined && given instanceof Float64Array === wide;
  const all = fits ? given : wide ? new Float64Array(room * size) : allocate(dtype, room * size);
  inputs.forEach((input, i) => {
    if (typeof input === "number") all[i] = input;
    else all.set(input!, i * size);
  });
  return all;
}
