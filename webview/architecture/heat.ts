/** Which of a row's numbers colours its box. */
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import { formatBytes, formatCompact } from "../shared/format.ts";

export const HEATS = ["none", "parameters", "multiplyAdds", "memory"] as const;
export type Heat = (typeof HEATS)[number];

/** Undefined where nothing is known, as for a layer that isn't called. */
export function measure(row: SummaryRow | undefined, heat: Heat): number | undefined {
  switch (heat) {
    case "none":
      return undefined;
    case "parameters":
      return row?.parameters;
    case "multiplyAdds":
      return row?.multiplyAdds;
    case "memory":
      return row?.memoryBytes;
  }
}

export const formatMeasure = (value: number, heat: Heat): string =>
  heat === "memory" ? formatBytes(value) : formatCompact(value);

/** 0 to 1 for each measure against the largest: by the root, so that small ones differ too. */
export function heatOf(value: number | undefined, largest: number): number {
  return value === undefined || largest <= 0 ? 0 : Math.sqrt(Math.min(1, value / largest));
}
