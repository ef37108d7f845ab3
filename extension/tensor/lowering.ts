import type { DType, HostArray } from "./dtype.ts";
import type { Shape } from "./shape.ts";

/** An attribute of a TensorFlow node, tagged with its type in the op's definition. */
export type TfAttribute =
  | { readonly kind: "type"; readonly value: DType }
  | { readonly kind: "int" | "float"; readonly value: number }
  | { readonly kind: "ints" | "floats"; readonly value: readonly number[] }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "shape"; readonly value: Shape };

/** Constructors of {@link TfAttribute}, as short as the tables that are made of them. */
export const attr = {
  type: (value: DType): TfAttribute => ({ kind: "type", value }),
  int: (value: number): TfAttribute => ({ kind: "int", value }),
  float: (value: number): TfAttribute => ({ kind: "float", value }),
  ints: (value: readonly number[]): TfAttribute => ({ kind: "ints", value }),
  floats: (value: readonly number[]): TfAttribute => ({ kind: "floats", value }),
  bool: (value: boolean): TfAttribute => ({ kind: "bool", value }),
  string: (value: string): TfAttribute => ({ kind: "string", value }),
  shape: (value: Shape): TfAttribute => ({ kind: "shape", value }),
};

/** A tensor of the TensorFlow side: a node's output while a graph is written, a handle while it is interpreted. */
export interface TfRef {
  readonly __tensorflow: true;
}

/**
 * What an op's `tensorflow` part is written against. One implementation writes graph nodes, the other executes at
 * once, so the two paths cannot drift apart. `int64` stands for TensorFlow's int32 on both.
 */
export interface TfBuilder {
  /** Adds one TensorFlow op and answers its outputs, `outputs` of them (one by default). */
  nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, TfAttribute>,
    outputs: number,
  ): TfRef[];
  /** The same for an op of one output. */
  node(op: string, inputs: readonly TfRef[], attributes: Record<string, TfAttribute>): TfRef;
  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): TfRef;
}

/** An int32 vector, the way TensorFlow takes shapes, axes and paddings. */
export function vector(b: TfBuilder, values: readonly number[]): TfRef {
  return b.constant(Int32Array.from(values), [values.length], "int64");
}

export function scalar(b: TfBuilder, value: number, dtype: DType): TfRef {
  return b.constant([value], [], dtype);
}
