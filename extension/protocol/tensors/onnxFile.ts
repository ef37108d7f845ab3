import * as v from "valibot";
import { FlowGraph } from "../flow.ts";
import { TensorFile } from "../tensorFile.ts";

/** A value of an ONNX graph: an input, an output, or one between nodes. */
export const OnnxValue = v.object({
  name: v.string(),
  /** Element type with the shape, such as "float32[N, 10]"; "" if the file doesn't say it. */
  type: v.string(),
  /** Of a constant with few elements: "[1, -1, 768]". */
  value: v.optional(v.string()),
  /** Index among the file's tensors, if the value is an initializer or a constant with elements. */
  tensor: v.optional(v.number()),
});
export type OnnxValue = v.InferOutput<typeof OnnxValue>;

/** A box of the diagram: a node, or nodes of one module. */
export const OnnxBox = v.object({
  /** Full name of the node, or dotted path of the module; equal to {@link FlowNode}'s, and unique. */
  path: v.string(),
  /** Op of a node, class of a module; "" if unknown. */
  className: v.string(),
  /** Attributes and shapes of weights. */
  detail: v.string(),
  parameters: v.number(),
  /** Number of nodes in it. */
  nodes: v.number(),
  /** Whether it has nodes that are too many to draw. */
  cut: v.optional(v.boolean()),
});
export type OnnxBox = v.InferOutput<typeof OnnxBox>;

/** An ONNX model, without its weights' values. */
export const OnnxModelView = v.object({
  irVersion: v.number(),
  producer: v.string(),
  description: v.string(),
  /** Versions of the sets of ops, by domain; "" is ONNX's own. */
  opsets: v.array(v.tuple([v.string(), v.number()])),
  /** Ops that the file defines itself. */
  functions: v.array(v.string()),
  name: v.string(),
  inputs: v.array(OnnxValue),
  outputs: v.array(OnnxValue),
  /** How many inputs and outputs there are beyond those listed. */
  unlisted: v.number(),
  nodes: v.number(),
  /** Elements of floating-point weights. */
  parameters: v.number(),
  flow: FlowGraph,
  boxes: v.array(OnnxBox),
});
export type OnnxModelView = v.InferOutput<typeof OnnxModelView>;

export const OnnxFile = v.object({ tensors: TensorFile, model: OnnxModelView });
export type OnnxFile = v.InferOutput<typeof OnnxFile>;

/** Details of one node, for the diagram. */
export const OnnxNodeDetails = v.object({
  name: v.string(),
  op: v.string(),
  domain: v.string(),
  description: v.string(),
  attributes: v.array(v.object({ name: v.string(), text: v.string(), tensor: v.optional(v.number()) })),
  inputs: v.array(OnnxValue),
  outputs: v.array(OnnxValue),
  /** Graphs that the node runs, such as the branches of an If: their ops, and how often each occurs. */
  subgraphs: v.array(
    v.object({ name: v.string(), nodes: v.number(), ops: v.array(v.tuple([v.string(), v.number()])) }),
  ),
});
export type OnnxNodeDetails = v.InferOutput<typeof OnnxNodeDetails>;
