// Tensors of one file that share memory: tied weights, slices of one tensor.
import { PthTensor, type PthStorage, type PthValue } from "../../formats/pth/pth.ts";
import { DTYPE_BYTES, type TensorEntry } from "../../formats/tensorData.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { detach } from "../../tensor/functions/creation/conversion.ts";
import { narrow } from "../../tensor/functions/shape/parts.ts";
import { reshape } from "../../tensor/functions/shape/shape.ts";
import { asStrided, placeOf, rootOf, type Placed } from "../../tensor/functions/shape/strided.ts";

/** Instances of a class in a value, each once. */
function instancesIn<T extends object>(value: unknown, Class: abstract new (...args: never[]) => T): Set<T> {
  const found = new Set<T>();
  // Grows while it is iterated; values may be nested deeper than calls can be.
  const reached = new Set<unknown>([value]);
  for (const one of reached) {
    if (typeof one !== "object" || one === null || ArrayBuffer.isView(one)) continue;
    if (one instanceof Class) found.add(one);
    else if (one instanceof Map || one instanceof Set) for (const inside of one.values()) reached.add(inside);
    else for (const inside of Object.values(one)) reached.add(inside);
  }
  return found;
}

/** Where tensors of a value are in memory, if another tensor of the value is in the same memory. */
export function sharedPlaces(value: unknown): ReadonlyMap<Tensor, Placed> {
  const byRoot = new Map<Tensor, Tensor[]>();
  for (const tensor of instancesIn(value, Tensor)) {
    if (tensor.dtype === "complex64") continue;
    const root = rootOf(tensor);
    const known = byRoot.get(root);
    if (known === undefined) byRoot.set(root, [tensor]);
    else known.push(tensor);
  }
  const places = new Map<Tensor, Placed>();
  for (const sharing of byRoot.values()) {
    if (sharing.length === 1) continue;
    for (const tensor of sharing) {
      const place = placeOf(tensor);
      if (place !== undefined) places.set(tensor, place);
    }
  }
  return places;
}

/** Tensors of one storage. */
interface Sharing {
  readonly tensors: Set<PthTensor>;
  /** Whether all are the same places of it. */
  twins: boolean;
  /** What they are views of, once one was asked for: all of the storage, or the first of twins. */
  memory?: Tensor;
}

/** The storages of a file that several of its tensors are views of. */
export class SharedStorages {
  readonly #byStorage = new Map<PthStorage, Sharing>();
  readonly #convert: (entry: TensorEntry) => Tensor;

  constructor(value: PthValue, convert: (entry: TensorEntry) => Tensor) {
    this.#convert = convert;
    for (const stored of instancesIn(value, PthTensor)) {
      // A parameter has memory of its own here.
      if (stored.parameter || stored.requiresGrad || stored.numel === 0) continue;
      const known = this.#byStorage.get(stored.storage);
      const [first] = known?.tensors ?? [];
      if (known === undefined || first === undefined)
        this.#byStorage.set(stored.storage, { tensors: new Set([stored]), twins: true });
      else if (first.dtype === stored.dtype) {
        known.tensors.add(stored);
        known.twins &&= isTwin(first, stored);
      }
    }
  }

  /** The tensor as a view of what it shares memory with; undefined for one that shares none. */
  tensor(stored: PthTensor, name: string): Tensor | undefined {
    const { storage, shape, strides, offset, dtype } = stored;
    const sharing = this.#byStorage.get(storage);
    if (sharing === undefined || sharing.tensors.size === 1 || !sharing.tensors.has(stored)) return undefined;
    const { twins, memory } = sharing;
    if (twins)
      return memory === undefined ? (sharing.memory = this.#convert(stored.entry(name))) : detach(memory);
    const count = storage.byteLength / DTYPE_BYTES[dtype];
    const all = (sharing.memory ??= this.#convert({ name, dtype, shape: [count], data: storage.read() }));
    if (!stored.contiguous) return asStrided(all, shape, strides, offset);
    return reshape(narrow(all, 0, offset, stored.numel), shape);
  }
}

/** Whether two tensors are the same places of one storage. */
const isTwin = (a: PthTensor, b: PthTensor): boolean =>
  a.offset === b.offset && a.shape.join() === b.shape.join() && a.strides.join() === b.strides.join();
