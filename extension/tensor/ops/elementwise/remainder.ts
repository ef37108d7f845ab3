import type { Tensor } from "../../core/tensor.ts";
import type { OnnxRef } from "../../lowering/onnx.ts";
import type { Op } from "../../recording/op.ts";
import { call, constant } from "../expressions.ts";
import { divisor, elementwise, mappedPairs, onnxFloorDiv } from "./declare.ts";
import { abs, div, eq, isnan, mul, neg, round, sub, where } from "./elementwise.ts";

function remainderOf(x: number, y: number): number {
  const rest = x % y;
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
}

/** ⌊x / y⌋ by the remainder: x / y may be rounded up to a whole number. */
function floorOfQuotient(x: Tensor, y: Tensor): Tensor {
  const rest = call(remainder, x, y);
  const quotient = call(div, x, y);
  const whole = call(round, call(div, call(sub, x, rest), y));
  // Nothing is left of infinity but what an infinite divisor was added to.
  const ofInfinite = call(
    where,
    call(eq, x, rest),
    constant(0),
    call(where, call(isnan, rest), rest, constant(-1)),
  );
  const infinite = call(eq, call(abs, y), constant(Infinity));
  const finite = call(where, call(eq, y, constant(0)), quotient, whole);
  return call(where, infinite, ofInfinite, finite);
}

/** Remainder with the sign of the divisor, as Python's `%`. */
export const remainder: Op<object> = elementwise({
  name: "remainder",
  tensorflow: "FloorMod",
  onnx: (b, [x, y], a, s) =>
    b.node("Sub", [x!, b.node("Mul", [onnxFloorDiv(b, [x!, y!], a, s) as OnnxRef, y!])]),
  // tfjs's kernels are NaN for infinite divisors.
  tfjs: (k, x, y) => (x.dtype === "float32" ? mappedPairs(k, x, y, remainderOf) : k.mod(x, divisor(x, y))),
  gradient: ({ grad, inputs: [x, y], needs }) => [
    grad,
    needs[1] ? call(neg, call(mul, grad, floorOfQuotient(x!, y!))) : null,
  ],
});
