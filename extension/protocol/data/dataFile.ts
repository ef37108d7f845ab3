import * as v from "valibot";

/** The first columns of a table, which the form lists with examples of their values. */
export const LISTED_COLUMNS = 200;

/** A column of a table, by the rows that were read. */
export const TableColumn = v.object({
  name: v.string(),
  /** Numbers, categories, or texts of which nearly every row has its own. */
  type: v.picklist(["number", "category", "text"]),
  distinct: v.number(),
  /** Cells without a value. */
  missing: v.number(),
  /** Whether all numbers are whole. */
  whole: v.boolean(),
  /** Values of a listed column. */
  examples: v.array(v.string()),
});
export type TableColumn = v.InferOutput<typeof TableColumn>;

/** Contents of a file or a folder of data, as far as it was read. */
export const DataFile = v.variant("kind", [
  v.object({
    kind: v.literal("table"),
    /** Absolute path. */
    path: v.string(),
    /** Absent: comma-separated values. */
    format: v.optional(v.literal("parquet")),
    rows: v.number(),
    /** Whether there are more rows than were read. */
    more: v.boolean(),
    delimiter: v.string(),
    /** Whether the first line has the columns' names. */
    header: v.boolean(),
    columns: v.array(TableColumn),
  }),
  v.object({
    kind: v.literal("images"),
    path: v.string(),
    /** Folders with images, which are the classes, and how many images each has. */
    classes: v.array(v.object({ name: v.string(), images: v.number() })),
    more: v.boolean(),
    /** Of the first image. */
    width: v.number(),
    height: v.number(),
    /** Images of other formats, which are not read. */
    others: v.number(),
  }),
]);
export type DataFile = v.InferOutput<typeof DataFile>;

export const DataTask = v.picklist(["classification", "regression"]);
export type DataTask = v.InferOutput<typeof DataTask>;

/** Most distinct whole numbers of a column that is taken for classes. */
const FEW_CLASSES = 10;

/** Returns the probable task of a model that predicts a column. */
export function taskOf({ type, whole, distinct }: TableColumn, rows: number): DataTask {
  const classes = whole && distinct <= FEW_CLASSES && rows >= 5 * distinct;
  return type === "category" || classes ? "classification" : "regression";
}

const Name = v.pipe(v.string(), v.maxLength(1000));

/** How a file of data is used in a model: the form's fields. */
export const DataUse = v.object({
  /** The column to predict. Images have their folders. */
  target: v.optional(Name),
  task: DataTask,
  /** The share that is held out for validation. */
  validation: v.pipe(v.number(), v.minValue(0.01), v.maxValue(0.9)),
  batchSize: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000)),
  /** Replacement of missing values, or "drop" for leaving out their rows. */
  missing: v.picklist(["drop", "mean", "median", "mode"]),
  /** Scale numbers to mean 0 and standard deviation 1. */
  normalize: v.boolean(),
  /** Side to which images are resized. */
  side: v.pipe(v.number(), v.integer(), v.minValue(4), v.maxValue(1024)),
  /** The name of a new `.nn.ts` file, or the path of an existing one. */
  into: v.variant("kind", [
    v.object({ kind: v.literal("new"), name: Name }),
    v.object({ kind: v.literal("existing"), file: Name }),
  ]),
});
export type DataUse = v.InferOutput<typeof DataUse>;

export interface DataFileSnapshot {
  data: DataFile;
  /** The use that the form begins with. */
  use: DataUse;
  /** Existing `.nn.ts` files: absolute path, and path in the workspace. */
  files: { file: string; label: string }[];
}

/** Lines to write, and their place. */
export interface WrittenCode {
  /** The name of the file, and its absolute path. */
  file: string;
  path: string;
  code: string;
  /** Why it can't be written. */
  problem?: string;
}

export interface DataFileHostMethods {
  ready(): Promise<DataFileSnapshot>;
  /** The code of a use, for its user to see. */
  code(use: DataUse): Promise<WrittenCode>;
  /** Writes it, and opens the file. */
  save(use: DataUse): Promise<void>;
}

export type DataFileViewMethods = object;

export interface DataFileViewState {
  /** Absolute path of the data. */
  path: string;
  ui?: unknown;
}
