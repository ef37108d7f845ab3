import * as v from "valibot";

/** A box of a model's diagram: a call of a module, or what a forward does between them. */
export const FlowNode = v.object({
  /** Unique; a module's second call has one of its own. */
  id: v.string(),
  kind: v.picklist(["module", "op", "input", "output"]),
  /** Dotted path of the module; of an op, that of the module whose forward does it. */
  path: v.string(),
  /** The parent's property, an op's name such as "add", or "input" and "output". */
  name: v.string(),
  className: v.optional(v.string()),
  /** Id of the box it stands in. */
  parent: v.optional(v.string()),
  /** What an op gives; what goes in or comes out. */
  shape: v.optional(v.string()),
});
export type FlowNode = v.InferOutput<typeof FlowNode>;

export const FlowEdge = v.object({ from: v.string(), to: v.string(), shape: v.string() });
export type FlowEdge = v.InferOutput<typeof FlowEdge>;

/** Which box's result goes where in one forward pass, in the order in which it happens. */
export const FlowGraph = v.object({ nodes: v.array(FlowNode), edges: v.array(FlowEdge) });
export type FlowGraph = v.InferOutput<typeof FlowGraph>;
