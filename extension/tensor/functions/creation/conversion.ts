// From tensors to values, to other types, and out of the gradient graph.
import { backward as propagate, type BackwardOptions } from "../../recording/autograd.ts";
import type { DType } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { keepReadable, valuesOf } from "../../planning/barrier.ts";
import { Device, requireCpu, type DeviceLike } from "../../platform/device.ts";
import { checkedDType, isDTypeName, type OtherDType } from "../../platform/checkedDType.ts";
import { strides } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import type { Nested } from "./creation.ts";
import { isclose } from "../pointwise/elementwise.ts";
import { castTo } from "../pointwise/operands.ts";
import { checkOptions, type TensorOptions } from "./options.ts";
import { copied, DetachedView } from "../shape/views.ts";

/**
 * The value of a tensor of one element: a number, or a boolean of a bool tensor. Computes what is pending.
 * @throws TensorError "a Tensor with 6 elements cannot be converted to Scalar"
 */
export function item(input: Tensor): number | boolean {
  if (input.numel() !== 1) {
    throw new TensorError("value", `a Tensor with ${input.numel()} elements cannot be converted to Scalar`);
  }
  const value = valuesOf(input.value)[0]!;
  return input.dtype === "bool" ? value !== 0 : value;
}

/** The values as nested arrays; a number or boolean for a tensor without dimensions. */
export function tolist(input: Tensor): Nested {
  const values = valuesOf(input.value);
  const { shape } = input;
  const steps = strides(shape);
  const convert = input.dtype === "bool" ? (v: number): boolean => v !== 0 : (v: number): number => v;
  const build = (dim: number, at: number): Nested =>
    dim === shape.length
      ? convert(values[at]!)
      : Array.from({ length: shape[dim]! }, (_, i) => build(dim + 1, at + i * steps[dim]!));
  return build(0, 0);
}

/** How PyTorch arranges images in memory. Here the engine chooses that: functions take formats, which change nothing. */
export type MemoryFormat =
  | "torch.contiguous_format"
  | "torch.preserve_format"
  | "torch.channels_last"
  | "torch.channels_last_3d";

/** Named arguments of `to`. */
export interface ToOptions {
  dtype?: DType | OtherDType;
  device?: DeviceLike | null;
  /** Accepted, without effect. */
  nonBlocking?: boolean;
  /** A copy even when nothing changes. Default false. */
  copy?: boolean;
  /** Accepted, without effect. */
  memoryFormat?: MemoryFormat;
}

/** A device, a type, or a tensor that has both; a type after a device; then `nonBlocking` and `copy`. */
export type ToArguments = (
  | DType
  | OtherDType
  | DeviceLike
  | Tensor
  | ToOptions
  | boolean
  | null
  | undefined
)[];

/**
 * @internal Returns the type that the arguments of `to` request, and whether they request a copy.
 * @throws TensorError for a type or device that tensors don't have here
 */
export function target(args: ToArguments): { dtype: DType | undefined; copy: boolean } {
  let dtype: DType | undefined;
  const flags: boolean[] = [];
  let copy = false;
  for (const arg of args) {
    if (arg === undefined || arg === null) continue;
    if (typeof arg === "boolean") flags.push(arg);
    else if (arg instanceof Tensor) dtype = arg.dtype;
    else if (typeof arg === "string" && isDTypeName(arg)) dtype = checkedDType(arg);
    else if (arg instanceof Device || typeof arg !== "object") requireCpu(arg);
    else {
      checkOptions(arg as TensorOptions);
      dtype = (arg.dtype as DType | undefined) ?? dtype;
      copy ||= arg.copy ?? false;
    }
  }
  return { dtype, copy: copy || flags[1] === true };
}

/**
 * The tensor as another type, or as that of another tensor; itself when nothing changes. A device must be the CPU.
 * @throws TensorError "Torch not compiled with CUDA enabled"; for a type that tensors don't have here
 */
export function to(input: Tensor, ...args: ToArguments): Tensor {
  const { dtype, copy } = target(args);
  const result = dtype === undefined ? input : castTo(input, dtype);
  return copy && result === input ? copied(input) : result;
}

/** The tensor itself, which is on the CPU. */
export const cpu = (input: Tensor): Tensor => input;
/** @throws TensorError "Torch not compiled with CUDA enabled" */
export const cuda = (_input: Tensor): never => requireCpu("cuda") as never;
/** The tensor itself: memory is pinned for GPUs. */
export const pinMemory = (input: Tensor): Tensor => input;
/** @throws TensorError: there is no float64 */
export const double = (_input: Tensor): never => checkedDType("float64") as never;
/** @throws TensorError: there is no float16 */
export const half = (_input: Tensor): never => checkedDType("float16") as never;
/** @throws TensorError: there is no bfloat16 */
export const bfloat16 = (_input: Tensor): never => checkedDType("bfloat16") as never;
/** @throws TensorError: there is no int32 */
export const int = (_input: Tensor): never => checkedDType("int32") as never;
/** @throws TensorError: there is no int16 */
export const short = (_input: Tensor): never => checkedDType("int16") as never;
/** @throws TensorError: there is no int8 */
export const char = (_input: Tensor): never => checkedDType("int8") as never;
/** @throws TensorError: there is no uint8 */
export const byte = (_input: Tensor): never => checkedDType("uint8") as never;

/** As float32. */
export const float = (input: Tensor): Tensor => castTo(input, "float32");
/** As int64, fractions cut off. */
export const long = (input: Tensor): Tensor => castTo(input, "int64");
/** As bool: true where not 0. */
export const bool = (input: Tensor): Tensor => castTo(input, "bool");
/** As the type of another tensor. */
export const typeAs = (input: Tensor, other: Tensor): Tensor => castTo(input, other.dtype);

/** The same values in the same memory, without gradient. Values detached in a forward stay readable after the step. */
export function detach(input: Tensor): Tensor {
  const result = detached(input);
  if (input.storage === undefined) keepReadable(result.value);
  return result;
}

/** {@link detach} for the library's own functions, whose intermediate values are not kept. */
export function detached(input: Tensor): Tensor {
  const memory = input.undetached.memoryWithoutGraph((base) => new DetachedView(base));
  return new DetachedView(memory).make();
}

/**
 * Makes this tensor a leaf that requires no gradient.
 * @throws TensorError "Can't detach views in-place. Use detach() instead. …"
 */
export function detach_(input: Tensor): Tensor {
  if (input.isView) {
    throw new TensorError(
      "autograd",
      "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() cannot be called on these gradients. To fix this error, please refer to the Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution.",
    );
  }
  input.edge = undefined;
  return input.requiresGrad_(false);
}

/** A copy, through which gradients pass. */
export function clone(input: Tensor): Tensor {
  return copied(input);
}

/**
 * Adds the gradient of this tensor with respect to every leaf that requires one to that leaf's `.grad`.
 * @param gradient of the tensor's shape; may be left out for a scalar
 * @throws TensorError "grad can be implicitly created only for scalar outputs"
 */
export function backward(
  input: Tensor,
  gradient?: Tensor | (BackwardOptions & { gradient?: Tensor }),
  options?: BackwardOptions,
): void {
  if (gradient === undefined || gradient instanceof Tensor) propagate(input, gradient, options);
  else propagate(input, gradient.gradient, gradient);
}

/** Whether two tensors have equal shapes and values: computes both. */
export function equal(input: Tensor, other: Tensor): boolean {
  if (input.ndim !== other.ndim || input.shape.some((n, d) => n !== other.shape[d])) return false;
  const [a, b] = [valuesOf(input.value), valuesOf(other.value)];
  return a.every((x, i) => x === b[i]);
}

/** Whether all values are close: |input − other| ≤ atol + rtol · |other|. Computes both. */
export function allclose(
  input: Tensor,
  other: Tensor,
  options: { rtol?: number; atol?: number; equalNan?: boolean } = {},
): boolean {
  return valuesOf(isclose(input, other, options).value).every((x) => x !== 0);
}

/**
 * Whether the one element of a tensor is not 0: reads it.
 * @throws TensorError "Boolean value of Tensor with more than one value is ambiguous"
 */
export function isNonzero(input: Tensor): boolean {
  if (input.numel() === 0)
    throw new TensorError("value", "Boolean value of Tensor with no values is ambiguous");
  if (input.numel() > 1)
    throw new TensorError("value", "Boolean value of Tensor with more than one value is ambiguous");
  return valuesOf(input.value)[0] !== 0;
}

/** Number of elements. */
export const numel = (input: Tensor): number => input.numel();
/** Whether a tensor has floating-point numbers. */
export const isFloatingPoint = (input: Tensor): boolean => input.dtype === "float32";
