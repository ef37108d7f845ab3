/** Heat: the colours of boxes by one of their numbers. */
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import { formatBytes, formatCompact, formatMs } from "../shared/format.ts";
import type { MeasuredLayers } from "./measuredLayers.ts";

const MEASURED = ["time", "forwardTime", "backwardTime"] as const;
export const HEATS = ["none", "parameters", "multiplyAdds", "memory", ...MEASURED] as const;
export type Heat = (typeof HEATS)[number];

/** A row's number; undefined for a layer that isn't called, or was not measured. */
export function measure(
  row: SummaryRow | undefined,
  heat: Heat,
  measured?: MeasuredLayers,
): number | undefined {
  if (row === undefined) return undefined;
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
  if (heat === "memory") return formatBytes(value);
  return MEASURED.some((one) => one === heat) ? formatMs(value) : formatCompact(value);
}

/** The heat from 0 to 1 of a value against the largest: a square root, so that small values differ visibly. */
export function heatOf(value: number | undefined, largest: number): number {
  return value === undefined || largest <= 0 ? 0 : Math.sqrt(Math.min(1, value / largest));
}
