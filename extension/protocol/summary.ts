import * as v from "valibot";

/** Columns of torchinfo's table, by its own names. */
export const COLUMN_NAMES = [
  "kernel_size",
  "input_size",
  "output_size",
  "num_params",
  "params_percent",
  "mult_adds",
  "trainable",
] as const;

/** Settings of the table's rows, by torchinfo's names. */
export const ROW_SETTINGS = ["depth", "var_names", "ascii_only", "hide_recursive_layers"] as const;

/** How torchinfo's table of a model is printed. */
export const TableOptions = v.object({
  colNames: v.array(v.picklist(COLUMN_NAMES)),
  colWidth: v.number(),
  /** Modules deeper than this have no row; they are counted in the row they are in. */
  depth: v.number(),
  rowSettings: v.array(v.picklist(ROW_SETTINGS)),
  /** 2: a row for every weight. */
  verbose: v.number(),
  /** Counts as torchinfo does, mistakes included. */
  torchinfo: v.boolean(),
});
export type TableOptions = v.InferOutput<typeof TableOptions>;
