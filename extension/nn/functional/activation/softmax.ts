import { apply } from "../../../tensor/recording/apply.ts";
import type { DType } from "../../../tensor/core/dtype.ts";
import { castTo, composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { neg } from "../../../tensor/ops/elementwise/elementwise.ts";
import { permute, reshape } from "../../../tensor/ops/movement/movement.ts";
import * as ops from "../../../tensor/ops/reduction/softmax.ts";
import { normalizeDim } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { warnOnce } from "../../warnings.ts";

/** PyTorch's choice where a call leaves the dimension out. */
function implicitDim(name: string, input: Tensor): number {
  warnOnce(
    `Implicit dimension choice for ${name} has been deprecated. Change the call to include dim=X as an argument.`,
  );
  return [0, 1, 3].includes(input.ndim) ? 0 : 1;
}

/** An op of the last dimension, applied to any. */
function along(o: typeof ops.softmax, kernel: string, gradient: string, input: Tensor, dim: number): Tensor {
  if (input.dtype !== "float32") notImplemented(kernel, input.dtype);
  const at = normalizeDim(dim, input.ndim);
  if (at === Math.max(input.ndim - 1, 0) && input.ndim > 0) return named(apply(o, [input], {}), gradient);
  return composed(() => {
    if (input.ndim === 0) {
      const one = apply(o, [apply(reshape, [input], { shape: [1] })], {});
      return named(apply(reshape, [one], { shape: [] }), gradient);
    }
    const order = input.shape.map((_, d) => (d === at ? input.ndim - 1 : d === input.ndim - 1 ? at : d));
    const result = apply(permute, [apply(o, [apply(permute, [input], { order })], {})], { order });
    return named(result, gradient, result);
  });
}

/** eˣ / Σ eˣ along a dimension. */
export function softmax(input: Tensor, dim?: number | null, dtype?: DType | null): Tensor {
  return along(
    ops.softmax,
    "softmax_lastdim_kernel_impl",
    "SoftmaxBackward0",
    castTo(input, dtype ?? input.dtype),
    dim ?? implicitDim("softmax", input),
  );
}

/** ln(softmax(x)) along a dimension, without overflow. */
export function logSoftmax(input: Tensor, dim?: number | null, dtype?: DType | null): Tensor {
  return along(
    ops.logSoftmax,
    "log_softmax_lastdim_kernel_impl",
    "LogSoftmaxBackward0",
    castTo(input, dtype ?? input.dtype),
    dim ?? implicitDim("log_softmax", input),
  );
}

/** softmax(−x) along a dimension. */
export function softmin(input: Tensor, dim?: number | null, dtype?: DType | null): Tensor {
  return composed(() =>
    softmax(apply(neg, [castTo(input, dtype ?? input.dtype)], {}), dim ?? implicitDim("softmin", input)),
  );
}
