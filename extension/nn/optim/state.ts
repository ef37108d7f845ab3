// The state that optimizers keep of parameters, and the pieces of an update.
import { Tensor } from "../../tensor/core/tensor.ts";
import { add, mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { neg, square } from "../../tensor/functions/pointwise/elementwise.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { snapshot } from "../module/stateDict.ts";
import { alias } from "./groups.ts";

/** A value of a saved state; lists only of L-BFGS. */
export type SavedState = Tensor | number | null | readonly (Tensor | number | null)[];

/** An optimizer's state as PyTorch saves it: names in snake_case, parameters by number. */
export interface OptimizerStateDict {
  state: Record<string, Record<string, SavedState>>;
  param_groups: Record<string, unknown>[];
}

/** An optimizer's state of one parameter. */
export type ParamState = Record<string, Tensor | number>;

/** State of each parameter. `get` makes an empty record for a new one, as PyTorch's `defaultdict` does. */
// oxlint-disable-next-line typescript/no-explicit-any -- a program's own optimizer remembers what it likes
export class ParamStates extends Map<Tensor, Record<string, any>> {
  // oxlint-disable-next-line typescript/no-explicit-any
  override get(p: Tensor): Record<string, any> {
    let state = super.get(p);
    if (state === undefined) this.set(p, (state = {}));
    return state;
  }
}

/** Zeros of a parameter's shape that live from step to step. */
export function zerosOf(p: Tensor, value = 0): Tensor {
  return new Tensor(fillValue(value, p.shape, "float32")).persist();
}

/** The tensor `name` of a state, made at the first use: zeros unless `value` says otherwise. */
export function slot(state: ParamState, name: string, p: Tensor, value = 0): Tensor {
  return (state[name] ?? remember(state, name, zerosOf(p, value))) as Tensor;
}

/** Puts a value into a state, where PyTorch's name of it (`exp_avg` of `expAvg`) finds it too. */
export function remember<V extends Tensor | number>(state: ParamState, name: string, value: V): V {
  state[name] = value;
  alias(state, name);
  return value;
}

/** The number `name` of a state, `initial` before the first use. */
export function count(state: ParamState, name: string, initial = 0): number {
  return (state[name] ?? initial) as number;
}

/** A number that a state saves as a tensor or as a number. */
export const numberOf = (value: Tensor | number): number =>
  typeof value === "number" ? value : valuesOf(value.value)[0]!;

/** A saved value as an entry of a state, copied. */
export function restored(value: Tensor | number): Tensor | number {
  if (typeof value === "number") return value;
  const own = new Tensor(fillValue(0, value.shape, value.dtype)).persist();
  return noGrad(() => own.write(snapshot(value, own)));
}

/** The gradient to descend: negated to maximize, and with weight decay added. */
export function effective(
  g: Tensor,
  p: Tensor,
  { maximize, weightDecay }: { maximize: boolean; weightDecay: number },
): Tensor {
  const direction = maximize ? neg(g) : g;
  return weightDecay === 0 ? direction : add(direction, mul(p, weightDecay));
}

/** Mean of squares: β v + (1 − β) g². */
export function meanSquare(v: Tensor, g: Tensor, beta: number): Tensor {
  return add(mul(v, beta), mul(square(g), 1 - beta));
}
