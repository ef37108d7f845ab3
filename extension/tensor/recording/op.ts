import type { Tensor } from "../core/tensor.ts";
import type { Op } from "./nodeOp.ts";

export type { Meta, Signature } from "../core/meta.ts";
export {
  costOf,
  gradientFunction,
  type AnyOp,
  type NoOnnx,
  type OnnxRule,
  type Op,
  type Tfjs,
} from "./nodeOp.ts";

/** What a gradient rule sees. `grad` is the gradient of output 0; `grads` has null where an output has none. */
export interface GradientContext<A> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly grad: Tensor;
  readonly grads: readonly (Tensor | null)[];
  readonly attributes: A;
  /** Which inputs want a gradient: the others may be answered with null. */
  readonly needs: readonly boolean[];
}

/**
 * Gradients of the inputs, in their order; null for those that have none. A rule may answer with the broadcast shape:
 * the engine sums it back to the input's.
 */
export type GradientRule<A> = (c: GradientContext<A>) => readonly (Tensor | null)[];

/** Everything the system knows of an op: see docs/architecture.md. */
export interface OpRecord<A extends object> extends Op<A> {
  /** In terms of other ops of the table, or the reason why there is none. */
  readonly gradient: GradientRule<A> | { readonly none: string };
}

/** All ops defined so far, by name: the table. */
export const OPS = new Map<string, OpRecord<never>>();

/** Adds an op to the table. */
export function defineOp<A extends object = object>(op: OpRecord<A>): Op<A> {
  if (OPS.has(op.name)) throw new Error(`internal: op ${op.name} is defined twice`);
  OPS.set(op.name, op);
  return op;
}
