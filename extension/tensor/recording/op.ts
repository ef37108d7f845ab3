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

/** What a batching rule sees: an op of one sample, and its inputs for all samples. */
export interface BatchContext<A> {
  /** How many samples. */
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
  /** Takes back what {@link merged} does. */
  split(x: Tensor, dim: number, inner?: boolean): Tensor;
  reshaped(x: Tensor, shape: Shape): Tensor;
  /** [size, …sample] with the samples in dimension `dim`. */
  behind(x: Tensor, dim: number): Tensor;
  /** Takes back what {@link behind} does. */
  front(x: Tensor, dim: number): Tensor;
  /** The op itself. */
  apply(inputs: readonly Tensor[], attributes?: A): Tensor;
  applyAll(inputs: readonly Tensor[], attributes?: A): Tensor[];
  /** Outputs by a function of one sample, which is made of other ops: these are batched instead. */
  spelled(body: (inputs: readonly Tensor[]) => readonly Tensor[]): readonly Tensor[];
}

/**
 * The outputs of an op for all samples, as [size, …sample] each: at least one input is batched. Undefined where the op has to
 * be applied sample by sample.
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
  // All records have the property: each gradient reads it, and one that is missing is slow to find.
  const record = op.saves === undefined ? Object.assign(op, { saves: undefined }) : op;
  OPS.set(op.name, record);
  return record;
}
