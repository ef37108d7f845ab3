import type { NativeBinding } from "../../native/binding.ts";
import { allocate, type DType, type HostArray } from "../../tensor/core/dtype.ts";
import { internal } from "../../tensor/core/errors.ts";
import type { Meta } from "../../tensor/core/meta.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import { attr, type TfBuilder, type TfRef } from "../../tensor/lowering/lowering.ts";
import { reshapeNode, transposeNode } from "../../tensor/lowering/nodes.ts";
import { leafData } from "../../tensor/planning/barrier.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import type { Tfjs } from "../../tensor/recording/op.ts";
import { naming } from "../errors.ts";
import { tensorOf, type NodeRunner } from "../interpreter.ts";
import { moved, TO_IMAGES, type Call } from "../nhwc.ts";
import { Recording } from "../tfjs/recording.ts";
import { Slot } from "../tfjs/slots.ts";
import type { LazyValues } from "./lazyValues.ts";
import { byOwnKernels, type Input } from "./oneNode.ts";
import { upload, type StorageMemory } from "./storages.ts";

/**
 * Computes nodes one after the other: with the binding's own kernels, and those that have none there, or are refused, with tfjs's
 * cpu backend, whose errors say why.
 */
export class KernelRunner implements NodeRunner<Input> {
  count = 0;
  readonly #binding: NativeBinding;
  readonly #threads: number;
  readonly #storages: StorageMemory;
  readonly #lazy: LazyValues;
  readonly #tfjs: () => Tfjs;
  readonly #made = new Set<number>();

  constructor(
    binding: NativeBinding,
    threads: number,
    storages: StorageMemory,
    lazy: LazyValues,
    tfjs: () => Tfjs,
  ) {
    this.#binding = binding;
    this.#threads = threads;
    this.#storages = storages;
    this.#lazy = lazy;
    this.#tfjs = tfjs;
  }

  leaf(value: Value): Input {
    const { shape, dtype } = value;
    const id = tensorOf(value, this.#storages, this.#lazy);
    return id === undefined ? this.#upload(leafData(value), value) : { id, shape, dtype };
  }

  lower(call: Call, inputs: readonly Input[], asImages = false): readonly Input[] {
    const { op, attributes } = call;
    const own = naming(call, () =>
      this.#own(
        inputs,
        (b, refs) => {
          const result = op.tensorflow(b, refs, attributes, call);
          return Array.isArray(result) ? (result as readonly TfRef[]) : [result as TfRef];
        },
        call.outputs.map(({ shape, dtype }) => ({
          shape: asImages && shape.length in TO_IMAGES ? moved(shape) : shape,
          dtype,
        })),
      ),
    );
    return own ?? this.#byTfjs(inputs, (recording, slots) => recording.lower(call, slots));
  }

  empty(shape: Shape, dtype: DType): Input {
    return this.#upload(allocate(dtype, 0), { shape, dtype });
  }

  transpose(x: Input, order: readonly number[], dtype: DType): Input {
    const shape = order.map((d) => x.shape[d]!);
    const own = this.#own([x], (b, [ref]) => [transposeNode(b, ref!, order, attr.type(dtype))], [
      { shape, dtype },
    ]);
    return (own ?? this.#byTfjs([x], (recording, [slot]) => [recording.transpose(slot!, order, dtype)]))[0]!;
  }

  reshape(x: Input, shape: Shape, dtype: DType): Input {
    const own = this.#own([x], (b, [ref]) => [reshapeNode(b, ref!, shape, attr.type(dtype))], [
      { shape, dtype },
    ]);
    return (own ?? this.#byTfjs([x], (recording, [slot]) => [recording.reshape(slot!, shape, dtype)]))[0]!;
  }

  read({ id }: Input): HostArray {
    return this.#binding.tensorDataSync(id) as HostArray;
  }

  free({ id }: Input): void {
    if (this.#made.delete(id)) this.#binding.deleteTensor(id);
  }

  take(x: Input): number {
    // A value taken twice needs an id of its own for each owner.
    return this.#made.delete(x.id) ? x.id : upload(this.#binding, this.read(x), x.shape, x.dtype);
  }

  release(): void {
    for (const id of this.#made) this.#binding.deleteTensor(id);
    this.#made.clear();
  }

  /** @returns the outputs; undefined where no kernel has the node, or one refuses its inputs */
  #own(
    inputs: readonly Input[],
    write: (b: TfBuilder, refs: readonly TfRef[]) => readonly TfRef[],
    outputs: readonly Meta[],
  ): readonly Input[] | undefined {
    this.count++;
    const ids = byOwnKernels(this.#binding, this.#threads, inputs, write);
    return ids && outputs.map((meta, i) => this.#owned(ids[i]!, meta));
  }

  #byTfjs(
    inputs: readonly Input[],
    run: (recording: Recording, slots: readonly Slot[]) => readonly Slot[],
  ): readonly Input[] {
    const k = this.#tfjs();
    const slots = inputs.map((x) => {
      const slot = new Slot(x.shape, x.dtype);
      slot.set(this.read(x), undefined);
      return slot;
    });
    let made: Input[] = [];
    k.tidy(() => {
      const recording = new Recording(k, () => internal("a leaf inside a node"), true);
      made = run(recording, slots).map((slot) => this.#upload(slot.copy(k), slot));
    });
    return made;
  }

  #upload(data: HostArray, meta: Meta): Input {
    return this.#owned(upload(this.#binding, data, meta.shape, meta.dtype), meta);
  }

  #owned(id: number, { shape, dtype }: Meta): Input {
    this.#made.add(id);
    return { id, shape, dtype };
  }
}
