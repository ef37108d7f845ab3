import type { LayerValues } from "../../../extension/protocol/layers/history.ts";
import { VALUE_KINDS } from "../../../extension/protocol/layers/history.ts";
import { csvCell } from "../../../extension/protocol/text/csv.ts";

/** The histograms of a layer as CSV: a line for each kind and step, bins by the share of the largest. */
export function valuesCsv({ path, steps, histograms }: LayerValues): string {
  const bins = Math.max(
    0,
    ...VALUE_KINDS.flatMap((kind) => histograms[kind].map((one) => one?.bins.length ?? 0)),
  );
  const head = ["layer", "values", "step", "mean", "std", "low", "high"];
  const lines = [[...head, ...Array.from({ length: bins }, (_, i) => `bin ${i + 1}`)]];
  for (const kind of VALUE_KINDS)
    histograms[kind].forEach((one, i) => {
      if (one === null) return;
      const { mean, std, low, high } = one;
      const shares = one.bins.map((bin) => String(Number((bin / 255).toFixed(3))));
      lines.push([path, kind, ...[steps[i]!, mean, std, low, high].map(String), ...shares]);
    });
  return lines.map((line) => `${line.map(csvCell).join(",")}\n`).join("");
}
