import type * as tfjs from "@tensorflow/tfjs-core";
import { allocate, type DType, type HostArray } from "../../tensor/core/dtype.ts";
import { beyond32Bits } from "../../tensor/core/errors.ts";
import type { Meta, Tfjs } from "../../tensor/recording/op.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";
import { LARGE_ELEMENTS } from "../tuning.ts";

const TYPE: Record<DType, "float32" | "int32" | "bool"> = {
  float32: "float32",
  int64: "int32",
  bool: "bool",
  complex64: "float32",
};

/** Where the value of a storage is: on the host, on the backend, or on both. It owns its array and tensor. */
export interface Residence {
  array: HostArray | undefined;
  tensor: tfjs.Tensor | undefined;
}

/** A value of the running plan: on the host, on the backend, or on both. It is moved where it is needed. */
export class Slot {
  array: HostArray | undefined;
  tensor: tfjs.Tensor | undefined;
  /** Residence of the storage that it was read from: tensors made of it stay there for the next step. */
  home: Residence | undefined;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Whether a loop writes the array: the same each time, unless a caller takes it. */
  readonly looped: boolean;
  /** Whether the plan made it and owns it alone. */
  own: boolean;

  constructor(shape: Shape, dtype: DType, looped = false) {
    this.shape = shape;
    this.dtype = dtype;
    this.looped = looped;
    this.own = looped;
  }

  set(array: HostArray | undefined, tensor: tfjs.Tensor | undefined, home?: Residence): void {
    this.array = array;
    this.tensor = tensor;
    this.home = home;
  }

  /** Returns the values on the host, which must not be changed. */
  onHost(k: Tfjs): HostArray {
    if (this.array === undefined) {
      this.array = copyOf(k, this.tensor!, this.dtype);
      if (this.home !== undefined) this.home.array = this.array;
    }
    return this.array;
  }

  /** Returns the values as a tensor of the backend. */
  onBackend(k: Tfjs): tfjs.Tensor {
    if (this.tensor === undefined) {
      this.tensor = upload(k, this.array!, this);
      const { home } = this;
      if (home !== undefined) {
        home.tensor = k.keep(this.tensor);
        if (this.tensor.size > LARGE_ELEMENTS) home.array = this.array = undefined;
      }
    }
    return this.tensor;
  }

  /** Returns a copy, which later runs don't change. */
  copy(k: Tfjs): HostArray {
    return this.array === undefined ? copyOf(k, this.tensor!, this.dtype) : this.array.slice();
  }
}

/** Whether a tensor shares memory with the arrays that it is made of or read into: the cpu backend copies nothing. */
const shares = (k: Tfjs): boolean => k.getBackend() === "cpu";

/** A copy of a tensor's values: the backend's own memory moves when it grows. */
export function copyOf(k: Tfjs, t: tfjs.Tensor, dtype: DType): HostArray {
  const data = t.dataSync() as HostArray;
  if (!shares(k)) return data;
  if (dtype === "float32") return Float32Array.from(data);
  return dtype === "int64" ? Int32Array.from(data) : Uint8Array.from(data);
}

/** @throws TensorError for integers of more than 32 bits */
export function computable(data: HostArray): HostArray {
  if (!(data instanceof Float64Array)) return data;
  if (data.some((x) => x < -(2 ** 31) || x >= 2 ** 31)) throw beyond32Bits();
  return Int32Array.from(data);
}

/** An array of one number. */
export const filled = (value: number, { shape, dtype }: Meta): HostArray =>
  allocate(dtype, numel(shape)).fill(value);

export function upload(k: Tfjs, array: HostArray, { shape, dtype }: Meta): tfjs.Tensor {
  if (array.length === 0) return k.zeros([...shape], TYPE[dtype]);
  return k.tensor(shares(k) ? array.slice() : array, [...shape], TYPE[dtype]);
}
