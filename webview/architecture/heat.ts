/** Heat: the colours of boxes by one of their numbers. */
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import { formatBytes, formatCompact, formatMs } from "../shared/format.ts";
import {
  formatValue,
  MEASURES,
  shareOf,
  type Measure,
  type WatchedLayers,
} from "../shared/layers/layerColumns.ts";
import type { MeasuredLayers } from "./measuredLayers.ts";

const MEASURED = ["time", "forwardTime", "backwardTime"] as const;
export const HEATS = ["none", "parameters", "multiplyAdds", "memory", ...MEASURED, ...MEASURES] as const;
export type Heat = (typeof HEATS)[number];

/** Where the numbers come from that the model itself doesn't have. */
export interface HeatSources {
  measured?: MeasuredLayers | undefined;
  watched?: WatchedLayers | undefined;
}

/** Whether it is a number of a watched training. */
export const isWatched = (heat: Heat): heat is Measure => MEASURES.some((one) => one === heat);

/** A row's number; undefined for a layer that isn't called, or was not measured. */
export function measure(
  row: SummaryRow | undefined,
  heat: Heat,
  { measured, watched }: HeatSources = {},
): number | undefined {
  if (row === undefined) return undefined;
  if (isWatched(heat)) return watched?.history.total(row.path, heat, watched.column);
  const times = measured?.of(row.path);
  switch (heat) {
    case "none":
      return undefined;
    case "parameters":
      return row.parameters;
    case "multiplyAdds":
      return row.multiplyAdds;
    case "memory":
      return row.memoryBytes;
    case "time":
      return times && times.forward.ms + times.backward.ms;
    case "forwardTime":
      return times?.forward.ms;
    case "backwardTime":
      return times?.backward.ms;
  }
}

export function formatMeasure(value: number, heat: Heat): string {
  if (isWatched(heat)) return formatValue(value, heat);
  if (heat === "memory") return formatBytes(value);
  return MEASURED.some((one) => one === heat) ? formatMs(value) : formatCompact(value);
}

/** The heat from 0 to 1 of a value against the largest: a square root, so that small values differ visibly. */
export function heatOf(value: number | undefined, largest: number): number {
  return value === undefined || largest <= 0 ? 0 : Math.sqrt(Math.min(1, value / largest));
}

/** The heat of a box; numbers of a training have a scale of all its steps. */
export function boxHeat(
  value: number | undefined,
  heat: Heat,
  largest: number,
  watched?: WatchedLayers,
): number {
  if (!isWatched(heat)) return heatOf(value, largest);
  return watched === undefined ? 0 : (shareOf(value, watched.history.scale(heat)) ?? 0);
}
