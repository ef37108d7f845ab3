import * as v from "valibot";
import { Device } from "./device.ts";
import { MetricPairs, MetricValues, Numbers } from "./data/numbers.ts";
import { PngText } from "./pictures.ts";
import { MetricValue } from "./run.ts";

/**
 * The report of an evaluation in addition to its metrics (`report.json` of its run directory), and the answers of a
 * session with the evaluated model. All of it is bounded: a view is never sent a whole data set.
 */

/** The purpose of a model's output. */
export const Task = v.picklist(["classification", "regression", "reconstruction", "generation", "other"]);
export type Task = v.InferOutput<typeof Task>;

/** An input, a target or an output of one sample, in a form for display. */
export const TensorView = v.variant("kind", [
  v.object({
    kind: v.literal("image"),
    /** A PNG file in base64, perhaps smaller than the image. */
    png: PngText,
    width: v.number(),
    height: v.number(),
  }),
  v.object({ kind: v.literal("text"), tokens: v.array(v.string()) }),
  v.object({
    kind: v.literal("numbers"),
    shape: v.array(v.number()),
    /** The first of them, row-major. */
    values: MetricValues,
    names: v.optional(v.array(v.string())),
  }),
]);
export type TensorView = v.InferOutput<typeof TensorView>;

export const SampleView = v.object({
  /** Its number in the evaluated set. */
  index: v.number(),
  inputs: v.array(TensorView),
  /** Classes, only of a classification. */
  actual: v.optional(v.number()),
  predicted: v.optional(v.number()),
  /** The predicted class's probability, by the model. */
  confidence: v.optional(MetricValue),
  loss: v.optional(MetricValue),
  /** Only of other tasks than classification. */
  target: v.optional(TensorView),
  output: v.optional(TensorView),
});
export type SampleView = v.InferOutput<typeof SampleView>;

/** Form of the input that a person can give a model instead of a sample. */
export const InputForm = v.variant("kind", [
  v.object({
    kind: v.literal("image"),
    channels: v.number(),
    height: v.number(),
    width: v.number(),
    /**
     * Of images with ink on a plain ground: how much of the larger side the ink takes, and where its middle is, both
     * as shares of the image. A drawing is fitted alike.
     */
    ink: v.optional(v.object({ extent: v.number(), x: v.number(), y: v.number() })),
  }),
  v.object({
    kind: v.literal("row"),
    /** In the units of the file, with a value to begin with. */
    columns: v.array(
      v.object({ name: v.string(), minimum: v.number(), maximum: v.number(), start: v.number() }),
    ),
  }),
  v.object({
    kind: v.literal("text"),
    unit: v.picklist(["words", "characters", "pieces"]),
    /** Tokens that the model takes; absent when it takes any number. */
    length: v.optional(v.number()),
  }),
  v.object({ kind: v.literal("none"), reason: v.string() }),
]);
export type InputForm = v.InferOutput<typeof InputForm>;

/** Of one number that is predicted. */
export const RegressionReport = v.object({
  name: v.string(),
  /** Actual and predicted, of samples evenly taken from all. */
  points: MetricPairs,
  /** Predicted minus actual, of all samples, in bins of equal width. */
  residuals: v.object({ minimum: v.number(), maximum: v.number(), counts: Numbers }),
  meanAbsoluteError: MetricValue,
  rootMeanSquaredError: MetricValue,
  /** Mean of the residuals. */
  bias: MetricValue,
  r2: MetricValue,
});
export type RegressionReport = v.InferOutput<typeof RegressionReport>;

/** Predictions of a classifier with two inputs, on a grid over their ranges. */
export const BoundaryReport = v.object({
  names: v.tuple([v.string(), v.string()]),
  x: v.tuple([v.number(), v.number()]),
  y: v.tuple([v.number(), v.number()]),
  /** Cells along either axis. */
  size: v.number(),
  /** The class of each cell, row by row from the smallest y; a byte each, in base64. */
  predicted: v.string(),
  /** Its probability, 255 for 1. */
  confidence: v.string(),
  /** Samples: x, y, actual and predicted class. */
  points: v.array(v.tuple([v.number(), v.number(), v.number(), v.number()])),
});
export type BoundaryReport = v.InferOutput<typeof BoundaryReport>;

export const EvaluationReport = v.object({
  version: v.literal(1),
  task: Task,
  /** Which part of the data was evaluated. */
  split: v.picklist(["test", "validation", "train"]),
  /** Samples that can be viewed one by one, the first of more. 0 for a stream. */
  listed: v.number(),
  input: InputForm,
  /** Samples with the largest losses, largest first. */
  hardest: v.array(SampleView),
  /** The first samples: originals beside the model's outputs, or a generator's outputs. */
  examples: v.array(SampleView),
  regression: v.array(RegressionReport),
  boundary: v.optional(BoundaryReport),
});
export type EvaluationReport = v.InferOutput<typeof EvaluationReport>;

/** A model to be asked: an experiment with its weights. */
export const SessionRequest = v.object({
  file: v.string(),
  exportName: v.string(),
  device: Device,
  seed: v.optional(v.number()),
  /** Absolute path of the weights. */
  checkpoint: v.string(),
  /** The evaluation's run directory, with the recorded outcome of each sample. */
  directory: v.string(),
});
export type SessionRequest = v.InferOutput<typeof SessionRequest>;

const Index = v.pipe(v.number(), v.integer(), v.minValue(0));
/** Samples in an answer. */
export const MAX_PAGE = 48;

export const SampleQuery = v.object({
  order: v.picklist(["hardest", "index"]),
  /** Only samples of this class, or predicted as this class. */
  actual: v.optional(Index),
  predicted: v.optional(Index),
  /** Only samples whose prediction is wrong. */
  wrong: v.optional(v.boolean()),
  offset: Index,
  count: v.pipe(Index, v.maxValue(MAX_PAGE)),
});
export type SampleQuery = v.InferOutput<typeof SampleQuery>;

export const SamplePage = v.object({
  /** Number of samples that match the query. */
  total: v.number(),
  samples: v.array(SampleView),
});
export type SamplePage = v.InferOutput<typeof SamplePage>;

/** Input of a question to the model. */
export const Subject = v.variant("kind", [
  v.object({ kind: v.literal("sample"), index: Index }),
  /** Height × width, 0 for the ground and 1 for ink, row by row. */
  v.object({ kind: v.literal("image"), pixels: v.pipe(v.array(v.number()), v.maxLength(1 << 20)) }),
  v.object({ kind: v.literal("row"), values: v.pipe(v.array(v.number()), v.maxLength(10_000)) }),
  v.object({ kind: v.literal("text"), text: v.pipe(v.string(), v.maxLength(20_000)) }),
]);
export type Subject = v.InferOutput<typeof Subject>;

/** How much each part of an input matters: the gradient of the predicted class's score, or of the output's sum. */
export const Saliency = v.variant("kind", [
  /** Its size at each pixel, as the opacity of a PNG in base64. */
  v.object({ kind: v.literal("image"), png: PngText }),
  /** Of each number with its sign; of each token its length. */
  v.object({ kind: v.literal("values"), values: v.array(MetricValue) }),
]);
export type Saliency = v.InferOutput<typeof Saliency>;

/** Output of the first convolution for the input, a PNG in base64 for each of its channels. */
export const FeatureMaps = v.object({
  layer: v.string(),
  channels: v.number(),
  width: v.number(),
  height: v.number(),
  maps: v.array(PngText),
});
export type FeatureMaps = v.InferOutput<typeof FeatureMaps>;

export const Answer = v.object({
  /** As the model sees it, index 0 where it is no sample of the set. */
  sample: SampleView,
  /** Of a sample of the set: the same input as a person would make it, where that is possible. */
  made: v.optional(Subject),
  /** Of all classes. */
  probabilities: v.optional(v.array(MetricValue)),
  /** Their names where the model predicts something other than classes, such as characters. */
  labels: v.optional(v.array(v.string())),
  saliency: v.optional(Saliency),
  features: v.optional(FeatureMaps),
});
export type Answer = v.InferOutput<typeof Answer>;

/** Methods of a run engine that keeps a model at hand. */
export interface SessionMethods {
  openSession(request: SessionRequest): Promise<void>;
  samples(query: SampleQuery): Promise<SamplePage>;
  /** @param explain With saliency and feature maps */
  ask(subject: Subject, explain: boolean): Promise<Answer>;
}
