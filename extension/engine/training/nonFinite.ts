import type { Module } from "../../nn/module/module.ts";
import { flawOf } from "../../tensor/recording/anomaly.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";

/** The loss or a weight of a training is not finite: thrown between two steps, before anything is saved. */
export class NonFinite extends Error {
  /** Which value is not finite, and where: "The loss is NaN in step 3 (epoch 1)". */
  readonly description: string;
  /** The step that showed it. */
  readonly step: number;

  constructor(description: string, step: number, options?: { cause: unknown }) {
    super(description, options);
    this.description = description;
    this.step = step;
  }
}

/** "NaN" or "infinite". */
export const described = (value: number): string => (Number.isNaN(value) ? "NaN" : "infinite");

/** Names of the parameters of a model that have NaN or infinite values. */
export function nonFiniteParameters(model: Module): string[] {
  return [...model.namedParameters()].flatMap(([name, tensor]) => (isNonFinite(tensor) ? [name] : []));
}

function isNonFinite(tensor: Tensor): boolean {
  return flawOf(valuesOf(tensor.value)) !== undefined;
}

/** The first few of some names, and how many more there are. */
export function some(names: readonly string[]): string {
  const shown = names.slice(0, 4).join(", ");
  return names.length > 4 ? `${shown} and ${names.length - 4} more` : shown;
}
