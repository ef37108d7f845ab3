import type { Signature } from "../core/meta.ts";
import type { Shape } from "../core/shape.ts";
import type { Tensor } from "../core/tensor.ts";
import type { Op } from "./nodeOp.ts";

export type { Meta, Signature } from "../core/meta.ts";
export {
  costOf,
  gradientFunction,
  type Along,
  type AnyOp,
  type NoOnnx,
  type OnnxRule,
  type Op,
  type Tfjs,
} from "./nodeOp.ts";

/** Context of a gradient rule. `grad` is the gradient of output 0; `grads` has null where an output has none. */
export interface GradientContext<A> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly grad: Tensor;
  readonly grads: readonly (Tensor | null)[];
  readonly attributes: A;
  /** Which inputs need a gradient: the rule may return null for the others. */
  readonly needs: readonly boolean[];
}

/**
 * Returns the gradients of the inputs, in their order; null for inputs without one. A gradient may have the broadcast
 * shape: the engine sums it back to the input's.
 */
export type GradientRule<A> = (c: GradientContext<A>) => readonly (Tensor | null)[];

/** Context of a batching rule: an op of one sample, and its inputs for all samples. */
export interface BatchContext<A> {
  /** Number of samples. */
  readonly size: number;
  readonly attributes: A;
  /** The inputs and outputs of one sample. */
  readonly signature: Signature;
  /** Which inputs differ from sample to sample; the others are shared. */
  readonly batched: readonly boolean[];
  /** [size, …sample] where an input is batched, else the sample's. */
  readonly inputs: readonly Tensor[];
  /** An input as [size, …sample]: repeated if it is shared. */
  whole(input: number): Tensor;
  /** A batched input as [size, 1…, …sample], with `rank` dimensions after the first; a shared one unchanged. */
  aligned(input: number, rank: number): Tensor;
  /** [size, …sample] with the samples along dimension `dim` of a sample, one after another or, if `inner`, in turn. */
  merged(x: Tensor, dim: number, inner?: boolean): Tensor;
  /** Undoes {@link merged}. */
  split(x: Tensor, dim: number, inner?: boolean): Tensor;
  reshaped(x: Tensor, shape: Shape): Tensor;
  /** [size, …sample] with the samples in dimension `dim`. */
  behind(x: Tensor, dim: number): Tensor;
  /** Undoes {@link behind}. */
  front(x: Tensor, dim: number): Tensor;
  /** Applies the op itself. */
  apply(inputs: readonly Tensor[], attributes?: A): Tensor;
  applyAll(inputs: readonly Tensor[], attributes?: A): Tensor[];
  /** Returns the outputs by a function of one sample in terms of other ops, which are batched instead. */
  spelled(body: (inputs: readonly Tensor[]) => readonly Tensor[]): readonly Tensor[];
}

/**
 * Returns the outputs of an op for all samples, as [size, …sample] each: at least one input is batched. Undefined where
 * the op has to be applied sample by sample.
 */
export type BatchRule<A> = (c: BatchContext<A>) => Tensor | readonly Tensor[] | undefined;

/** Everything the system knows of an op: see docs/architecture.md. */
export interface OpRecord<A extends object> extends Op<A> {
  /** In terms of other ops of the table, or the reason why there is none. */
  readonly gradient: GradientRule<A> | { readonly none: string };
  /** How `vmap` applies it to all samples at once, or the reason why it is applied sample by sample. */
  readonly batch: BatchRule<A> | { readonly none: string };
}

/** All ops defined so far, by name: the table. */
export const OPS = new Map<string, OpRecord<never>>();

/** Adds an op to the table. */
export function defineOp<A extends object = object>(op: OpRecord<A>): Op<A> {
  if (OPS.has(op.name)) throw new Error(`internal: op ${op.name} is defined twice`);
  // All records have the property: each gradient reads it, and looking up a missing one is slow.
  const record = op.saves === undefined ? Object.assign(op, { saves: undefined }) : op;
  OPS.set(op.name, record);
  return record;
}
