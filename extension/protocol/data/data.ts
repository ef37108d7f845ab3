import * as v from "valibot";
import { Device } from "../device.ts";
import { UserError } from "../errors.ts";
import { TensorView } from "../evaluation.ts";
import { Finding } from "../findings.ts";
import { MetricValue } from "../run.ts";
import type { KeptTensorMethods, OpenTensor } from "../tensorValues.ts";

/** Columns of a table, classes and names in an answer. */
export const MAX_LISTED_COLUMNS = 64;
export const MAX_LISTED_CLASSES = 100;
/** Pairs of equal samples in an answer. */
export const MAX_PAIRS = 50;

/** The experiment whose data is described. */
export const DataRequest = v.object({
  file: v.string(),
  exportName: v.string(),
  device: Device,
  seed: v.optional(v.number()),
  /** Seeds an experiment that sets no seed: each process that reads the data draws the same splits. */
  defaultSeed: v.optional(v.number()),
});
export type DataRequest = v.InferOutput<typeof DataRequest>;

export const SplitName = v.picklist(["train", "validation", "test"]);
export type SplitName = v.InferOutput<typeof SplitName>;

/** Statistics of numbers; those that are NaN or infinite count as missing and in nothing else. */
export const ValueRange = v.object({
  minimum: MetricValue,
  maximum: MetricValue,
  mean: MetricValue,
  std: MetricValue,
  missing: v.number(),
  /** Numbers in bins of equal width from `minimum` to `maximum`. */
  histogram: v.optional(v.array(v.number())),
});
export type ValueRange = v.InferOutput<typeof ValueRange>;

export const DataSplit = v.object({
  name: SplitName,
  /** Absent for a stream of unknown length. */
  samples: v.optional(v.number()),
  /** Samples that were read for this summary, evenly spaced where not all. */
  read: v.number(),
  /** Whether reading ended because it took too long. */
  timedOut: v.optional(v.boolean()),
  /** Why reading ended early, and at which sample. */
  failed: v.optional(v.object({ sample: v.number(), error: UserError })),
  /** Samples of this split whose inputs equal those of another one in it, and of one in the training set. */
  repeated: v.number(),
  inTraining: v.optional(v.number()),
  /** Numbers that are NaN or infinite. */
  missing: v.number(),
  /** Samples of each class, in the order of `classes`. */
  classes: v.optional(v.array(v.number())),
});
export type DataSplit = v.InferOutput<typeof DataSplit>;

const Role = v.picklist(["input", "target"]);

/** Kind of a tensor's parts with ranges of their own: columns of rows, channels of images, features of a series. */
export const Axis = v.picklist(["column", "channel", "feature"]);
export type Axis = v.InferOutput<typeof Axis>;

export const DataTensor = v.object({
  /** Its place in a sample: a key, or "input" and "target". */
  name: v.string(),
  role: Role,
  /** "text" for strings. */
  dtype: v.string(),
  /** Of one sample; where samples differ, the smallest extents. */
  shape: v.array(v.number()),
  largest: v.optional(v.array(v.number())),
  /** Of texts, of their lengths. */
  range: ValueRange,
  axis: v.optional(Axis),
  /** The first ones. `absent`: cells that are missing in the file. */
  columns: v.optional(
    v.array(v.object({ name: v.string(), range: ValueRange, absent: v.optional(v.number()) })),
  ),
  /** All columns, where not all are listed. */
  allColumns: v.optional(v.number()),
});
export type DataTensor = v.InferOutput<typeof DataTensor>;

/** A sample by its split and its number in it. */
export const SamplePlace = v.object({
  split: SplitName,
  index: v.pipe(v.number(), v.integer(), v.minValue(0)),
});
export type SamplePlace = v.InferOutput<typeof SamplePlace>;

/** The first batch as the training gets it. */
export const DataBatch = v.object({
  tensors: v.array(v.object({ name: v.string(), role: Role, dtype: v.string(), shape: v.array(v.number()) })),
  /** Why a training can't use it. */
  error: v.optional(UserError),
});
export type DataBatch = v.InferOutput<typeof DataBatch>;

/** Summary of an experiment's data, before any training. */
export const DataSummary = v.object({
  splits: v.array(DataSplit),
  /** Tensors of a sample of the training set: the inputs, then the target. */
  tensors: v.array(DataTensor),
  batch: v.optional(DataBatch),
  /** Why the model or its optimizer can't be made: the splits may then differ from a training's. */
  problem: v.optional(UserError),
  /** Names or numbers of the classes, the first ones; absent where the target is none. */
  classes: v.optional(v.array(v.string())),
  /** The number of each, where they aren't 0, 1, 2, … */
  classIndices: v.optional(v.array(v.number())),
  /** Samples with equal inputs, the first pairs: those across splits come first. */
  pairs: v.array(v.tuple([SamplePlace, SamplePlace])),
  findings: v.array(Finding),
});
export type DataSummary = v.InferOutput<typeof DataSummary>;

/** Samples in an answer. */
export const MAX_DATA_PAGE = 48;

/** A value of a sample, in a form for display. */
export const DataView = v.variant("kind", [
  ...TensorView.options,
  v.object({ kind: v.literal("string"), text: v.string(), length: v.number() }),
  /** Numbers over time, a list for each feature; every n-th where there are too many. */
  v.object({
    kind: v.literal("series"),
    shape: v.array(v.number()),
    lines: v.array(v.array(MetricValue)),
    names: v.optional(v.array(v.string())),
  }),
  v.object({ kind: v.literal("class"), index: v.number(), name: v.string() }),
]);
export type DataView = v.InferOutput<typeof DataView>;

export const DataField = v.object({
  name: v.string(),
  role: v.picklist(["input", "target"]),
  dtype: v.string(),
  shape: v.array(v.number()),
  view: DataView,
});
export type DataField = v.InferOutput<typeof DataField>;

export const DataSample = v.object({
  ...SamplePlace.entries,
  fields: v.array(DataField),
  /** Why it can't be read. */
  error: v.optional(UserError),
});
export type DataSample = v.InferOutput<typeof DataSample>;

const Index = v.pipe(v.number(), v.integer(), v.minValue(0));

/** Some samples of a split, in its order: of a class, or by number. */
export const DataQuery = v.object({
  split: SplitName,
  offset: Index,
  count: v.pipe(Index, v.maxValue(MAX_DATA_PAGE)),
  /** Only samples of this class, among those that were read. */
  actual: v.optional(v.pipe(v.number(), v.integer())),
});
export type DataQuery = v.InferOutput<typeof DataQuery>;

export const DataPage = v.object({
  /** Samples that can be viewed: of a stream and of a class, those that were read. */
  total: v.number(),
  samples: v.array(DataSample),
});
export type DataPage = v.InferOutput<typeof DataPage>;

/** One sample, read several times: results of the experiment's random transforms. */
export const DataDraws = v.object({
  /** Before the transforms, where the data set tells. */
  original: v.optional(DataSample),
  draws: v.array(DataSample),
  /** Whether all draws are equal: nothing is drawn at random. */
  fixed: v.boolean(),
});
export type DataDraws = v.InferOutput<typeof DataDraws>;

export const DataReading = v.object({
  split: SplitName,
  read: v.number(),
  of: v.optional(v.number()),
});
export type DataReading = v.InferOutput<typeof DataReading>;

/** Methods of a run engine that keeps the data of an experiment at hand. */
export interface DataSessionMethods extends KeptTensorMethods {
  openData(request: DataRequest): Promise<DataSummary>;
  dataSamples(query: DataQuery): Promise<DataPage>;
  /** Samples by their places, such as pairs of equal ones. */
  dataPlaces(places: SamplePlace[]): Promise<DataSample[]>;
  drawSample(place: SamplePlace): Promise<DataDraws>;
  /** Keeps a tensor of a sample for the viewer, since reading the sample again may draw another one. */
  openTensor(place: SamplePlace, name: string): Promise<OpenTensor>;
}

export interface DataSessionEvents {
  /** Samples read so far, about ten times a second. */
  reading(progress: DataReading): void;
}

/** Contents of the panel of an experiment's data; see views.ts. */
export interface DataSnapshot {
  /** Absolute path of the `.nn.ts` file. */
  file: string;
  exportName: string;
  /** Absent until the data is read. */
  summary?: DataSummary;
  /** While the data is read. */
  reading?: { progress?: DataReading };
  /** Why it can't be read. */
  error?: UserError;
  /** The file has changed since. */
  outdated?: boolean;
}

export interface DataViewMethods {
  snapshot(snapshot: DataSnapshot): void;
}

/** A question returns undefined when a newer one replaced it, or it was cancelled. */
export interface DataHostMethods {
  ready(): Promise<DataSnapshot>;
  /** Reads the data: runs the file's code. */
  read(): Promise<void>;
  samples(query: DataQuery): Promise<DataPage | undefined>;
  places(places: SamplePlace[]): Promise<DataSample[] | undefined>;
  draw(place: SamplePlace): Promise<DataDraws | undefined>;
  /** Stops reading. */
  cancel(): Promise<void>;
  train(): Promise<void>;
  /** Shows a tensor of a sample in the viewer. */
  viewTensor(place: SamplePlace, name: string): Promise<void>;
  openSource(file: string, line?: number, column?: number): Promise<void>;
}

export interface DataViewState {
  file: string;
  exportName: string;
  ui?: unknown;
}
