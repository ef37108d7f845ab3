// Modified Bessel functions of the first kind, as they are and times e⁻ˡˣˡ.
import { T } from "../../lowering/nodes.ts";
import type { Op } from "../../recording/op.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";
import { div, eq, mul, sign, sub, where } from "./elementwise.ts";
import { special } from "./special.ts";
import { besselScaled } from "./specialValues.ts";

/** y / x, and 1/2 at 0: what it tends to for I₁. */
function overX(y: Tensor, x: Tensor): Tensor {
  const zero = call(eq, x, constant(0));
  return call(where, zero, constant(0.5), call(div, y, call(where, zero, constant(1), x)));
}

/** I₀(x). */
export const besselI0: Op<object> = special({
  name: "besselI0",
  value: (x) => besselScaled(0, x) * Math.exp(Math.abs(x)),
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, call(besselI1, x!))],
  tensorflow: (b, x) => b.node("BesselI0", [x], { T }),
});

/** I₁(x), the derivative of I₀. */
export const besselI1: Op<object> = special({
  name: "besselI1",
  value: (x) => besselScaled(1, x) * Math.exp(Math.abs(x)),
  gradient: ({ grad, inputs: [x], outputs: [y] }) => [
    call(mul, grad, call(sub, call(besselI0, x!), overX(y!, x!))),
  ],
  tensorflow: (b, x) => b.node("BesselI1", [x], { T }),
});

/** e⁻ˡˣˡ I₀(x). */
export const besselI0e: Op<object> = special({
  name: "besselI0e",
  value: (x) => besselScaled(0, x),
  gradient: ({ grad, inputs: [x], outputs: [y] }) => [
    call(mul, grad, call(sub, call(besselI1e, x!), call(mul, call(sign, x!), y!))),
  ],
  tensorflow: (b, x) => b.node("BesselI0e", [x], { T }),
});

/** e⁻ˡˣˡ I₁(x). */
export const besselI1e: Op<object> = special({
  name: "besselI1e",
  value: (x) => besselScaled(1, x),
  gradient: ({ grad, inputs: [x], outputs: [y] }) => {
    const slope = call(sub, call(besselI0e, x!), call(mul, call(sign, x!), y!));
    return [call(mul, grad, call(sub, slope, overX(y!, x!)))];
  },
  tensorflow: (b, x) => b.node("BesselI1e", [x], { T }),
});
