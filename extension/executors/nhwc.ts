import type { DType } from "../tensor/core/dtype.ts";
import type { Node, Value } from "../tensor/recording/graph.ts";
import type { Signature } from "../tensor/recording/op.ts";
import { numel, type Shape } from "../tensor/core/shape.ts";

/** A value on the backend's side, in one or both memory layouts. */
interface Lowered<Ref> {
  plain: Ref | undefined;
  /** Channels last, for images [N, C, H, W] and volumes [N, C, D, H, W]. */
  images: Ref | undefined;
}

/** What a backend brings: how it gets leaves, runs or writes an op, and moves dimensions. */
export interface Backend<Ref> {
  /** The ref of a value that no node of the plan makes. */
  leaf(value: Value): Ref;
  lower(node: Node, inputs: readonly Ref[]): readonly Ref[];
  /** A tensor of a shape without elements. */
  empty(shape: Shape, dtype: DType): Ref;
  transpose(ref: Ref, order: readonly number[], dtype: DType): Ref;
  reshape(ref: Ref, shape: Shape, dtype: DType): Ref;
}

const TO_IMAGES: Readonly<Record<number, readonly number[]>> = { 4: [0, 2, 3, 1], 5: [0, 2, 3, 4, 1] };
const TO_PLAIN: Readonly<Record<number, readonly number[]>> = { 4: [0, 3, 1, 2], 5: [0, 4, 1, 2, 3] };

/**
 * Hands nodes to a backend one after the other. Images stay in the layout their kernels want and are converted
 * once, where something else needs them.
 */
export class Lowering<Ref> {
  readonly #values = new Map<Value, Lowered<Ref>>();
  readonly #backend: Backend<Ref>;
  readonly #standIns: ReadonlyMap<Value, Value> | undefined;

  /** @param standIns outputs by what stood for them when the plan was made, for a plan that is lowered after it was computed */
  constructor(backend: Backend<Ref>, standIns?: ReadonlyMap<Value, Value>) {
    this.#backend = backend;
    this.#standIns = standIns;
  }

  /** Lowers a node whose inputs were lowered before. */
  node(node: Node): void {
    const { inputs, outputs } = node;
    if (outputs.every(isEmpty)) {
      // Nothing to compute, and no kernel that has to know what to do with nothing.
      for (const v of outputs) this.define(v, this.#backend.empty(v.shape, v.dtype));
      return;
    }
    const { layout } = node.op;
    const elementwise = layout === "elementwise" && this.#keepsImages(inputs);
    const refs: Ref[] = [];
    for (let i = 0; i < inputs.length; i++) {
      const v = inputs[i]!;
      const image =
        typeof layout === "object" ? layout.images.includes(i) : elementwise && v.shape.length > 0;
      refs.push(image ? this.#images(v) : this.plain(v));
    }
    const made = this.#backend.lower(node, refs);
    const asImages = typeof layout === "object" ? layout.output : elementwise;
    for (let i = 0; i < outputs.length; i++) {
      const v = outputs[i]!;
      // An op on images may have other outputs as well, such as a value per channel.
      if (asImages && v.shape.length in TO_IMAGES)
        this.#values.set(v, { plain: undefined, images: made[i]! });
      else this.define(v, made[i]!);
    }
  }

  /** Says what a node's output is, for one that wasn't lowered. */
  define(value: Value, plain: Ref): void {
    this.#values.set(value, { plain, images: undefined });
  }

  /** Forgets a value, and answers its refs. */
  forget(value: Value): Ref[] {
    const lowered = this.#values.get(value);
    this.#values.delete(value);
    return [lowered?.plain, lowered?.images].filter((ref) => ref !== undefined);
  }

  /** The value as its shape says: row-major. */
  plain(value: Value): Ref {
    const lowered = this.#lowered(value);
    return (lowered.plain ??= this.#convert(value, lowered.images!, TO_PLAIN));
  }

  #images(value: Value): Ref {
    const lowered = this.#lowered(value);
    return (lowered.images ??= this.#convert(value, lowered.plain!, TO_IMAGES));
  }

  #lowered(given: Value): Lowered<Ref> {
    const known = this.#values.get(given);
    if (known !== undefined) return known;
    const value = this.#output(given);
    let lowered = this.#values.get(value);
    if (lowered === undefined)
      this.#values.set(value, (lowered = { plain: this.#backend.leaf(given), images: undefined }));
    return lowered;
  }

  #output(value: Value): Value {
    return this.#standIns?.get(value) ?? resolved(value);
  }

  /** Whether an elementwise op can work on images as they lie: one of them is so, all others are as deep or scalars. */
  #keepsImages(inputs: readonly Value[]): boolean {
    let rank = 0;
    let found = false;
    for (const v of inputs) {
      const own = v.shape.length;
      if (own === 0) continue;
      // Most tensors are neither images nor volumes.
      if ((own !== 4 && own !== 5) || (rank !== 0 && own !== rank)) return false;
      rank = own;
      const output = this.#output(v);
      found ||= this.#values.get(output)?.plain === undefined && this.#values.has(output);
    }
    return found;
  }

  #convert(value: Value, ref: Ref, orders: typeof TO_IMAGES): Ref {
    const { shape, dtype } = value;
    const [n, c, ...spatial] = shape as [number, number, ...number[]];
    // One channel, or one pixel: the same bytes either way.
    if (c === 1 || numel(spatial) === 1) {
      const target = orders === TO_PLAIN ? shape : [n, ...spatial, c];
      return this.#backend.reshape(ref, target, dtype);
    }
    return this.#backend.transpose(ref, orders[shape.length]!, dtype);
  }
}

const isEmpty = ({ shape }: Value): boolean => shape.includes(0);

/** The output itself, for a value that has become one. */
export const resolved = (value: Value): Value =>
  value.producer.kind === "node" ? (value.producer.outputs[value.index] ?? value) : value;

export function signatureOf(node: Node): Signature {
  return { inputs: node.inputs, outputs: node.outputs };
}
