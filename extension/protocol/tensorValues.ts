import * as v from "valibot";
import { MetricValue } from "./run.ts";

/** A number of a tensor's values; one without any has none, and JSON writes that as null. */
const Value = v.nullable(v.number());

/** What `layerwise inspect --json` says of a tensor. */
export const WeightStatistics = v.object({
  name: v.string(),
  dtype: v.string(),
  shape: v.array(v.number()),
  /** Not of types that are no real numbers. Values that are infinite or NaN count in nothing else. */
  count: v.optional(v.number()),
  min: v.optional(Value),
  max: v.optional(Value),
  mean: v.optional(Value),
  std: v.optional(Value),
  zeros: v.optional(v.number()),
  nans: v.optional(v.number()),
  infinities: v.optional(v.number()),
  /** Values in parts of equal width from `min` to `max`. */
  histogram: v.optional(v.array(v.number())),
});
export type WeightStatistics = v.InferOutput<typeof WeightStatistics>;

/** What a tensor's values are like, see formats/statistics.ts. */
export const TensorStatistics = v.object({
  count: v.number(),
  min: MetricValue,
  max: MetricValue,
  mean: MetricValue,
  std: MetricValue,
  zeros: v.number(),
  nans: v.number(),
  infinities: v.number(),
  histogram: v.array(v.number()),
});
export type TensorStatistics = v.InferOutput<typeof TensorStatistics>;

const Index = v.pipe(v.number(), v.integer(), v.minValue(0));
const Axis = v.pipe(v.number(), v.integer(), v.minValue(-1));
/** Values of one answer. */
export const MAX_WINDOW = 20_000;

/** A part of a tensor as a table: two dimensions, the others at one index each; see protocol/tensorWindow.ts. */
export const TensorWindow = v.pipe(
  v.object({
    rowAxis: Axis,
    columnAxis: Axis,
    at: v.pipe(v.array(Index), v.maxLength(64)),
    row: Index,
    rows: Index,
    column: Index,
    columns: Index,
  }),
  v.check(({ rows, columns }) => rows * columns <= MAX_WINDOW, "too many values"),
);
export type TensorWindow = v.InferOutput<typeof TensorWindow>;

export const TensorValues = v.object({
  rows: v.number(),
  columns: v.number(),
  /** Row by row. "nan", "inf", "-inf" and integers beyond a double are texts. */
  values: v.array(v.union([v.number(), v.string()])),
});
export type TensorValues = v.InferOutput<typeof TensorValues>;

/** A tensor that an engine keeps for the viewer. */
export const OpenTensor = v.object({
  id: v.number(),
  dtype: v.string(),
  shape: v.array(v.number()),
  /** What its dimensions are; "" for those that aren't known. */
  axes: v.optional(v.array(v.string())),
});
export type OpenTensor = v.InferOutput<typeof OpenTensor>;

/** Methods of an engine that keeps tensors for the viewer. */
export interface KeptTensorMethods {
  tensorStatistics(id: number): Promise<TensorStatistics>;
  tensorWindow(id: number, window: TensorWindow): Promise<TensorValues>;
}
