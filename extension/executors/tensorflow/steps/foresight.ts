// What the steps to come will be fed.
import type { Plan } from "../../../tensor/planning/barrier.ts";
import type { Lookahead } from "../../../tensor/recording/policy.ts";
import { numel, sameShape } from "../../../tensor/core/shape.ts";
import type { Feed } from "../graph/blueprint.ts";
import { fedAlike, type Input } from "../feeding.ts";

/** Numbers that a step writes at most: they are kept twice while steps are computed ahead. */
const WRITTEN = 4e6;

/** Whether steps of a plan can be undone: what it writes is small, and it reads nothing that others write. */
export function canBeUndone({ assigns }: Plan, feeds: readonly Feed[]): boolean {
  const written = assigns.reduce((sum, { storage }) => sum + numel(storage.shape), 0);
  return written <= WRITTEN && feeds.every(({ kind }) => kind !== "state");
}

/**
 * Which tensor of the batch each input is, -1 for none: one that doesn't change, or a number.
 * @returns undefined where one is drawn or made for each step
 */
export function placesOf(
  plan: Plan,
  feeds: readonly Feed[],
  { current, since }: Lookahead,
): number[] | undefined {
  const places: number[] = [];
  for (const { leaf } of feeds) {
    const value = plan.leaves[leaf]!;
    const place = current.findIndex((v) => v === value || (v.data !== undefined && v.data === value.data));
    if (place < 0 && value.producer.kind !== "scalar" && value.made > since) return undefined;
    places.push(place);
  }
  return places;
}

/** Inputs of a step and of those that will follow it, `most` at most. */
export function foreseen(
  plan: Plan,
  feeds: readonly Feed[],
  inputs: readonly Input[],
  places: readonly number[],
  lookahead: Lookahead,
  most: number,
): (readonly Input[])[] {
  const steps = [inputs];
  for (const batch of lookahead.next(most - 1)) {
    const fed = inputs.map((input, i) => {
      const value = plan.leaves[feeds[i]!.leaf]!;
      if (value.producer.kind === "scalar") {
        const later = value.producer.later?.(steps.length) ?? value.producer.value;
        return value.dtype === "float32" ? Math.fround(later) : later;
      }
      const place = places[i]!;
      if (place < 0) return input;
      const next = batch[place];
      return next !== undefined && sameShape(next.shape, value.shape) ? next.data : undefined;
    });
    if (fed.includes(undefined)) break;
    steps.push(fed as Input[]);
  }
  return steps;
}

export const sameInputs = (a: readonly Input[], b: readonly Input[]): boolean =>
  a.every((input, i) => fedAlike(input, b[i]));
