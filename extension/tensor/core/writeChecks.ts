// PyTorch's errors for values that a tensor can't be given.
import { SCALAR_TYPE, type DType } from "./dtype.ts";
import { TensorError } from "./errors.ts";
import { scope } from "../recording/scope.ts";
import { formatShape, sameShape, type Shape } from "./shape.ts";

interface Typed {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** @throws TensorError when `next` can't be written to a tensor in place */
export function checkWrite(tensor: Typed, next: Typed): void {
  scope.sample?.checkWrite(tensor);
  if (!sameShape(next.shape, tensor.shape)) {
    throw new TensorError(
      "shape",
      `output with shape ${formatShape(tensor.shape)} doesn't match the broadcast shape ${formatShape(next.shape)}`,
    );
  }
  if (next.dtype !== tensor.dtype) {
    throw new TensorError(
      "dtype",
      `result type ${SCALAR_TYPE[next.dtype]} can't be cast to the desired output type ${SCALAR_TYPE[tensor.dtype]}`,
    );
  }
}

/** @throws TensorError when `data` can't be that of a tensor that requires gradients */
export function checkData({ dtype }: Typed): void {
  if (dtype === "float32") return;
  throw new TensorError(
    "dtype",
    "data set to a tensor that requires gradients must be floating point or complex dtype",
  );
}

/** @throws TensorError for a tensor whose gradients can't be turned off, as it is computed from others that want them */
export function noLeaf(): never {
  throw new TensorError(
    "autograd",
    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().",
  );
}

/** @throws TensorError when a tensor has no type that can have gradients */
export function checkWantsGradient({ dtype }: Typed): void {
  if (dtype === "float32") return;
  throw new TensorError("autograd", "only Tensors of floating point dtype can require gradients");
}

/** @throws TensorError for a leaf, or a view of one, that is written to while gradients are recorded */
export function leafWritten(isView: boolean): never {
  throw new TensorError(
    "autograd",
    `${isView ? "a view of a" : "a"} leaf Variable that requires grad is being used in an in-place operation.`,
  );
}

/**
 * @param isTensor whether `next` is one at all: the user's program may not be type-checked
 * @throws TensorError when `next` can't be the gradient of a tensor
 */
export function checkGradient(tensor: Typed, next: Typed, isTensor: boolean): void {
  scope.sample?.checkWrite(tensor);
  if (!isTensor) {
    throw new TensorError(
      "value",
      `assigned grad expected to be a Tensor or None but got grad of type ${typeof next}`,
    );
  }
  if (next === tensor) throw new TensorError("autograd", "can't assign Variable as its own grad");
  if (!sameShape(next.shape, tensor.shape)) {
    throw new TensorError(
      "shape",
      `attempting to assign a gradient of size '${formatShape(next.shape)}' to a tensor of size '${formatShape(tensor.shape)}'. Please ensure that the gradient and the tensor are the same size`,
    );
  }
}

/** @throws TensorError for a dimension that a tensor of so many doesn't have */
export function outOfRange(dim: number, ndim: number): never {
  const n = Math.max(ndim, 1);
  throw new TensorError(
    "index",
    `Dimension out of range (expected to be in range of [${-n}, ${n - 1}], but got ${dim})`,
  );
}
