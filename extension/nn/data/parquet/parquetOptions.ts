import type { ColumnType, MissingPolicy, Normalization } from "../columns.ts";

/** How `data.parquet` reads a table. */
export interface ParquetOptions {
  /** The columns to read; all by default. Only the bytes of features and targets are read from the disk. */
  columns?: readonly string[];
  /** The column to predict, or several of numbers; by default the last one. `null` for none. */
  target?: string | readonly string[] | null;
  /** The columns to predict it from; by default all others but those of text. */
  features?: readonly string[];
  /**
   * Types of columns that differ from the default: numbers and decimals are numbers, texts and booleans categories.
   * Dates and times are left out unless they are a "number": milliseconds since 1970. A target that is a category is a
   * class.
   */
  types?: Readonly<Record<string, ColumnType>>;
  /**
   * How to handle null and NaN: "error" (default; at the first one that is read), "drop" the row, or replace them by
   * the "mean", "median" or "mode" (most frequent value) of the training part, or by a number. Categories take the most
   * frequent one.
   */
  missing?: MissingPolicy;
  /** How categories become features: one feature each, 1 where it is ("onehot", default), or their number ("index"). */
  encoding?: "onehot" | "index";
  /** How numbers are scaled, by statistics of the training part: "standard", "minmax", or "none" (default). */
  normalize?: Normalization;
  /** Bytes of row groups that stay in memory as features; 128 MiB by default. Half of that is shuffled together. */
  cacheBytes?: number;
}
