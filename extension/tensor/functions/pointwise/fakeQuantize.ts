// Values as they are after quantization: rounded to a grid and clamped, but still floats. Gradients pass straight through.
import { Function, type FunctionCtx } from "../../differentiation/function.ts";
import { TensorError } from "../../core/errors.ts";
import { Tensor } from "../../core/tensor.ts";
import { valuesOf } from "../../planning/barrier.ts";
import { reshape } from "../shape/shape.ts";
import { add, clamp, mul, sub } from "./arithmetic.ts";
import { ge, isnan, le, logicalAnd, reciprocal, round, where } from "./elementwise.ts";
import { named } from "./operands.ts";

/** The gradient is that of the identity where the rounded value is on the grid, else 0. */
class FakeQuantize extends Function {
  static forward(
    ctx: FunctionCtx,
    input: Tensor,
    scale: Tensor | number,
    zeroPoint: Tensor | number,
    quantMin: number,
    quantMax: number,
  ): Tensor {
    // PyTorch multiplies by the reciprocal, whose last bit may differ from the quotient's.
    const inverse = typeof scale === "number" ? Math.fround(1 / Math.fround(scale)) : reciprocal(scale);
    const grid = add(round(mul(input, inverse)), zeroPoint);
    ctx.saveForBackward(logicalAnd(ge(grid, quantMin), le(grid, quantMax)));
    const inside = where(isnan(grid), quantMin, clamp(grid, quantMin, quantMax));
    return mul(sub(inside, zeroPoint), scale);
  }

  static backward(ctx: FunctionCtx, grad: Tensor): (Tensor | null)[] {
    const [inside] = ctx.savedTensors;
    return [mul(grad, inside!), null, null, null, null];
  }
}

function fail(text: string): never {
  throw new TensorError("value", text);
}

function checkRange(quantMin: number, quantMax: number): void {
  if (quantMin > quantMax) fail("`quant_min` should be less than or         equal to `quant_max`.");
}

function checkZeroPoints(points: ArrayLike<number>, quantMin: number, quantMax: number): void {
  for (const point of Array.from(points)) {
    if (point < quantMin || point > quantMax)
      fail("`zero_point` must be between `quant_min` and `quant_max`.");
  }
}

/**
 * Rounds a tensor to the grid of a quantized type, as quantization-aware training does: `(clamp(round(x / scale) + zeroPoint, quantMin,
 * quantMax) − zeroPoint) · scale`. The gradient is that of the identity where the rounded value lies between the bounds, else 0.
 *
 * ```ts
 * torch.fakeQuantizePerTensorAffine(torch.tensor([0.26, 3]), 0.1, 0, -8, 7); // [0.3, 0.7]
 * ```
 * @param scale the grid's step: a number, or a tensor of one element
 * @param zeroPoint the grid's number of the value 0: a whole number, or a tensor of one element
 * @throws TensorError "`zero_point` must be between `quant_min` and `quant_max`."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fake_quantize_per_tensor_affine.html
 */
export function fakeQuantizePerTensorAffine(
  input: Tensor,
  scale: Tensor | number,
  zeroPoint: Tensor | number,
  quantMin: number,
  quantMax: number,
): Tensor {
  checkRange(quantMin, quantMax);
  const tensors = [scale, zeroPoint].filter((x) => x instanceof Tensor);
  for (const one of tensors) {
    if (one.numel() !== 1) fail(`a Tensor with ${one.numel()} elements cannot be converted to Scalar`);
  }
  if (typeof zeroPoint === "number") checkZeroPoints([zeroPoint], quantMin, quantMax);
  const one = (x: Tensor | number): Tensor | number => (x instanceof Tensor ? reshape(x.detach(), []) : x);
  const y = FakeQuantize.apply(input, one(scale), one(zeroPoint), quantMin, quantMax);
  const qparams = tensors.length > 0 ? "TensorQparams" : "";
  return named(y, `FakeQuantizePerTensorAffineCachemask${qparams}Backward0`);
}

/**
 * {@link fakeQuantizePerTensorAffine} with a scale and a zero point for each index of dimension `axis`, such as the output
 * channels of a weight.
 *
 * ```ts
 * torch.fakeQuantizePerChannelAffine(weight, scales, torch.zeros(scales.size(0), { dtype: torch.int64 }), 0, -128, 127);
 * ```
 * @throws TensorError "scale and zero-point need to have the same dimensions"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fake_quantize_per_channel_affine.html
 */
export function fakeQuantizePerChannelAffine(
  input: Tensor,
  scale: Tensor,
  zeroPoint: Tensor,
  axis: number,
  quantMin: number,
  quantMax: number,
): Tensor {
  if (scale.ndim !== 1) fail("scale should be a 1-D tensor");
  if (zeroPoint.ndim !== 1) fail("zero point should be a 1-D tensor");
  if (scale.numel() !== zeroPoint.numel()) fail("scale and zero-point need to have the same dimensions");
  checkRange(quantMin, quantMax);
  if (zeroPoint.dtype === "int64") checkZeroPoints(valuesOf(zeroPoint.value), quantMin, quantMax);
  if (axis < 0 || axis > input.ndim) fail("`axis` must be between 0 and number of dimensions of input");
  if (scale.numel() !== input.size(axis))
    fail("dimensions of scale and zero-point are not consistent with input tensor");
  const along = (x: Tensor): Tensor =>
    reshape(
      x.detach(),
      input.shape.map((_, d) => (d === axis ? -1 : 1)),
    );
  const y = FakeQuantize.apply(input, along(scale), along(zeroPoint), quantMin, quantMax);
  return named(y, "FakeQuantizePerChannelAffineCachemaskBackward0");
}
