import type { MetricRow } from "../../protocol/run.ts";
import type { Mode } from "../../protocol/sweeps/sweep.ts";

/** Follows the metric of one trial. */
export class TrialValues {
  /** The metric's name; known once the run has begun. */
  metric: string | undefined;
  /** The best value so far, and its epoch. */
  best: { value: number; epoch: number } | undefined;
  /** Metrics that the curves have. */
  readonly names = new Set<string>();
  readonly #mode: Mode;

  constructor(mode: Mode, metric?: string) {
    this.#mode = mode;
    this.metric = metric;
  }

  /** Takes a row of the curves. @returns the metric's value, if the row completes an epoch and has it */
  add({ kind, epoch, values }: MetricRow): number | undefined {
    if (kind !== "epoch") return undefined;
    for (const name of Object.keys(values)) this.names.add(name);
    const value = this.metric === undefined ? undefined : values[this.metric];
    if (value === undefined || !Number.isFinite(value)) return undefined;
    if (this.best === undefined || isBetter(value, this.best.value, this.#mode)) this.best = { value, epoch };
    return value;
  }
}

export function isBetter(value: number, than: number, mode: Mode): boolean {
  return mode === "min" ? value < than : value > than;
}
