import type { DType, HostArray } from "../core/dtype.ts";
import type { Shape } from "../core/shape.ts";

/** Types of TensorFlow's tensors: the library's own, 64-bit integers for the inputs that insist on them, and doubles. */
export type TfType = DType | "long" | "double";

/** An attribute of a TensorFlow node, tagged with its type in the op's definition. */
export type TfAttribute =
  | { readonly kind: "type"; readonly value: TfType }
  | { readonly kind: "int" | "float"; readonly value: number }
  | { readonly kind: "ints" | "floats"; readonly value: readonly number[] }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "shape"; readonly value: Shape };

/** Constructors of {@link TfAttribute}, as short as the tables that are made of them. */
export const attr = {
  type: (value: TfType): TfAttribute => ({ kind: "type", value }),
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

/** A loop that repeats one step on matrices of floats. */
export interface Loop<R> {
  readonly steps: number;
  /** Rows of one step. */
  readonly batch: number;
  /** From the last step to the first. */
  readonly backwards: boolean;
  readonly state: readonly R[];
  /** Matrices of steps · batch rows; every step sees its own rows. */
  readonly sequences: readonly R[];
  /** Tensors that all steps see. */
  readonly fixed: readonly R[];
  /** Columns of each output of a step. */
  readonly widths: readonly number[];
}

/** Result of a step, or of a loop of steps: the new state, and outputs for the step's rows. */
export interface Stepped<R> {
  readonly state: readonly R[];
  readonly outputs: readonly R[];
}

/** One step of a loop, written with a builder of its own. */
export type TfStep = (
  b: TfBuilder,
  state: readonly TfRef[],
  slices: readonly TfRef[],
  fixed: readonly TfRef[],
) => Stepped<TfRef>;

/**
 * The interface that an op's `tensorflow` part is written against. One implementation writes graph nodes, the other executes
 * them at once, so the two paths cannot drift apart. `int64` stands for TensorFlow's int32 on both.
 */
export interface TfBuilder {
  /** The graph is exported: nodes that only TensorFlow has are written out as others. */
  readonly portable?: boolean;
  /** Grappler rewrites the graph: see `addNode` in ops/elementwise/declare.ts. */
  readonly optimized?: boolean;
  /** The values of a tensor, where each node is run at once. */
  readonly read?: (ref: TfRef) => HostArray;
  /** Adds one TensorFlow op of `outputs` outputs and returns them. */
  nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, TfAttribute>,
    outputs: number,
  ): TfRef[];
  /** The same for an op of one output. */
  node(op: string, inputs: readonly TfRef[], attributes: Record<string, TfAttribute>): TfRef;
  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): TfRef;
  /** Float kernels that round well, and add up sums of any length well: no detour by doubles. No fused recurrent layers. */
  readonly exact?: boolean;
  /** Writes a step once, in a loop. Builders that execute at once do without it. */
  loop?(loop: Loop<TfRef>, step: TfStep): Stepped<TfRef>;
  /** The same tensors, each available only when all are. Builders that execute at once do without it. */
  together?(refs: readonly TfRef[], types: readonly DType[]): TfRef[];
  /** Runs one step and releases its intermediate tensors. Builders that write a graph do without it. */
  step?(step: () => Stepped<TfRef>): Stepped<TfRef>;
}

/** A builder that writes a graph, where control dependencies put nodes in order. */
export interface TfGraphBuilder extends TfBuilder {
  /** Makes every node written by `body` run after `refs`. */
  after<T>(refs: readonly TfRef[], body: () => T): T;
}

/** An int32 vector, the way TensorFlow takes shapes, axes and paddings. */
export function vector(b: TfBuilder, values: readonly number[]): TfRef {
  return b.constant(values, [values.length], "int64");
}

export function scalar(b: TfBuilder, value: number, dtype: DType): TfRef {
  return b.constant([value], [], dtype);
}
