// A run that another tool has recorded, as its reader finds it.

/** Tools whose runs can be imported. */
export const FOREIGN_TOOLS = ["tensorboard", "mlflow", "trackio"] as const;
export type ForeignTool = (typeof FOREIGN_TOOLS)[number];

export const FOREIGN_TOOL_NAMES: Record<ForeignTool, string> = {
  tensorboard: "TensorBoard",
  mlflow: "MLflow",
  trackio: "trackio",
};

/** The values of one metric. Steps ascend strictly. */
export interface ForeignSeries {
  /** The tool's own name of it. */
  name: string;
  steps: readonly number[];
  /** Seconds since 1970. */
  times: readonly number[];
  values: readonly number[];
}

/** Values in buckets, as TensorBoard has them. */
export interface ForeignHistogram {
  name: string;
  step: number;
  /** Edges of the buckets: one more than counts. */
  edges: readonly number[];
  counts: readonly number[];
  /** Of all values, where the tool has kept them. */
  mean?: number;
  std?: number;
}

/** A picture, as a PNG file. */
export interface ForeignPicture {
  name: string;
  step: number;
  png: Uint8Array;
}

export interface ForeignRun {
  tool: ForeignTool;
  /** Absolute path of the folder or file that it is read from. */
  path: string;
  /** Its id or its folder's name: unique among the runs at this path. */
  id: string;
  /** For people. */
  name: string;
  /** The project or experiment that it belongs to; may be empty. */
  group: string;
  state: "finished" | "failed" | "stopped";
  /** Seconds since 1970. */
  began?: number;
  ended?: number;
  /** Hyperparameters. */
  parameters: ReadonlyMap<string, string | number | boolean>;
  /** Tags and other facts. */
  notes: ReadonlyMap<string, string>;
  series: readonly ForeignSeries[];
  histograms: readonly ForeignHistogram[];
  pictures: readonly ForeignPicture[];
  /** Read errors, in sentences that name the file. */
  problems: readonly string[];
}
