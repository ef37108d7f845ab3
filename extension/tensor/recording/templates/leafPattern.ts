// What a plan's key has of a leaf: graphs are equal only where their leaves are like each other.
import { sameShape } from "../../core/shape.ts";
import type { Leaf, Value } from "../graph.ts";

/** Leaf properties encoded in the plan key, and the id of the storage that a state is read from. */
export interface LeafPattern {
  readonly kind: Leaf["kind"] | "node";
  readonly shape: Value["shape"];
  readonly dtype: Value["dtype"];
  readonly materialized: boolean;
  readonly fill: number | undefined;
  readonly varying: boolean;
  readonly storage: number | undefined;
}

/** What a leaf is like. */
export function pattern(value: Value): LeafPattern {
  const { producer, shape, dtype } = value;
  return {
    kind: producer.kind,
    shape,
    dtype,
    materialized: value.ready,
    fill: producer.kind === "fill" ? producer.value : undefined,
    varying: producer.kind === "scalar" && producer.varying,
    storage: producer.kind === "state" ? producer.storage.id : undefined,
  };
}

/** Whether a leaf is like one before. */
export function fits(value: Value, p: LeafPattern): boolean {
  const { producer } = value;
  if (producer.kind !== p.kind || value.dtype !== p.dtype || !sameShape(value.shape, p.shape)) return false;
  switch (producer.kind) {
    case "fill":
      return Object.is(producer.value, p.fill) && value.ready === p.materialized;
    case "scalar":
      return producer.varying === p.varying;
    case "state":
      return (
        p.storage === producer.storage.id &&
        producer.version === producer.storage.version &&
        value.ready === p.materialized
      );
    case "data":
    case "random":
    case "node":
      return true;
  }
}
