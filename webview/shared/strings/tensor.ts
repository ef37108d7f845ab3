/** Texts of the viewer of one tensor; part of strings.ts. */
import { formatCount } from "../format.ts";

export const tensorStrings = {
  loading: "Reading the tensor…",
  failed: "The tensor can't be shown",
  retry: "Try Again",
  noNumbers: "The values are not real numbers.",
  empty: "The tensor has no values.",
  scalar: "scalar",
  values: (n: number) => `${formatCount(n)} ${n === 1 ? "value" : "values"}`,
  statistics: "Statistics",
  copySlice: "Copy as CSV",
  copyHint: "Copy as CSV: the selected values, or the whole slice",
  copied: (n: number) => `Copied ${formatCount(n)} ${n === 1 ? "value" : "values"}.`,
  copying: "Copying…",
  colours: "Colours",
  grid: (name: string) => `Values of ${name}`,
  hint: "Arrow keys move, with Shift they select; Page Up, Page Down, Home and End go further, with Ctrl to the ends. Ctrl+A selects all, Ctrl+C copies.",
  slice: "Slice",
  rows: "Rows",
  columns: "Columns",
  dimension: (i: number, extent: number, axis = "") =>
    axis === "" ? `Dimension ${i} (${formatCount(extent)})` : `${i}: ${axis} (${formatCount(extent)})`,
  index: (at: number, extent: number) => `${formatCount(at)} of ${formatCount(extent)}`,
  at: (place: readonly number[]) => `[${place.join(", ")}]`,
  selected: (rows: number, columns: number) => `${formatCount(rows)} × ${formatCount(columns)} selected`,
  pending: "…",
  cell: (row: number, column: number, value: string) => `Row ${row}, column ${column}: ${value}`,
};
