// What steps are fed: its form, and whether it is what was fed before.
import { allocate, type HostArray } from "../../tensor/core/dtype.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import type { Plan } from "../../tensor/planning/barrier.ts";
import { numel } from "../../tensor/core/shape.ts";
import { LARGE_ELEMENTS } from "../tuning.ts";
import type { Feed } from "./graph/blueprint.ts";

/** What a leaf is fed: a 0-d one by its number, which needs no array of its own; a value whose tensor is there by null. */
export type Input = HostArray | number | null;

/** What was fed, to compare with what is fed next. A large array isn't kept for that: a symbol stands for it. */
export type Remembered = Input | symbol;

/** One symbol for each large array. A `WeakRef` would keep the array until the program's job ends, which is its whole loop. */
const symbols = new WeakMap<HostArray, symbol>();

export function remembered(input: Input): Remembered {
  if (typeof input !== "object" || input === null || input.length < LARGE_ELEMENTS) return input;
  let symbol = symbols.get(input);
  if (symbol === undefined) symbols.set(input, (symbol = Symbol("array")));
  return symbol;
}

/** Whether two steps are fed the same. */
export const sameInputs = (a: readonly Input[], b: readonly Input[]): boolean =>
  a.every((input, i) => sameInput(input, b[i]));

/** Whether a leaf is fed what it was fed before. */
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
  /** Whether a step is fed large arrays. */
  readonly #large: boolean;

  constructor(feeds: readonly Feed[], { leaves }: Plan) {
    this.#feeds = feeds;
    this.#large = feeds.some(({ leaf }) => numel(leaves[leaf]!.shape) >= LARGE_ELEMENTS);
  }

  /** Notes what the next step is fed. */
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

/** What several steps are fed, one after the other, in a given array if it is of the kind. */
export function stacked(
  inputs: readonly Input[],
  { shape, dtype }: Value,
  room: number,
  given: HostArray | undefined,
): HostArray {
  const size = numel(shape);
  // Drawn integers may be wider than what is computed with: the upload says so if they are.
  const wide = inputs.some((input) => input instanceof Float64Array);
  const fits = given !== undefined && given instanceof Float64Array === wide;
  const all = fits ? given : wide ? new Float64Array(room * size) : allocate(dtype, room * size);
  inputs.forEach((input, i) => {
    if (typeof input === "number") all[i] = input;
    else all.set(input!, i * size);
  });
  return all;
}
