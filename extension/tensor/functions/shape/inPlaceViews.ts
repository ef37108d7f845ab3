// Methods that change a tensor's shape and leave its elements where they are in memory: `x.unsqueeze_(0)`.
import { TensorError } from "../../core/errors.ts";
import { numel } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { noGrad, scope } from "../../recording/scope.ts";
import { setData } from "../creation/data.ts";
import { zeros } from "../creation/creation.ts";
import { requireMatrix, sizesOf, type Dims, type Sizes } from "../pointwise/operands.ts";
import { narrow } from "./parts.ts";
import { cat, reshape, squeeze, t, transpose, unsqueeze } from "./shape.ts";
import { copied } from "./views.ts";

/**
 * The in-place form of a function whose result is a view of all of its input. A parameter or buffer gets memory of its own:
 * views that were made of it before keep the old one.
 */
function turning<F extends (input: Tensor, ...rest: never[]) => Tensor>(view: F): F {
  const f = view as unknown as (input: Tensor, ...rest: readonly unknown[]) => Tensor;
  const form = (input: Tensor, ...rest: readonly unknown[]): Tensor => {
    scope.sample?.checkWrite(input);
    if (input.storage !== undefined && !(scope.gradients && input.requiresGrad)) {
      setData(
        input,
        noGrad(() => copied(f(input, ...rest))),
      );
    } else {
      input.turnInto((former) => f(former, ...rest));
    }
    return input;
  };
  return form as unknown as F;
}

/** In-place `squeeze`. */
export const squeeze_ = turning((input: Tensor, ...dim: number[] | [Dims?]): Tensor =>
  squeeze(input, dim.length > 1 ? (dim as number[]) : dim[0]),
);
/** In-place `unsqueeze`. */
export const unsqueeze_ = turning(unsqueeze);
/** In-place `transpose`. */
export const transpose_ = turning(transpose);
const transposed = turning(t);
/** In-place `t`. */
export function t_(input: Tensor): Tensor {
  requireMatrix("t_()", input);
  return transposed(input);
}
export { transpose_ as swapaxes_, transpose_ as swapdims_ };

const resized = turning((input: Tensor, shape: readonly number[]): Tensor => {
  const flat = reshape(input, [input.numel()]);
  return reshape(narrow(flat, 0, 0, numel(shape)), shape);
});

/**
 * Gives the tensor another shape, whose elements are its first ones in row-major order. Where there are too few, zeros follow, and
 * the tensor no longer shares memory with others.
 * @throws TensorError "cannot resize variables that require grad"
 */
export function resize_(input: Tensor, ...sizes: Sizes): Tensor {
  if (input.requiresGrad) throw new TensorError("autograd", "cannot resize variables that require grad");
  const shape = sizesOf(sizes);
  const missing = numel(shape) - input.numel();
  if (missing <= 0) return resized(input, shape);
  scope.sample?.checkWrite(input);
  const flat = reshape(input, [input.numel()]);
  setData(input, reshape(cat([flat, zeros(missing, { dtype: input.dtype })]), shape));
  return input;
}

/** As `resize_`, to the shape of another tensor. */
export const resizeAs_ = (input: Tensor, other: Tensor): Tensor => resize_(input, other.shape);
