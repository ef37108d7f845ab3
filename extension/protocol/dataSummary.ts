import * as v from "valibot";
import { Device } from "./device.ts";
import { Finding } from "./findings.ts";
import { MetricValue } from "./run.ts";

/** Columns of a table, classes and names in an answer. */
export const MAX_LISTED_COLUMNS = 64;
export const MAX_LISTED_CLASSES = 100;

/** The experiment whose data is described. */
export const DataRequest = v.object({
  file: v.string(),
  exportName: v.string(),
  device: Device,
  seed: v.optional(v.number()),
});
export type DataRequest = v.InferOutput<typeof DataRequest>;

/** Statistics of numbers; those that are NaN or infinite count as missing and in nothing else. */
export const ValueRange = v.object({
  minimum: MetricValue,
  maximum: MetricValue,
  mean: MetricValue,
  std: MetricValue,
  missing: v.number(),
});
export type ValueRange = v.InferOutput<typeof ValueRange>;

export const DataSplit = v.object({
  name: v.picklist(["train", "validation", "test"]),
  /** Absent for a stream of unknown length. */
  samples: v.optional(v.number()),
  /** Samples that were read for this summary, evenly spaced where not all. */
  read: v.number(),
  /** Samples of this split whose inputs equal those of another one in it, and of one in the training set. */
  repeated: v.number(),
  inTraining: v.optional(v.number()),
  /** Samples of each class, in the order of `classes`. */
  classes: v.optional(v.array(v.number())),
});
export type DataSplit = v.InferOutput<typeof DataSplit>;

/** What an experiment's data holds, before any training. */
export const DataSummary = v.object({
  splits: v.array(DataSplit),
  /** Tensors of a sample of the training set: the inputs, then the target. */
  tensors: v.array(
    v.object({
      role: v.picklist(["input", "target"]),
      dtype: v.string(),
      shape: v.array(v.number()),
      range: ValueRange,
      /** Of rows of a table, the first ones. */
      columns: v.optional(v.array(v.object({ name: v.string(), range: ValueRange }))),
    }),
  ),
  /** Names or numbers of the classes, the first ones; absent where the target is none. */
  classes: v.optional(v.array(v.string())),
  findings: v.array(Finding),
});
export type DataSummary = v.InferOutput<typeof DataSummary>;
