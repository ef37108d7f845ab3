/** The training panel's texts for screen readers; part of strings.ts. */
import { formatCount, formatMetric } from "../format.ts";

export const announceStrings = {
  epoch: (epoch: number, epochs: number, metrics: string) => `Epoch ${epoch} of ${epochs}. ${metrics}`,
  share: (share: number, metrics: string) => `${Math.floor(100 * share)} % done. ${metrics}`,
  state: (state: string, metrics: string) => `${state}. ${metrics}`,
  spike: (metric: string, step: number, value: number, before: number) =>
    `Spike at step ${formatCount(step)}: ${metric} ${formatMetric(value)}, ${formatMetric(before)} before.`,
  nonFinite: (metric: string, step: number, value: number | null) =>
    `${metric} is ${formatMetric(value)} at step ${formatCount(step)}.`,
};
