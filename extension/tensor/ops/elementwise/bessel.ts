// Bessel functions of orders 0 and 1; the modified ones also without their exponential factor.
import { scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { T } from "../../lowering/nodes.ts";
import type { Op } from "../../recording/op.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";
import { add, div, eq, mul, neg, sign, sub, where } from "./elementwise.ts";
import { special } from "./special.ts";
import { besselJ, besselK, besselScaled, besselY } from "./besselValues.ts";
import { inDouble } from "./exactNodes.ts";

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

/** A node on doubles; NaN for negative numbers, where TensorFlow's kernels give what lies at 0. */
function ofPositive(b: TfBuilder, op: string, x: TfRef): TfRef {
  const negative = b.node("Less", [x, scalar(b, 0, "float32")], { T });
  return b.node("SelectV2", [negative, scalar(b, NaN, "float32"), inDouble(b, op, x)], { T });
}

/** J₀(x). */
export const besselJ0: Op<object> = special({
  name: "besselJ0",
  gradName: "SpecialBesselJ0Backward0",
  value: (x) => besselJ(0, x),
  gradient: ({ grad, inputs: [x] }) => [call(neg, call(mul, grad, call(besselJ1, x!)))],
  tensorflow: (b, x) => inDouble(b, "BesselJ0", x),
});

/** J₁(x), the derivative of −J₀. */
export const besselJ1: Op<object> = special({
  name: "besselJ1",
  gradName: "SpecialBesselJ1Backward0",
  value: (x) => besselJ(1, x),
  gradient: ({ grad, inputs: [x], outputs: [y] }) => [
    call(mul, grad, call(sub, call(besselJ0, x!), overX(y!, x!))),
  ],
  tensorflow: (b, x) => inDouble(b, "BesselJ1", x),
});

/** Y₀(x). */
export const besselY0: Op<object> = special({
  name: "besselY0",
  gradName: "SpecialBesselY0Backward0",
  value: (x) => besselY(0, x),
  gradient: ({ grad, inputs: [x] }) => [call(neg, call(mul, grad, call(besselY1, x!)))],
  tensorflow: (b, x) => ofPositive(b, "BesselY0", x),
});

/** Y₁(x), the derivative of −Y₀. */
export const besselY1: Op<object> = special({
  name: "besselY1",
  gradName: "SpecialBesselY1Backward0",
  value: (x) => besselY(1, x),
  gradient: ({ grad, inputs: [x], outputs: [y] }) => [
    call(mul, grad, call(sub, call(besselY0, x!), call(div, y!, x!))),
  ],
  tensorflow: (b, x) => ofPositive(b, "BesselY1", x),
});

/** K₀(x). */
export const besselK0: Op<object> = special({
  name: "besselK0",
  gradName: "SpecialModifiedBesselK0Backward0",
  value: (x) => besselK(0, x) * Math.exp(-x),
  gradient: ({ grad, inputs: [x] }) => [call(neg, call(mul, grad, call(besselK1, x!)))],
  tensorflow: (b, x) => ofPositive(b, "BesselK0", x),
});

/** K₁(x), the derivative of −K₀. */
export const besselK1: Op<object> = special({
  name: "besselK1",
  gradName: "SpecialModifiedBesselK1Backward0",
  value: (x) => besselK(1, x) * Math.exp(-x),
  gradient: ({ grad, inputs: [x], outputs: [y] }) => [
    call(neg, call(mul, grad, call(add, call(besselK0, x!), call(div, y!, x!)))),
  ],
  tensorflow: (b, x) => ofPositive(b, "BesselK1", x),
});

const NO_DERIVATIVE = { none: "PyTorch has no derivative of it" };

/** eˣ K₀(x). */
export const besselK0e: Op<object> = special({
  name: "besselK0e",
  value: (x) => besselK(0, x),
  gradient: NO_DERIVATIVE,
  tensorflow: (b, x) => ofPositive(b, "BesselK0e", x),
});

/** eˣ K₁(x). */
export const besselK1e: Op<object> = special({
  name: "besselK1e",
  value: (x) => besselK(1, x),
  gradient: NO_DERIVATIVE,
  tensorflow: (b, x) => ofPositive(b, "BesselK1e", x),
});
