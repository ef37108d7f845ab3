// Places of values in sorted rows.
import { gatherLast } from "../../ops/movement/elements.ts";
import { call } from "../../ops/expressions.ts";
import type { Tensor } from "../../core/tensor.ts";
import { add, mul } from "../pointwise/arithmetic.ts";
import { le, lt } from "../pointwise/elementwise.ts";
import { castTo, constant } from "../pointwise/operands.ts";
import { FEW_BOUNDARIES } from "../../tuning.ts";
import { sum } from "../reduction/reduction.ts";
import { expand, unsqueeze } from "../shape/shape.ts";

/** The number of elements below each value [..., m] in its sorted row [..., n]; with `right`, of those not above it. */
export function placesIn(sorted: Tensor, values: Tensor, right: boolean): Tensor {
  const below = (elements: Tensor, among: Tensor): Tensor =>
    castTo(right ? le(elements, among) : lt(elements, among), "int64");
  const n = sorted.shape.at(-1)!;
  if (n <= FEW_BOUNDARIES) return sum(below(unsqueeze(sorted, -2), unsqueeze(values, -1)), -1);
  let place = expand(constant(0, "int64"), values.shape);
  // Halves all rows at once: of `left` elements from `place` on, the first ones are below the value.
  for (let left = n; left > 1;) {
    const half = left >> 1;
    place = add(place, mul(below(call(gatherLast, sorted, add(place, half - 1)), values), half));
    left -= half;
  }
  return add(place, below(call(gatherLast, sorted, place), values));
}
