import * as v from "valibot";
import { MetricValue } from "./run.ts";

/** A statistic of a tensor's values; null in JSON for a tensor without values. */
const Value = v.nullable(v.number());

/** Statistics of a tensor, as `layerwise inspect --json` prints them. */
export const WeightStatistics = v.object({
  name: v.string(),
  dtype: v.string(),
  shape: v.array(v.number()),
  /** Absent for types that are no real numbers. Infinite and NaN values count in `infinities` and `nans` alone. */
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

/** Statistics of a tensor's values, see formats/statistics.ts. */
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
  /** Names of its dimensions; "" where unknown. */
  axes: v.optional(v.array(v.string())),
});
export type OpenTensor = v.InferOutput<typeof OpenTensor>;

/** Methods of an engine that keeps tensors for the viewer. */
export interface KeptTensorMethods {
  tensorStatistics(id: number): Promise<TensorStatistics>;
  tensorWindow(id: number, window: TensorWindow): Promise<TensorValues>;
}
