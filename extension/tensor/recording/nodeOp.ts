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
 * The ONNX nodes that an op becomes: its outputs, as far as ONNX has them. The rest is for gradients only.
 */
export type OnnxRule<A> = (
  b: OnnxBuilder,
  inputs: readonly OnnxRef[],
  attributes: A,
  signature: Signature,
) => OnnxRef | readonly OnnxRef[];

/** Why an op isn't exported. */
export type NoOnnx = { readonly none: string };

/**
 * What an op's attributes are where its inputs with the first one's dimensions lie in another order, and whether its outputs
 * then are images, too; undefined where they would be neither that nor plain.
 */
export interface Along<A> {
  along(
    attributes: A,
    order: readonly number[],
    signature: Signature,
  ): { readonly attributes: object; readonly images: boolean } | undefined;
}

/**
 * What a recorded node needs of its op; `OpRecord` has its gradient, too. `A` are its attributes, plain JSON.
 */
export interface Op<A extends object> {
  readonly name: string;
  /** PyTorch's name of the gradient, where it is not the op's own name: printing shows it. */
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
  /** How many kernels `tfjs` calls, about; 1 by default. */
  calls?(signature: Signature, attributes: A): number;
  /**
   * Multiply-adds of one call: a product that is added to a sum, or a weight or bias that an element meets, counts
   * one. None when left out: functions of single elements, sums and comparisons, and what only moves data.
   */
  cost?(signature: Signature, attributes: A): number;
  /**
   * How images and volumes are laid out in memory (shapes are PyTorch's NCHW and NCDHW everywhere). "elementwise" kernels
   * keep whatever comes in; those with `images` take these inputs, and give their outputs that are such if `output`, with
   * channels last; those of {@link Along} can have both, with other attributes; `order` only moves dimensions; all others see
   * them as the shape says.
   */
  readonly layout?:
    | "elementwise"
    | { readonly images: readonly number[]; readonly output: boolean }
    | Along<A>
    | { order(attributes: A): readonly number[] };
  /** How it runs over parts of a batch, where it can: elementwise ops do anyway. */
  readonly parts?: PartRule<A>;
  /**
   * Which inputs PyTorch's gradient needs, and no output; by default, what the gradient's rule uses. They may not be written to
   * before `backward()`.
   */
  readonly saves?: ((needs: readonly boolean[]) => readonly boolean[]) | undefined;
  /** Whether its TensorFlow nodes can be compiled by XLA and gain by it, where steps are small and many. Elementwise ops can,
   * unless it is said here that they can't. Not for convolutions, at which XLA is slow, or where TensorFlow's kernel
   * refuses some values: XLA computes something of them.
   */
  readonly xla?: boolean | ((signature: Signature) => boolean);
  /** An input of whose values XLA doesn't say that they are wrong: it has to be one that is fed, and is checked then. */
  readonly refuses?: {
    readonly input: number;
    /** @throws TensorError for a wrong value */
    check(value: number, attributes: A, signature: Signature): void;
  };
  /** Whether the output has the elements of the first input and no others, if perhaps in another shape, order or type. */
  readonly keepsElements?: boolean;
  /** Whether `plain` moves elements and changes none: with inputs on the host, it can run where the op is called. */
  readonly moves?: boolean;
  /**
   * PyTorch's error for inputs that the op's kernel refused; undefined where they are none of its business. Without their
   * values, which a compiled graph doesn't show, it says less.
   */
  readonly refusal?: (inputs?: readonly HostArray[], signature?: Signature) => TensorError | undefined;
  /** Whether its value comes from several processes: then it runs in a session of their group. */
  readonly collective?: boolean;
  /** How it runs over shards of a batch that lie in several processes, where each needs sums over all of them. */
  readonly acrossProcesses?: AcrossProcesses<A>;
  /** What PyTorch says of indices that turn out to be out of range, where it doesn't say which and of what. */
  readonly outOfRange?: string;
  /**
   * The op inside a compiled graph when output i is the new value of the variable whose old value is input i, for every
   * output: updates `variables[i]` instead of computing outputs. `inputs` are those after the variables' old values.
   * Answers the nodes that write.
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
  /** How many processes there are. */
  readonly size: number;
  make<B extends object>(op: Op<B>, inputs: readonly V[], attributes: B): V;
  makeAll<B extends object>(op: Op<B>, inputs: readonly V[], attributes: B): readonly V[];
  /** Sums over the processes, as one exchange. */
  sums(values: readonly V[]): readonly V[];
  constant(value: number): V;
}

/**
 * An output of {@link SummedRule}: this process's shard; the value, which is the same in all processes; or what adds up over
 * the processes to the value.
 */
export type ShardOutput<V> =
  | { readonly shard: V; readonly cut: Cut }
  | { readonly whole: V }
  | { readonly partial: V };

/**
 * @param cuts how the inputs come
 * @returns what to write, given the shard's inputs; undefined where the inputs have to be whole
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
