import * as v from "valibot";
import { MetricValue } from "./run.ts";
import { TensorStatistics, TensorValues, TensorWindow } from "./tensorValues.ts";

/** A tensor of a file, as a table shows it. */
export const TensorRow = v.object({
  /** In a `.pth` file, the keys that lead to it, with dots between them. */
  name: v.string(),
  dtype: v.string(),
  shape: v.array(v.number()),
  bytes: v.number(),
});
export type TensorRow = v.InferOutput<typeof TensorRow>;

export const TensorFile = v.object({
  /** Absolute path. */
  file: v.string(),
  format: v.picklist(["safetensors", "pth", "onnx"]),
  /** Of all shards, where there are several. */
  bytes: v.number(),
  metadata: v.array(v.tuple([v.string(), v.string()])),
  tensors: v.array(TensorRow),
});
export type TensorFile = v.InferOutput<typeof TensorFile>;

/** One tensor, as the viewer shows it. */
export interface TensorSnapshot {
  /** Its name, and where it is from. */
  name: string;
  from: string;
  dtype: string;
  shape: number[];
  /** Names of its dimensions; "" where unknown. */
  axes?: readonly string[];
  /** Of a tensor of a file, for the panel to be restored. */
  file?: string;
}

export interface TensorViewMethods {
  /** The tensor has changed: the view must request it again. */
  changed(): void;
}

export interface TensorHostMethods {
  ready(): Promise<TensorSnapshot>;
  /** Null for types that are no real numbers. */
  statistics(): Promise<TensorStatistics | null>;
  window(window: TensorWindow): Promise<TensorValues>;
  /** Copies a part as CSV; answers the number of values. */
  copy(window: TensorWindow): Promise<number>;
}

export interface TensorViewState {
  file?: string;
  name?: string;
  ui?: unknown;
}

/** How a tensor of one file differs from that of the same name in another. */
export const TensorChange = v.variant("change", [
  v.object({
    name: v.string(),
    change: v.picklist(["added", "removed"]),
    shape: v.array(v.number()),
    dtype: v.string(),
  }),
  v.object({
    name: v.string(),
    change: v.literal("shape"),
    shape: v.array(v.number()),
    other: v.array(v.number()),
  }),
  v.object({
    name: v.string(),
    change: v.literal("type"),
    dtype: v.string(),
    other: v.string(),
    // As below; undefined where one type is no real number.
    largest: v.optional(MetricValue),
    changed: v.optional(v.number()),
    elements: v.optional(v.number()),
  }),
  v.object({
    name: v.string(),
    change: v.literal("values"),
    /** Largest distance of two values; undefined for types that are no real numbers. */
    largest: v.optional(MetricValue),
    changed: v.number(),
    elements: v.number(),
  }),
]);
export type TensorChange = v.InferOutput<typeof TensorChange>;

export const TensorComparison = v.object({
  /** The largest differences first. */
  changes: v.array(TensorChange),
  /** Tensors that are in both, and the same. */
  same: v.number(),
});
export type TensorComparison = v.InferOutput<typeof TensorComparison>;
