import { apply } from "../../tensor/apply.ts";
import { SCALAR_TYPE } from "../../tensor/dtype.ts";
import { TensorError } from "../../tensor/errors.ts";
import { composed, named } from "../../tensor/functions/operands.ts";
import { addBias, matmul } from "../../tensor/ops/matmul.ts";
import { reshape } from "../../tensor/ops/movement.ts";
import { formatDims, numel } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/**
 * x Wᵀ + b over the last dimension.
 * @param input [*, in]
 * @param weight [out, in]
 * @param bias [out]
 * @returns [*, out]
 * @throws TensorError "addmm: mat1 and mat2 shapes cannot be multiplied (32x100 and 784x128)"
 */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  checkLinear(input, weight, bias);
  const { shape } = input;
  const [out, width] = weight.shape as [number, number];
  if (shape.length === 2) return product(input, weight, bias);
  return composed(() => {
    const rows = apply(reshape, [input], { shape: [numel(shape) / Math.max(width, 1), width] });
    const y = product(rows, weight, bias);
    return named(
      apply(reshape, [y], { shape: [...shape.slice(0, -1), out] }),
      bias === null ? "UnsafeViewBackward0" : "ViewBackward0",
    );
  });
}

function product(x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const transposes = { transposeA: false, transposeB: true };
  if (bias === null) return named(apply(matmul, [x, weight], transposes), "MmBackward0");
  return composed(() =>
    named(apply(addBias, [apply(matmul, [x, weight], transposes), bias], {}), "AddmmBackward0"),
  );
}

/** @throws TensorError unless the input can be multiplied by the weight */
export function checkLinear(input: Tensor, weight: Tensor, bias: Tensor | null): void {
  if (input.ndim === 0) {
    throw new TensorError(
      "shape",
      `both arguments to linear need to be at least 1D, but they are 0D and ${weight.ndim}D`,
    );
  }
  if (input.dtype !== weight.dtype) {
    throw new TensorError(
      "dtype",
      `mat1 and mat2 must have the same dtype, but got ${SCALAR_TYPE[input.dtype]} and ${SCALAR_TYPE[weight.dtype]}`,
    );
  }
  const [out, width] = weight.shape as [number, number];
  const last = input.shape[input.ndim - 1]!;
  if (last !== width) {
    const rows = input.numel() / Math.max(last, 1);
    throw new TensorError(
      "shape",
      `${bias === null ? "mm" : "addmm"}: mat1 and mat2 shapes cannot be multiplied (${formatDims([rows, last])} and ${formatDims([width, out])})`,
    );
  }
}
