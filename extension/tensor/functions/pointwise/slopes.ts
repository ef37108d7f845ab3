// Gradients of parts of a function that its value doesn't show.
import type { Tensor } from "../../core/tensor.ts";
import { add, mul, where } from "../../ops/elementwise/elementwise.ts";
import { call } from "../../ops/expressions.ts";
import { constant } from "./operands.ts";

/**
 * `result`, to whose gradient that of 0 · unused is added: 0, or NaN where `unused` multiplies by infinity. PyTorch's formulas
 * do the same.
 */
export const alsoOf = (unused: Tensor, result: Tensor): Tensor =>
  call(where, constant(0, "bool"), unused, result);

/** A value that was computed without gradients: those of `inputs` are 0, whatever the inputs are. */
export const stepOf = (result: Tensor, ...inputs: readonly Tensor[]): Tensor =>
  alsoOf(
    inputs.reduce((x, y) => call(add, x, y)),
    result,
  );

/** {@link alsoOf} a product. */
export const alsoOfProduct = (x: Tensor, y: Tensor, result: Tensor): Tensor =>
  alsoOf(call(mul, x, y), result);
