// Options of functions that make tensors.
import type { DType } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { requireCpu, type DeviceLike } from "../../platform/device.ts";
import { checkedDType } from "../../platform/checkedDType.ts";
import type { Shape } from "../../core/shape.ts";
import { sizeOf } from "../../core/size.ts";

/** Options of every function that makes a tensor. */
export interface TensorOptions {
  /** Element type. Default float32, unless the values say otherwise. */
  dtype?: DType;
  /** Whether `backward()` fills `.grad`. Default false. */
  requiresGrad?: boolean;
  /** Device of the tensor: "cpu". */
  device?: DeviceLike | null;
  /** Accepted, without effect: memory is pinned for GPUs. */
  pinMemory?: boolean;
}

/** @throws TensorError for a type or device that tensors don't have here */
export function checkOptions(options: Pick<TensorOptions, "dtype" | "device"> | undefined): void {
  if (options === undefined) return;
  const { dtype, device } = options;
  if (dtype !== undefined) checkedDType(dtype);
  if (device !== undefined && device !== null) requireCpu(device);
}

/** Sizes, one by one or as a list, and then options. */
export type SizesAndOptions<O = TensorOptions> =
  | [...sizes: number[]]
  | [...sizes: number[], options: O]
  | [sizes: readonly number[], options?: O];

/** Tells sizes and options apart. */
export function sizesAndOptions<O>(
  args: SizesAndOptions<O>,
  name: string,
): { shape: Shape; options: O | undefined } {
  const list = args as unknown[];
  const last = list[list.length - 1];
  const isOptions = typeof last === "object" && last !== null && !Array.isArray(last);
  const sizes = isOptions || last === undefined ? list.slice(0, -1) : list;
  const shape = (Array.isArray(sizes[0]) ? sizes[0] : sizes) as number[];
  return { shape: checkedSizes(shape, name), options: isOptions ? (last as O) : undefined };
}

/** @throws TensorError when a size is negative or no integer */
export function checkedSizes(shape: readonly number[], name: string): readonly number[] {
  for (const n of shape) {
    if (!Number.isInteger(n)) {
      throw new TensorError("value", `${name}(): sizes must be integers, but got ${String(n)}`);
    }
    if (n < 0) throw new TensorError("value", `${name}: Dimension size must be non-negative.`);
  }
  // The user's own array may change later.
  return sizeOf(shape);
}
