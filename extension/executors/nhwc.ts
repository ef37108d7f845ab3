import type { DType } from "../tensor/core/dtype.ts";
import type { Node, Value } from "../tensor/recording/graph.ts";
import type { Along, Meta, Signature } from "../tensor/recording/op.ts";
import { numel, type Shape } from "../tensor/core/shape.ts";

/** A value on the backend's side, in one or both memory layouts. */
interface Lowered<Ref> {
  plain: Ref | undefined;
  /** Channels last, for images [N, C, H, W], volumes [N, C, D, H, W] and sequences [N, C, L]. */
  images: Ref | undefined;
}

/** A node as a backend sees it: with the attributes and shapes of the memory layout, if it works on images. */
export type Call = Pick<Node, "op" | "attributes" | "module" | "site"> & Signature;

/** Functions of a backend: they make leaves, run or write ops, and move dimensions. */
export interface Backend<Ref> {
  /** The ref of a value that no node of the plan makes. */
  leaf(value: Value): Ref;
  /** @param asImages whether the outputs with the rank of images are images, though `call` has their shapes as they are */
  lower(call: Call, inputs: readonly Ref[], asImages?: boolean): readonly Ref[];
  /** A tensor of a shape without elements. */
  empty(shape: Shape, dtype: DType): Ref;
  transpose(ref: Ref, order: readonly number[], dtype: DType): Ref;
  reshape(ref: Ref, shape: Shape, dtype: DType): Ref;
}

type Orders = Readonly<Record<number, readonly number[]>>;
export const TO_IMAGES: Orders = { 3: [0, 2, 1], 4: [0, 2, 3, 1], 5: [0, 2, 3, 4, 1] };
export const TO_PLAIN: Orders = { 3: [0, 2, 1], 4: [0, 3, 1, 2], 5: [0, 4, 1, 2, 3] };

/**
 * Hands nodes to a backend one after the other. Images stay in the layout their kernels want and are converted
 * once, where something else needs them.
 */
export class Lowering<Ref> {
  readonly #values = new Map<Value, Lowered<Ref>>();
  readonly #backend: Backend<Ref>;
  readonly #standIns: ReadonlyMap<Value, Value> | undefined;
  /** Whether an op so far had a kernel that takes images. */
  #hasImages = false;

  /** @param standIns outputs by their stand-ins when the plan was made: needed to lower it after it was computed */
  constructor(backend: Backend<Ref>, standIns?: ReadonlyMap<Value, Value>) {
    this.#backend = backend;
    this.#standIns = standIns;
  }

  /** Lowers a node whose inputs were lowered before. */
  node(node: Node): void {
    const { inputs, outputs } = node;
    if (outputs.every(isEmpty)) {
      // Nothing to compute: no kernel needs a case for empty tensors.
      for (const v of outputs) this.define(v, this.#backend.empty(v.shape, v.dtype));
      return;
    }
    const { layout } = node.op;
    if (layout === undefined || layout === "elementwise") {
      const rank = layout === undefined ? 0 : this.#rankAsImages(inputs);
      if (rank === 0) return this.#lower(node, this.#plainRefs(inputs), false);
      const refs = inputs.map((v) => (v.shape.length === 0 ? this.plain(v) : this.#broadcastImages(v, rank)));
      return this.#lower(node, refs, true);
    }
    if ("images" in layout) {
      this.#hasImages = true;
      const refs = inputs.map((v, i) => (layout.images.includes(i) ? this.#images(v) : this.plain(v)));
      return this.#lower(node, refs, layout.output);
    }
    const done =
      "order" in layout ? this.#reorder(node, layout.order(node.attributes)) : this.#along(node, layout);
    if (!done) this.#lower(node, this.#plainRefs(inputs), false);
  }

  #plainRefs(inputs: readonly Value[]): Ref[] {
    const refs: Ref[] = [];
    for (let i = 0; i < inputs.length; i++) refs.push(this.plain(inputs[i]!));
    return refs;
  }

  /** @param asImages whether the outputs with the rank of images are images */
  #lower(node: Node, refs: readonly Ref[], asImages: boolean, call: Call = node): void {
    const made = this.#backend.lower(call, refs, asImages && call === node);
    const { outputs } = node;
    for (let i = 0; i < outputs.length; i++) {
      const v = outputs[i]!;
      // An op on images may have other outputs as well, such as a value per channel.
      if (asImages && v.shape.length in TO_IMAGES)
        this.#values.set(v, { plain: undefined, images: made[i]! });
      else this.define(v, made[i]!);
    }
  }

  /** Sets the ref of an output of a node that wasn't lowered. */
  define(value: Value, plain: Ref): void {
    this.#values.set(value, { plain, images: undefined });
  }

  /** Sets the ref of a leaf whose channels come last in memory. */
  defineImages(leaf: Value, images: Ref): void {
    this.#hasImages = true;
    this.#values.set(this.#output(leaf), { plain: undefined, images });
  }

  /** Returns a value without moving it, and whether its channels come last. */
  asItLies(value: Value): { ref: Ref; images: boolean } {
    const { plain, images } = this.#lowered(value);
    return images === undefined ? { ref: plain!, images: false } : { ref: images, images: true };
  }

  /** Forgets a value and returns its refs. */
  forget(value: Value): Ref[] {
    const lowered = this.#values.get(value);
    this.#values.delete(value);
    return [lowered?.plain, lowered?.images].filter((ref) => ref !== undefined);
  }

  /** Returns the value in the layout of its shape: row-major. */
  plain(value: Value): Ref {
    const lowered = this.#lowered(value);
    return (lowered.plain ??= this.#convert(value, lowered.images!, TO_PLAIN));
  }

  #images(value: Value): Ref {
    const lowered = this.#lowered(value);
    return (lowered.images ??= this.#convert(value, lowered.plain!, TO_IMAGES));
  }

  /** An operand of images, which may have fewer dimensions. */
  #broadcastImages(value: Value, rank: number): Ref {
    const { shape, dtype } = value;
    if (shape.length === rank) return this.#images(value);
    const padded = [...Array<number>(rank - shape.length).fill(1), ...shape];
    return this.#convert(
      { shape: padded, dtype },
      this.#backend.reshape(this.plain(value), padded, dtype),
      TO_IMAGES,
    );
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

  /** Whether a value exists in the layout of images only. */
  #liesAsImages(value: Value): boolean {
    const lowered = this.#values.get(this.#output(value));
    return lowered !== undefined && lowered.plain === undefined;
  }

  /**
   * Returns the rank at which an elementwise op works on images without moving them; 0 where the plain layout moves
   * fewer elements.
   */
  #rankAsImages(inputs: readonly Value[]): number {
    let rank = 0;
    for (let i = 0; i < inputs.length; i++) rank = Math.max(rank, inputs[i]!.shape.length);
    if (!(rank in TO_IMAGES)) return 0;
    let [images, plain] = [0, 0];
    for (const v of inputs) {
      if (v.shape.length === 0 || isSame(v)) continue;
      if (this.#liesAsImages(v)) images += numel(v.shape);
      else if (this.#values.get(this.#output(v))?.images === undefined) plain += numel(v.shape);
    }
    return images > 0 && (images > plain || (images === plain && rank > 3)) ? rank : 0;
  }

  /** Lowers an op whose attributes name dimensions on images without moving them. @returns false where it can't */
  #along(node: Node, layout: Along<object>): boolean {
    const { op, module, site, inputs, outputs } = node;
    const rank = inputs[0]!.shape.length;
    const order = TO_IMAGES[rank];
    if (order === undefined) return false;
    const images = inputs.filter((v) => v.shape.length === rank);
    // A value that is the same in both layouts becomes images if the plan has any.
    const grows = this.#hasImages && images.every(isSame) && !outputs.every(isSame);
    if (!grows && !images.some((v) => this.#liesAsImages(v))) return false;
    const changed = layout.along(node.attributes, order, node);
    if (changed === undefined) return false;
    const refs = inputs.map((v) => (v.shape.length === rank ? this.#images(v) : this.plain(v)));
    const call = {
      op,
      module,
      site,
      attributes: changed.attributes,
      inputs: inputs.map((v) => (v.shape.length === rank ? inNhwc(v) : v)),
      outputs: outputs.map((v) => (changed.images ? inNhwc(v) : v)),
    };
    this.#lower(node, refs, changed.images, call);
    return true;
  }

  /** Lowers an op that moves dimensions. @returns false where the backend has to run it */
  #reorder({ inputs: [x], outputs: [y] }: Node, order: readonly number[]): boolean {
    const rank = order.length;
    if (!(rank in TO_IMAGES)) return false;
    const { shape, dtype } = y!;
    if (this.#liesAsImages(x!)) {
      const lies = this.#images(x!);
      const own = order.map((d) => TO_IMAGES[rank]!.indexOf(d));
      const moved = own.some((d, i) => d !== i);
      this.define(
        y!,
        moved ? this.#backend.transpose(lies, own, dtype) : this.#backend.reshape(lies, shape, dtype),
      );
      return true;
    }
    if (!this.#hasImages || order.some((d, i) => d !== TO_PLAIN[rank]![i])) return false;
    this.#values.set(y!, {
      plain: undefined,
      images: this.#backend.reshape(this.plain(x!), x!.shape, dtype),
    });
    return true;
  }

  #convert({ shape, dtype }: Meta, ref: Ref, orders: Orders): Ref {
    if (isSame({ shape }))
      return this.#backend.reshape(ref, orders === TO_PLAIN ? shape : moved(shape), dtype);
    return this.#backend.transpose(ref, orders[shape.length]!, dtype);
  }
}

const isEmpty = ({ shape }: Value): boolean => shape.includes(0);

/** One channel, or one pixel: the same bytes in both layouts. */
const isSame = ({ shape }: Pick<Meta, "shape">): boolean =>
  shape.length < 3 || shape[1] === 1 || numel(shape.slice(2)) === 1;

/** A shape with its channels last. */
export const moved = ([n, c, ...spatial]: Shape): number[] => [n!, ...spatial, c!];

const inNhwc = ({ shape, dtype }: Meta): Meta => ({ shape: shape.length < 3 ? shape : moved(shape), dtype });

/** The output itself, for a value that has become one. */
export const resolved = (value: Value): Value =>
  value.producer.kind === "node" ? (value.producer.outputs[value.index] ?? value) : value;

export function signatureOf(node: Signature): Signature {
  return { inputs: node.inputs, outputs: node.outputs };
}
