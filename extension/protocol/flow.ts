import * as v from "valibot";

/** A box of a model's diagram: a call of a module, or an op of a forward between them. */
export const FlowNode = v.object({
  /** Unique; a module's second call has one of its own. */
  id: v.string(),
  kind: v.picklist(["module", "op", "input", "output"]),
  /** Dotted path of the module; of an op, that of the module whose forward calls it. */
  path: v.string(),
  /** The parent's property, an op's name such as "add", or "input" and "output". */
  name: v.string(),
  className: v.optional(v.string()),
  /** Id of the box it stands in. */
  parent: v.optional(v.string()),
  /** Shape of an op's result, of an input or of an output. */
  shape: v.optional(v.string()),
});
export type FlowNode = v.InferOutput<typeof FlowNode>;

export const FlowEdge = v.object({ from: v.string(), to: v.string(), shape: v.string() });
export type FlowEdge = v.InferOutput<typeof FlowEdge>;

/** Which box's result goes where in one forward pass, in the order in which it happens. */
export const FlowGraph = v.object({ nodes: v.array(FlowNode), edges: v.array(FlowEdge) });
export type FlowGraph = v.InferOutput<typeof FlowGraph>;

/** By character. Bounded: a page sends them, and VS Code keeps them. */
const Widths = v.pipe(
  v.record(v.pipe(v.string(), v.maxLength(8)), v.number()),
  v.check((widths) => Object.keys(widths).length <= 2000, "expected at most 2,000 characters"),
);

/** How wide characters are in the fonts of a diagram, in pixels; "" stands for all others. */
export const TextWidths = v.object({ title: Widths, kind: Widths, label: Widths });
export type TextWidths = v.InferOutput<typeof TextWidths>;

const BoxIds = v.pipe(v.array(v.string()), v.maxLength(100_000));

/** All that a layout depends on beside the model: its visible boxes and the font. */
export const DiagramLook = v.object({
  /** Key of the font: other widths have another key. */
  font: v.pipe(v.string(), v.maxLength(1000)),
  widths: TextWidths,
  /** Ids of the boxes that the user has opened, closed and unfolded. */
  opened: BoxIds,
  closed: BoxIds,
  unfolded: BoxIds,
});
export type DiagramLook = v.InferOutput<typeof DiagramLook>;

const Point = v.object({ x: v.number(), y: v.number() });

/** Places of a flow's visible boxes and edges. */
export const FlowLayout = v.object({
  width: v.number(),
  height: v.number(),
  boxes: v.array(v.object({ id: v.string(), ...Point.entries, width: v.number(), height: v.number() })),
  edges: v.array(
    v.object({
      from: v.string(),
      to: v.string(),
      shape: v.string(),
      points: v.array(Point),
      /** Top left corner of the shape's text. */
      label: v.optional(Point),
    }),
  ),
});
export type FlowLayout = v.InferOutput<typeof FlowLayout>;
