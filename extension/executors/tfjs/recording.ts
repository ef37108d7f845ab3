import { allocate, type DType } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import { costOf, type Op, type Signature, type Tfjs } from "../../tensor/recording/op.ts";
import { worthLoop, type PlainKernel } from "../../tensor/planning/plain.ts";
import { demandMemory } from "../../tensor/core/memory.ts";
import { formatShape, numel, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { errorOf, naming, type Refusing } from "../errors.ts";
import { Lowering, signatureOf, type Backend, type Call } from "../nhwc.ts";
import { Slot } from "./slots.ts";

/** Above this rank, tfjs's kernels return wrong numbers without an error. */
const MAX_RANK = 6;

/** A leaf of a plan, and its slot. */
export interface Fed {
  readonly slot: Slot;
  readonly value: Value;
}

/** A node as errors name it, without its values: the call is repeated in later steps. */
const placeOf = ({ op, module, site }: Call): Refusing => ({ op, module, site });

/** Runs the calls for a plan, one after the other, and records them so that they can be repeated. */
export class Recording implements Backend<Slot> {
  readonly calls: (() => void)[] = [];
  readonly fed: Fed[] = [];
  readonly lowering = new Lowering<Slot>(this);
  readonly #k: Tfjs;
  readonly #feed: (slot: Slot, value: Value) => void;
  readonly #loops: boolean;

  /**
   * @param feed brings a value to its slot
   * @param loops whether small tensors are computed by loops
   */
  constructor(k: Tfjs, feed: (slot: Slot, value: Value) => void, loops: boolean) {
    this.#k = k;
    this.#feed = feed;
    this.#loops = loops;
  }

  leaf(value: Value): Slot {
    const slot = new Slot(value.shape, value.dtype);
    this.#feed(slot, value);
    this.fed.push({ slot, value });
    return slot;
  }

  lower(node: Call, inputs: readonly Slot[]): readonly Slot[] {
    const { op } = node;
    const loop = this.#loopOf(op, node, inputs);
    return loop === undefined ? this.#kernels(op, node, inputs) : this.#looped(loop, node, inputs);
  }

  empty(shape: Shape, dtype: DType): Slot {
    const slot = new Slot(shape, dtype);
    slot.set(allocate(dtype, 0), undefined);
    this.#add(() => void (slot.tensor = undefined));
    return slot;
  }

  transpose(x: Slot, order: readonly number[], dtype: DType): Slot {
    const k = this.#k;
    const shape = order.map((d) => x.shape[d]!);
    // tfjs's kernel divides by the size.
    if (numel(shape) === 0) return this.empty(shape, dtype);
    const slot = new Slot(shape, dtype);
    this.#add(() => slot.set(undefined, k.transpose(x.onBackend(k), [...order])));
    return slot;
  }

  reshape(x: Slot, shape: Shape, dtype: DType): Slot {
    const k = this.#k;
    const slot = new Slot(shape, dtype);
    this.#add(() => slot.set(undefined, k.reshape(x.onBackend(k), [...shape])));
    return slot;
  }

  #add(call: () => void): void {
    call();
    this.calls.push(call);
  }

  /** Returns the loop that computes a node, where it is known to be faster than kernels. */
  #loopOf(op: Op<object>, node: Call, inputs: readonly Slot[]): PlainKernel | undefined {
    if (!this.#loops || op.plain === undefined) return undefined;
    // Only kernels take images with channels last.
    if (!inputs.every((slot, i) => sameShape(slot.shape, node.inputs[i]!.shape))) return undefined;
    const signature: Signature = signatureOf(node);
    const { attributes } = node;
    const calls = op.calls?.(signature, attributes) ?? 1;
    const worth = { cost: costOf(node), calls, moves: op.keepsElements === true };
    return worthLoop(signature, worth) ? op.plain(signature, attributes) : undefined;
  }

  #looped(loop: PlainKernel, node: Call, inputs: readonly Slot[]): Slot[] {
    const k = this.#k;
    const at = placeOf(node);
    const outputs = node.outputs.map(({ shape, dtype }) => {
      const slot = new Slot(shape, dtype, true);
      slot.array = allocate(dtype, numel(shape));
      return slot;
    });
    const from = inputs.map((slot) => slot.array!);
    const to = outputs.map((slot) => slot.array!);
    this.#add(() => {
      for (let i = 0; i < inputs.length; i++) from[i] = inputs[i]!.onHost(k);
      for (let i = 0; i < outputs.length; i++) {
        to[i] = outputs[i]!.array!;
        outputs[i]!.tensor = undefined;
      }
      try {
        loop(from, to);
      } catch (error) {
        throw errorOf(at, error);
      }
    });
    return outputs;
  }

  #kernels(op: Op<object>, node: Call, inputs: readonly Slot[]): Slot[] {
    const k = this.#k;
    const deep = node.outputs.find((v) => v.shape.length > MAX_RANK);
    if (deep !== undefined) {
      throw new TensorError(
        "unsupported",
        `${op.name}: the ${k.getBackend()} backend has tensors of up to ${MAX_RANK} dimensions, got ${formatShape(deep.shape)}`,
        "the native engine takes up to 8 everywhere: layerwise engine install",
      );
    }
    // Beyond it, the backend's own sizes wrap around.
    for (const { shape } of node.outputs) demandMemory(shape);
    const { attributes } = node;
    const at = placeOf(node);
    const signature = signatureOf(node);
    const results = (): ReturnType<typeof op.tfjs> =>
      op.tfjs(
        k,
        inputs.map((slot) => slot.onBackend(k)),
        attributes,
        signature,
      );
    let slots: Slot[] | undefined;
    this.#add(() => {
      const made = naming(at, results);
      const tensors = "shape" in made ? [made] : made;
      slots ??= tensors.map(({ shape }, i) => new Slot(shape, node.outputs[i]!.dtype));
      for (let i = 0; i < slots.length; i++) {
        slots[i]!.set(undefined, tensors[i]);
        // Some ops return their input.
        slots[i]!.own = !inputs.some(({ tensor }) => tensor === tensors[i]);
      }
    });
    return slots!;
  }
}
