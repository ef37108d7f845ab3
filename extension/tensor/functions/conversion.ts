// From tensors to values, to other types, and out of the gradient graph.
import { backward as propagate, type BackwardOptions } from "../autograd.ts";
import type { DType } from "../dtype.ts";
import { TensorError } from "../errors.ts";
import { valuesOf } from "../runtime.ts";
import { scope } from "../scope.ts";
import { strides } from "../shape.ts";
import { Tensor } from "../tensor.ts";
import type { Nested } from "./creation.ts";
import { isclose } from "./elementwise.ts";
import { castTo } from "./operands.ts";
import { copied, DetachedView } from "./views.ts";

/**
 * The value of a tensor of one element: a number, or a boolean of a bool tensor. Computes what is pending.
 *
 * A type can't know a tensor's dtype: the result is a number unless a boolean is expected (`const b: boolean = …`).
 * @throws TensorError "a Tensor with 6 elements cannot be converted to Scalar"
 */
export function item<T extends number | boolean = number>(input: Tensor): T {
  if (input.numel() !== 1) {
    throw new TensorError("value", `a Tensor with ${input.numel()} elements cannot be converted to Scalar`);
  }
  const value = valuesOf(input.value)[0]!;
  return (input.dtype === "bool" ? value !== 0 : value) as T;
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

/** The tensor as another type, or as that of another tensor; itself when it has that type already. */
export function to(input: Tensor, type: DType | Tensor | { dtype?: DType }): Tensor {
  if (typeof type === "string") return castTo(input, dtypeOf(type));
  return type.dtype === undefined ? input : castTo(input, type.dtype);
}

function dtypeOf(name: string): DType {
  if (name === "float32" || name === "int64" || name === "bool") return name;
  throw new TensorError("dtype", `unknown dtype '${name}': expected float32, int64 or bool`);
}

/** As float32. */
export const float = (input: Tensor): Tensor => castTo(input, "float32");
/** As int64, fractions cut off. */
export const long = (input: Tensor): Tensor => castTo(input, "int64");
/** As bool: true where not 0. */
export const bool = (input: Tensor): Tensor => castTo(input, "bool");
/** As the type of another tensor. */
export const typeAs = (input: Tensor, other: Tensor): Tensor => castTo(input, other.dtype);

/** The same values in the same memory, without gradient. What a forward detaches stays readable after the step. */
export function detach(input: Tensor): Tensor {
  const result = detached(input);
  if (scope.hidden === 0 && result.storage === undefined) result.value.visible = true;
  return result;
}

/** {@link detach} for the library's own functions, whose intermediate values are not kept. */
export function detached(input: Tensor): Tensor {
  return new DetachedView(input.undetached).make();
}

/**
 * Makes this tensor a leaf that wants no gradient.
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
