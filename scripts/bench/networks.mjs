/** The benchmark's networks in docs/performance.md: `npm run bench -- --rivals --page`. */
import { geomean } from "./processes.mjs";

/** The rivals that compile a whole step. */
export const COMPILERS = ["torch.compile", "JAX", "JAX x10"];

/**
 * @typedef {{ stepsPerSecond: number, ratio: number } | string} Rival
 * @typedef {{ name: string, layerwise: number, torch: number, ratio: number, everyStepRatio: number, firstStepMs: number,
 *   peakMb: number, torchPeakMb: number, rivals?: Record<string, Rival> }} Figures
 */

/** Layerwise's speed relative to a rival; undefined where it wasn't measured. @param {Figures} row @param {string} rival */
export function ratioTo({ rivals }, rival) {
  const one = rivals?.[rival];
  return typeof one === "object" ? one.ratio : undefined;
}

/** Layerwise's speed relative to the fastest compiler; undefined if none was measured. @param {Figures} row */
export function ratioToBest(row) {
  const ratios = COMPILERS.flatMap((one) => ratioTo(row, one) ?? []);
  return ratios.length > 0 ? Math.min(...ratios) : undefined;
}

/** The table, and the means below it. @param {readonly Figures[]} rows */
export function markdown(rows) {
  const ratio = (/** @type {number | undefined} */ value) =>
    value === undefined ? "–" : value < 1 ? `**${value.toFixed(2)}**` : value.toFixed(2);
  const columns = [
    "network",
    "Layerwise/s",
    "eager",
    "eager, each loss read",
    ...COMPILERS,
    "first step ms",
    "peak MB",
  ];
  const lines = rows.map((row) => [
    row.name,
    row.layerwise.toFixed(0),
    ratio(row.ratio),
    ratio(row.everyStepRatio),
    ...COMPILERS.map((one) => ratio(ratioTo(row, one))),
    row.firstStepMs.toFixed(0),
    `${row.peakMb.toFixed(0)}/${row.torchPeakMb.toFixed(0)}`,
  ]);
  const rule = columns.map((_, i) => (i === 0 ? "---" : "--:"));
  const table = [columns, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`);
  const summary = (/** @type {string} */ what, /** @type {(number | undefined)[]} */ values) => {
    const known = values.filter((value) => value !== undefined);
    return known.length === 0
      ? []
      : [`- ${what}: geometric mean ${geomean(known).toFixed(2)}, minimum ${Math.min(...known).toFixed(2)}`];
  };
  return [
    ...table,
    "",
    ...summary(
      "PyTorch eager",
      rows.map((row) => row.ratio),
    ),
    ...summary(
      "PyTorch eager, each loss read",
      rows.map((row) => row.everyStepRatio),
    ),
    ...summary("the fastest of the compilers", rows.map(ratioToBest)),
  ].join("\n");
}
