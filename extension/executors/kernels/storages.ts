import type { NativeBinding } from "../../native/binding.ts";
import type { DType, HostArray } from "../../tensor/core/dtype.ts";
import { beyond32Bits, internal } from "../../tensor/core/errors.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";
import { fillNode } from "../../tensor/lowering/nodes.ts";
import { leafData, type Plan } from "../../tensor/planning/barrier.ts";
import type { Leaf, Storage } from "../../tensor/recording/graph.ts";
import { LARGE_ELEMENTS } from "../tuning.ts";
import { DATA_TYPE } from "../dataTypes.ts";
import type { Compute } from "./oneNode.ts";

/** A compiled graph that has storages as its variables. */
export interface VariableHolder {
  /** Returns a tensor with the current value of a variable, when the step under way is done. */
  handle(index: number): number;
}

/** Where a storage's value is: a tensor of the binding, or a variable of a compiled graph. */
export type Residence =
  | { readonly kind: "handle"; id: number }
  | {
      readonly kind: "variable";
      readonly program: VariableHolder;
      readonly index: number;
      handle: number | undefined;
    };

type Handle = Extract<Residence, { kind: "handle" }>;

/** A tensor of the binding with the values of a host array. */
export function upload(binding: NativeBinding, data: HostArray, shape: Shape, dtype: DType): number {
  if (data instanceof Float64Array) {
    const fits = data.every((x) => x >= -(2 ** 31) && x < 2 ** 31);
    if (!fits) throw beyond32Bits();
    return binding.createTensor(shape, DATA_TYPE[dtype], Int32Array.from(data));
  }
  return binding.createTensor(shape, DATA_TYPE[dtype], data);
}

/** Knows where each storage's value is, and frees those of unreachable storages. */
export class StorageMemory {
  readonly #binding: NativeBinding;
  readonly #compute: Compute;
  // Tensors of unreachable storages, freed between calls.
  readonly #abandoned: number[] = [];
  readonly #registry = new FinalizationRegistry<Residence>((r) => {
    if (r.kind === "handle") this.#abandoned.push(r.id);
  });

  /** The registered objects, which are changed in place: registering others takes longer than running a small op. */
  readonly #registered = new WeakMap<Storage, Handle>();

  constructor(binding: NativeBinding, compute: Compute) {
    this.#binding = binding;
    this.#compute = compute;
  }

  freeAbandoned(): void {
    if (this.#abandoned.length === 0) return;
    for (const id of this.#abandoned.splice(0)) this.#binding.deleteTensor(id);
  }

  read(storage: Storage): HostArray {
    return this.#binding.tensorDataSync(this.handle(storage)) as HostArray;
  }

  handle(storage: Storage): number {
    const at = storage.device as Residence | undefined;
    if (at === undefined) {
      const data = storage.host ?? internal("a storage without a value");
      return this.#put(storage, upload(this.#binding, data, storage.shape, storage.dtype));
    }
    if (at.kind === "handle") return at.id;
    return at.handle ?? at.program.handle(at.index);
  }

  left(storage: Storage): void {
    this.#registry.unregister(storage);
    this.#registered.delete(storage);
  }

  /** Makes a tensor the storage's value, and frees the one before. */
  replace(storage: Storage, id: number): void {
    const before = storage.device as Residence | undefined;
    const stale = before?.kind === "handle" ? before.id : before?.handle;
    if (stale !== undefined) this.#binding.deleteTensor(stale);
    this.#put(storage, id);
  }

  #put(storage: Storage, id: number): number {
    const known = this.#registered.get(storage);
    if (known !== undefined) {
      // Data has taken the place of its value.
      if (storage.device !== known) this.#binding.deleteTensor(known.id);
      known.id = id;
      storage.device = known;
      return id;
    }
    const residence: Handle = { kind: "handle", id };
    this.#registry.register(storage, residence, storage);
    this.#registered.set(storage, residence);
    storage.device = residence;
    return id;
  }

  /** Has initial values of storages and draws where they are used, in program order, before anything is computed. */
  prepare({ leaves }: Plan): void {
    for (const value of leaves) {
      const leaf = value.producer;
      const isNew = leaf.kind === "state" && leaf.storage.device === undefined && !this.#fill(leaf);
      if (isNew || leaf.kind === "random") leafData(value);
    }
  }

  /** Makes a large initial value of one number where it will be, without an array of the host. */
  #fill({ storage, version, initial }: Extract<Leaf, { kind: "state" }>): boolean {
    const { shape, dtype } = storage;
    if (initial?.producer.kind !== "fill" || initial.data !== undefined || storage.host !== undefined)
      return false;
    if (storage.version !== version || numel(shape) < LARGE_ELEMENTS) return false;
    const { value } = initial.producer;
    this.#put(
      storage,
      this.#compute([], (b) => fillNode(b, shape, value, dtype)),
    );
    return true;
  }
}
