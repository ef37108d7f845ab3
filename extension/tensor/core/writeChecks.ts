// PyTorch's errors for values that a tensor can't be given.
import { SCALAR_TYPE, type DType } from "./dtype.ts";
import { kindOf, TensorError } from "./errors.ts";
import { scope } from "../recording/scope.ts";
import { formatShape, sameShape, type Shape } from "./shape.ts";
import type { View } from "./view.ts";

interface Typed {
  readonly shape: Shape;
  readonly dtype: DType;
}

interface Viewing extends Typed {
  currentView(): View<Viewing> | undefined;
  viewStrides(): readonly number[] | undefined;
}

/**
 * @param view description of the view that the tensor is, if it is one
 * @param alike whether a tensor that repeats elements of its memory may be written to
 * @throws TensorError when `next` can't be written to a tensor in place
 */
export function checkWrite(
  tensor: Viewing,
  next: Typed,
  view: View<Viewing> | undefined,
  alike: boolean,
): void {
  scope.sample?.checkWrite(tensor);
  if (view !== undefined && !alike) checkDistinct(tensor);
  for (let through = view; through !== undefined; through = through.base.currentView()) {
    if (through.overlaps === true) overlapping();
  }
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

/** @throws TensorError for a tensor that repeats elements of its memory, as expanded ones do */
export function checkDistinct(tensor: Viewing): void {
  const { shape } = tensor;
  const repeats = tensor.viewStrides()?.some((step, d) => step === 0 && shape[d]! > 1) ?? false;
  if (repeats && !shape.includes(0)) overlapping();
}

function overlapping(): never {
  throw new TensorError(
    "value",
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.",
  );
}

/**
 * Returns the tensor, which is to become a parameter.
 * @throws TensorError for a complex tensor: a parameter is one tensor
 */
export function learnable<T extends Typed>(data: T): T {
  if (data.dtype !== "complex64") return data;
  throw new TensorError(
    "unsupported",
    "complex parameters are not supported",
    "keep real numbers of shape [..., 2], nn.Parameter(torch.viewAsReal(z)), and compute with torch.viewAsComplex(this.weight)",
  );
}

/** @throws TensorError when `data` can't be assigned to a tensor that requires gradients */
export function checkData({ dtype }: Typed): void {
  if (dtype === "float32") return;
  throw new TensorError(
    "dtype",
    "data set to a tensor that requires gradients must be floating point or complex dtype",
  );
}

/** @throws TensorError: gradients can't be turned off for a tensor computed from others that require them */
export function noLeaf(): never {
  throw new TensorError(
    "autograd",
    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().",
  );
}

/** @throws TensorError when a tensor's type can't have gradients */
export function checkWantsGradient({ dtype }: Typed): void {
  if (dtype === "float32") return;
  throw new TensorError(
    "autograd",
    "only Tensors of floating point dtype can require gradients",
    dtype === "int64"
      ? "JavaScript can't tell 1.0 from 1: whole numbers make an int64 tensor unless you pass { dtype: torch.float32 }"
      : undefined,
  );
}

/** @throws TensorError for a leaf, or a view of one, that is written to while gradients are recorded */
export function leafWritten(isView: boolean): never {
  throw new TensorError(
    "autograd",
    `${isView ? "a view of a" : "a"} leaf Variable that requires grad is being used in an in-place operation.`,
  );
}

/**
 * @param isTensor whether `next` is a tensor at all: the user's program may not be type-checked
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

/** @throws TensorError for a dimension outside the range of a tensor of `ndim` dimensions */
export function outOfRange(dim: number, ndim: number): never {
  const n = Math.max(ndim, 1);
  throw new TensorError(
    "index",
    `Dimension out of range (expected to be in range of [${-n}, ${n - 1}], but got ${dim})`,
  );
}

/** The tensor that a parameter is made of, given by name. */
export function dataOf<T extends Typed>(named: { readonly data: T } | null | undefined): T {
  const data: T | null | undefined = named?.data;
  if (data?.dtype !== undefined) return data;
  throw new TensorError("value", `Parameter(): argument 'data' must be Tensor, not ${kindOf(data ?? named)}`);
}
