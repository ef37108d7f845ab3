// The ONNX side of ops: the builder that an op's record writes nodes with, and the graph that is written to files.
import type { DType, HostArray } from "../core/dtype.ts";
import type { TfAttribute } from "./lowering.ts";
import type { Shape } from "../core/shape.ts";

/** The version of ONNX's ops that records are written for: https://onnx.ai/onnx/operators. */
export const ONNX_OPSET = 17;

/** An attribute of an ONNX node, made by `attr` as TensorFlow's are. Types are written as their numbers. */
export type OnnxAttribute = TfAttribute | { readonly kind: "strings"; readonly value: readonly string[] };

/** A tensor of the ONNX graph. */
export interface OnnxRef {
  readonly __onnx: true;
}

/** Writes ONNX nodes. */
export interface OnnxBuilder {
  /** Adds a node and returns its `outputs` outputs. An input that is left out is null. */
  nodes(
    op: string,
    inputs: readonly (OnnxRef | null)[],
    attributes: Record<string, OnnxAttribute>,
    outputs: number,
  ): OnnxRef[];
  /** The same for a node of one output. */
  node(op: string, inputs: readonly (OnnxRef | null)[], attributes?: Record<string, OnnxAttribute>): OnnxRef;
  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): OnnxRef;
  /** A vector of sizes of dimensions. In the file, those that depend on the batch size are computed from it. */
  sizes(values: Shape): OnnxRef;
}

/** A vector of integers that don't depend on sizes: axes, paddings. */
export const ints = (b: OnnxBuilder, values: readonly number[]): OnnxRef =>
  b.constant(values, [values.length], "int64");

export const number = (b: OnnxBuilder, value: number, dtype: DType = "float32"): OnnxRef =>
  b.constant([value], [], dtype);

/** The gradients and updates of a training: what is exported computes a model's outputs alone. */
export const TRAINING_ONLY = { none: "it belongs to training" };

export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  /** Names; "" for one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A size of a dimension: a number, or the name of what stands for one. */
export type OnnxSize = number | string;

/** An input or output of a graph. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly OnnxSize[];
}

/** A weight or a constant. */
export interface OnnxTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: HostArray;
}

/** A model's graph, nodes in an order in which they can be computed. */
export interface OnnxGraph {
  readonly name: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: readonly OnnxTensor[];
  /** Shapes of values between nodes, as far as they are known. */
  readonly values: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
}
