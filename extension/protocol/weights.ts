import * as v from "valibot";

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
