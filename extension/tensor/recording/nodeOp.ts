import type * as tfjs from "@tensorflow/tfjs-core";
import type { HostArray } from "../core/dtype.ts";
import type { TensorError } from "../core/errors.ts";
import type { Meta, Signature } from "../core/meta.ts";
import type { TfBuilder, TfGraphBuilder, TfRef } from "../lowering/lowering.ts";
import type { OnnxBuilder, OnnxRef } from "../lowering/onnx.ts";
import type { Cut, PartRule } from "../planning/parts.ts";
import type { PlainRule } from "../planning/plain.ts";

export type Tfjs = typeof tfjs;

/**
 * Writes an op as ONNX nodes. Returns its outputs, as far as ONNX has them: the others are for gradients only.
 */
export type OnnxRule<A> = (
  b: OnnxBuilder,
  inputs: readonly OnnxRef[],
  attributes: A,
  signature: Signature,
) => OnnxRef | readonly OnnxRef[];

/** Reason why an op isn't exported. */
export type NoOnnx = { readonly none: string };

/**
 * Converts an op's attributes for inputs of the first one's rank whose dimensions are in another order. Also returns
 * whether the outputs are images then; undefined where they would be neither images nor plain.
 */
export interface Along<A> {
  along(
    attributes: A,
    order: readonly number[],
    signature: Signature,
  ): { readonly attributes: object; readonly images: boolean } | undefined;
}

/**
 * An op as a recorded node needs it; `OpRecord` adds its gradient. `A` are its attributes, plain JSON.
 */
export interface Op<A extends object> {
  readonly name: string;
  /** PyTorch's name of the gradient, where it differs from the op's name: printing shows it. */
  readonly gradName?: string;
  /** Shapes and dtypes of the outputs; throws a TensorError for inputs that don't fit. */
  infer(inputs: readonly Meta[], attributes: A): Meta | readonly Meta[];
  readonly onnx: OnnxRule<A> | NoOnnx;
  tensorflow(
    b: TfBuilder,
    inputs: readonly TfRef[],
    attributes: A,
    signature: Signature,
  ): TfRef | readonly TfRef[];
  tfjs(
    k: Tfjs,
    inputs: readonly tfjs.Tensor[],
    attributes: A,
    signature: Signature,
  ): tfjs.Tensor | readonly tfjs.Tensor[];
  /** The op as a loop over plain arrays, which takes the place of `tfjs` for small tensors. */
  readonly plain?: PlainRule<A>;
  /** Approximate number of kernels that `tfjs` calls. Default 1. */
  calls?(signature: Signature, attributes: A): number;
  /**
   * Multiply-adds of one call: a product added to a sum, or a weight or bias applied to an element, counts one. None if
   * left out: for functions of single elements, sums, comparisons, and ops that only move data.
   */
  cost?(signature: Signature, attributes: A): number;
  /**
   * Layout of images and volumes in memory (shapes are PyTorch's NCHW and NCDHW everywhere). "elementwise" kernels keep
   * the layout of their inputs. Those with `images` take these inputs with channels last, and return outputs that are
   * images so if `output`. Those of {@link Along} work in both layouts, with other attributes. `order` only moves
   * dimensions. All others take row-major inputs.
   */
  readonly layout?:
    | "elementwise"
    | { readonly images: readonly number[]; readonly output: boolean }
    | Along<A>
    | { order(attributes: A): readonly number[] };
  /** Rule for running over parts of a batch, where the op can; elementwise ops have a default rule. */
  readonly parts?: PartRule<A>;
  /**
   * Which inputs PyTorch's gradient needs, if it needs no output. Default: those that the gradient's rule uses. They
   * may not be written to before `backward()`.
   */
  readonly saves?: ((needs: readonly boolean[]) => readonly boolean[]) | undefined;
  /** Whether the output has exactly the elements of the first input, possibly in another shape, order or type. */
  readonly keepsElements?: boolean;
  /** Whether `plain` only moves elements: with inputs on the host, it can run where the op is called. */
  readonly moves?: boolean;
  /**
   * PyTorch's error for inputs that the op's kernel refused; undefined where they are valid. Without their values,
   * which a compiled graph doesn't show, the error says less.
   */
  readonly refusal?: (inputs?: readonly HostArray[], signature?: Signature) => TensorError | undefined;
  /** Whether several processes compute its value: then it runs in a session of their group. */
  readonly collective?: boolean;
  /** Rule for running over shards of a batch in several processes, where each needs sums over all of them. */
  readonly acrossProcesses?: AcrossProcesses<A>;
  /** PyTorch's message for indices out of range, where it names neither the index nor the size. */
  readonly outOfRange?: string;
  /**
   * The op inside a compiled graph when output i is the new value of the variable whose old value is input i, for every
   * output: updates `variables[i]` instead of computing outputs. `inputs` are those after the variables' old values.
   * Returns the nodes that write.
   */
  inPlace?(
    b: TfGraphBuilder,
    variables: readonly TfRef[],
    inputs: readonly TfRef[],
    attributes: A,
    signature: Signature,
  ): readonly TfRef[];
}

/** Writes an op over one process's shard; `V` are values of a graph. */
export interface ShardWriter<V extends Meta = Meta> {
  /** Number of processes. */
  readonly size: number;
  make<B extends object>(op: Op<B>, inputs: readonly V[], attributes: B): V;
  makeAll<B extends object>(op: Op<B>, inputs: readonly V[], attributes: B): readonly V[];
  /** Sums over the processes, as one exchange. */
  sums(values: readonly V[]): readonly V[];
  constant(value: number): V;
}

/**
 * An output of {@link SummedRule}: this process's shard; the value, the same in all processes; or a term of the value,
 * which is the sum over the processes.
 */
export type ShardOutput<V> =
  | { readonly shard: V; readonly cut: Cut }
  | { readonly whole: V }
  | { readonly partial: V };

/**
 * @param cuts how the inputs are cut
 * @returns the rule that writes the op over a shard; undefined where the inputs have to be whole
 */
export type AcrossProcesses<A> = (
  cuts: readonly (Cut | undefined)[],
  attributes: A,
) => SummedRule | undefined;

export interface SummedRule {
  /** How each input is cut; undefined for those that every process sees whole. */
  readonly inputs: readonly (Cut | undefined)[];
  readonly write: <V extends Meta>(w: ShardWriter<V>, inputs: readonly V[]) => readonly ShardOutput<V>[];
}

/** PyTorch's name of the function that computes an op's gradient. */
export function gradientFunction({ gradName, name }: Pick<AnyOp, "gradName" | "name">): string {
  return gradName ?? `${name[0]!.toUpperCase()}${name.slice(1)}Backward0`;
}

/** Multiply-adds of one call of an op; 0 where the table counts none. */
export function costOf(call: Signature & { readonly op: Op<object>; readonly attributes: object }): number {
  return call.op.cost?.(call, call.attributes) ?? 0;
}

// Attributes differ from op to op, and a node only hands them back to the op that took them.
export type AnyOp = Op<never>;
