import { TensorError } from "../../core/errors.ts";
import type { Tensor } from "../../core/tensor.ts";
import { floorDivide, remainder } from "../pointwise/arithmetic.ts";
import { composed } from "../pointwise/operands.ts";

/**
 * Where flat places lie in a tensor of a shape: one tensor of places for each dimension, in the shape of `indices`.
 *
 * ```ts
 * torch.unravelIndex(torch.tensor([4, 1]), [3, 2]); // [tensor([2, 0]), tensor([0, 1])]
 * ```
 * @param shape lengths of the dimensions, or of the only one
 * @throws TensorError "expected 'indices' to be integer dtype, but got torch.float32"
 */
export function unravelIndex(indices: Tensor, shape: number | readonly number[]): Tensor[] {
  if (indices.dtype !== "int64") {
    throw new TensorError("dtype", `expected 'indices' to be integer dtype, but got torch.${indices.dtype}`);
  }
  const lengths = typeof shape === "number" ? [shape] : shape;
  const text = `(${lengths.join(", ")}${lengths.length === 1 ? "," : ""})`;
  if (lengths.some((length) => length < 0)) {
    throw new TensorError("value", `'shape' cannot have negative values, but got ${text}`);
  }
  if (lengths.includes(0) && indices.numel() > 0) {
    throw new TensorError(
      "value",
      `'shape' cannot have zero dimensions when 'indices' is non-empty, but got ${text}`,
    );
  }
  return lengths.map((length, d) => {
    const step = lengths.slice(d + 1).reduce((product, n) => product * n, 1);
    // No places, so that no length of 0 is divided by.
    return composed(() => remainder(floorDivide(indices, Math.max(step, 1)), Math.max(length, 1)));
  });
}
