import { reshaped } from "../../tensor/functions/shape/views.ts";
import { matmul as vectorMatmul } from "../../tensor/functions/linalg/linalg.ts";
import { apply } from "../../tensor/recording/apply.ts";
import { promoteTypes, SCALAR_TYPE, type DType } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { C_TYPE, castTo, composed, named } from "../../tensor/functions/pointwise/operands.ts";
import { shift } from "../../tensor/ops/matrix/affine.ts";
import { addBias, matmul } from "../../tensor/ops/matrix/matmul.ts";
import { expand, permute, reshape } from "../../tensor/ops/movement/movement.ts";
import { formatDims, formatShape, numel, requireExpandable, type Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";

/**
 * x Wᵀ + b over the last dimension.
 * @param input [*, in]
 * @param weight [out, in], or [in] for one output
 * @param bias [out], or what expands to the output; for a weight [in] a number
 * @returns [*, out], or [*] for a weight [in]
 * @throws TensorError "addmm: mat1 and mat2 shapes cannot be multiplied (32x100 and 784x128)"
 */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return affine(input, weight, bias, reshaped);
}

/** The one output of a weight [in]. */
function ofVector(input: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  if (bias === null) return vectorMatmul(input, weight);
  return composed(() => {
    const y = vectorMatmul(input, weight);
    return named(apply(shift, [y, converted(bias, y.dtype)], {}), "AddBackward0");
  });
}

/** `linear` of a copy, which PyTorch makes of what it has transposed: the input may be written to before `backward()`. */
export const linearOfCopy = (input: Tensor, weight: Tensor, bias: Tensor | null): Tensor =>
  affine(input, weight, bias, (x, shape) => apply(reshape, [x], { shape }));

function affine(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  inRows: (x: Tensor, shape: Shape) => Tensor,
): Tensor {
  checkLinear(input, weight, bias);
  if (weight.ndim === 1) return ofVector(input, weight, bias);
  const { shape } = input;
  const [out, width] = weight.shape as [number, number];
  if (shape.length === 2) return product(input, weight, bias);
  if (bias !== null && bias.shape.filter((n) => n !== 1).length > 1)
    return broadcastBias(input, weight, bias);
  return composed(() => {
    const rows = inRows(input, [numel(shape.slice(0, -1)), width]);
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
  return composed(() => named(withBias(apply(matmul, [x, weight], transposes), bias), "AddmmBackward0"));
}

/** Adds a bias to a matrix: any shape that expands to the matrix's, as in PyTorch's addmm. */
function withBias(x: Tensor, bias: Tensor): Tensor {
  if (bias.dtype !== x.dtype) {
    throw new TensorError(
      "dtype",
      `self and mat2 must have the same dtype, but got ${SCALAR_TYPE[bias.dtype]} and ${SCALAR_TYPE[x.dtype]}`,
    );
  }
  if (bias.ndim === 1 && bias.shape[0] === x.shape[1]) return apply(addBias, [x, bias], {});
  if (bias.ndim > 2) {
    throw new TensorError(
      "shape",
      `expand(torch.FloatTensor{${formatShape(bias.shape)}}, size=${formatShape(x.shape)}): the number of sizes provided (2) must be greater or equal to the number of dimensions in the tensor (${bias.ndim})`,
    );
  }
  return apply(shift, [x, apply(expand, [bias], { shape: x.shape })], {});
}

/** A bias that differs from row to row: PyTorch adds it in place to the product. */
function broadcastBias(input: Tensor, weight: Tensor, bias: Tensor): Tensor {
  return composed(() => {
    const y = linear(input, weight);
    requireExpandable(bias.shape, y.shape);
    return named(apply(shift, [y, converted(bias, y.dtype)], {}), "AddBackward0");
  });
}

/** A bias that is added in place to a product of a type. */
function converted(bias: Tensor, dtype: DType): Tensor {
  if (promoteTypes(bias.dtype, dtype) === dtype) return castTo(bias, dtype);
  throw new TensorError(
    "dtype",
    `result type ${SCALAR_TYPE[bias.dtype]} can't be cast to the desired output type ${SCALAR_TYPE[dtype]}`,
  );
}

/** @throws TensorError unless the input can be multiplied by the weight */
export function checkLinear(input: Tensor, weight: Tensor, bias: Tensor | null): void {
  if (input.ndim === 0 || weight.ndim === 0) {
    throw new TensorError(
      "shape",
      `both arguments to linear need to be at least 1D, but they are ${input.ndim}D and ${weight.ndim}D`,
    );
  }
  if (input.dtype !== weight.dtype) {
    throw new TensorError(
      "dtype",
      bias === null
        ? `expected m1 and m2 to have the same dtype, but got: ${C_TYPE[input.dtype]} != ${C_TYPE[weight.dtype]}`
        : `mat1 and mat2 must have the same dtype, but got ${SCALAR_TYPE[input.dtype]} and ${SCALAR_TYPE[weight.dtype]}`,
    );
  }
  if (weight.ndim > 2) {
    throw new TensorError("shape", `t() expects a tensor with <= 2 dimensions, but self is ${weight.ndim}D`);
  }
  if (weight.ndim === 1) {
    if (bias === null || (bias.ndim === 0 && input.ndim !== 2)) return;
    throw new TensorError("shape", "addmm: mat2 must be a matrix, got 1-D tensor");
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

/**
 * y_o = x₁ᵀ W_o x₂ + b_o over the last dimensions.
 * @param input1 [*, in1]
 * @param input2 [*, in2]
 * @param weight [out, in1, in2]
 * @param bias [out]
 * @returns [*, out]
 * @throws TensorError "bilinear(): input1 size does not match weight size: got 3 but expected 4"
 */
export function bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  checkBilinear(input1, input2, weight, bias);
  const [out, in1, in2] = weight.shape as [number, number, number];
  const lead = input1.shape.slice(0, -1);
  return composed(() => {
    const rows = numel(lead);
    const plain = { transposeA: false, transposeB: false };
    const first = reshaped(input1, [rows, in1]);
    const turned = apply(permute, [weight], { order: [1, 0, 2] });
    const maps = apply(matmul, [first, reshaped(turned, [in1, out * in2])], plain);
    const columns = reshaped(input2, [rows, in2, 1]);
    const product = apply(matmul, [apply(reshape, [maps], { shape: [rows, out, in2] }), columns], plain);
    const sums = apply(reshape, [product], { shape: [rows, out] });
    const y = bias === null ? sums : apply(addBias, [sums, bias], {});
    const gradient = bias === null ? "ViewBackward0" : "AddBackward0";
    return named(apply(reshape, [y], { shape: [...lead, out] }), gradient);
  });
}

function checkBilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | null): void {
  const refuse = (message: string): never => {
    throw new TensorError("shape", `bilinear(): ${message}`);
  };
  if (input1.ndim !== input2.ndim) {
    refuse(`input dimensions do not match: got ${input1.ndim} and ${input2.ndim}`);
  }
  input1.shape.slice(0, -1).forEach((n, d) => {
    if (n !== input2.shape[d]) {
      refuse(`input batch dimensions do not match at dim ${d}: got ${n} and ${input2.shape[d]}`);
    }
  });
  for (const [i, input] of [input1, input2].entries()) {
    const [got, expected] = [input.shape[input.ndim - 1], weight.shape[i + 1]];
    if (got !== expected) {
      refuse(`input${i + 1} size does not match weight size: got ${got} but expected ${expected}`);
    }
  }
  const types = { input1, input2, weight, ...(bias === null ? {} : { bias }) };
  if (Object.values(types).some(({ dtype }) => dtype !== input1.dtype)) {
    const got = Object.entries(types).map(([name, { dtype }]) => `${name}: ${C_TYPE[dtype]}`);
    throw new TensorError("dtype", `All tensors must have the same dtype, got ${got.join(", ")}`);
  }
  if (bias !== null && bias.shape[0] !== weight.shape[0]) {
    refuse(`bias size does not match weight size: got ${bias.shape[0]} but expected ${weight.shape[0]}`);
  }
}
