import type { Tensor } from "../../core/tensor.ts";
import { attr, scalar, type TfRef } from "../../lowering/lowering.ts";
import { equalNode, T } from "../../lowering/nodes.ts";
import { number, type OnnxRef } from "../../lowering/onnx.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { call, constant } from "../expressions.ts";
import { elementwise, mapped } from "./declare.ts";
import {
  add,
  cos,
  div,
  eq,
  gt,
  logicalAnd,
  lt,
  mul,
  neg,
  rsqrt,
  sin,
  sqrt,
  square,
  sub,
  where,
} from "./elementwise.ts";

const plusOne = (x: Tensor): Tensor => call(add, x, constant(1));
/** 1 − x². */
const rest = (x: Tensor): Tensor => call(sub, constant(1), call(square, x));

/** 2ˣ. */
export const exp2: Op<object> = elementwise({
  name: "exp2",
  tensorflow: (b, [x]) =>
    b.exact === true ? b.node("Exp2", [x!], { T }) : b.node("Pow", [scalar(b, 2, "float32"), x!], { T }),
  onnx: (b, [x]) => b.node("Pow", [number(b, 2), x!]),
  tfjs: (k, x) => k.pow(k.scalar(2), x),
  plain: (x) => 2 ** x,
  gradient: ({ grad, outputs: [y] }) => [call(mul, call(mul, grad, y!), constant(Math.LN2))],
});
export const tan: Op<object> = elementwise({
  name: "tan",
  tensorflow: "Tan",
  plain: Math.tan,
  gradient: ({ grad, outputs: [y] }) => [call(mul, grad, plusOne(call(square, y!)))],
});
export const asin = elementwise({
  name: "asin",
  tensorflow: "Asin",
  plain: Math.asin,
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, call(rsqrt, rest(x!)))],
});
export const acos = elementwise({
  name: "acos",
  tensorflow: "Acos",
  plain: Math.acos,
  gradient: ({ grad, inputs: [x] }) => [call(neg, call(mul, grad, call(rsqrt, rest(x!))))],
});
export const atan = elementwise({
  name: "atan",
  tensorflow: "Atan",
  plain: Math.atan,
  gradient: ({ grad, inputs: [x] }) => [call(div, grad, plusOne(call(square, x!)))],
});
export const sinh: Op<object> = elementwise({
  name: "sinh",
  tensorflow: "Sinh",
  plain: Math.sinh,
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, call(cosh, x!))],
});
export const cosh: Op<object> = elementwise({
  name: "cosh",
  tensorflow: "Cosh",
  plain: Math.cosh,
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, call(sinh, x!))],
});
export const atanh = elementwise({
  name: "atanh",
  tensorflow: "Atanh",
  plain: Math.atanh,
  gradient: ({ grad, inputs: [x] }) => [call(div, grad, rest(x!))],
});
export const asinh = elementwise({
  name: "asinh",
  tensorflow: "Asinh",
  plain: Math.asinh,
  gradient: ({ grad, inputs: [x] }) => [call(div, grad, call(sqrt, plusOne(call(square, x!))))],
});
export const acosh = elementwise({
  name: "acosh",
  tensorflow: "Acosh",
  plain: Math.acosh,
  gradient: ({ grad, inputs: [x] }) => [
    call(div, grad, call(sqrt, call(sub, call(square, x!), constant(1)))),
  ],
});

/** sinc(x) with πx and its sine rounded to floats, as PyTorch computes it. */
function sincOf(x: number): number {
  const angle = Math.fround(Math.fround(Math.PI) * x);
  return angle === 0 ? 1 : Math.fround(Math.sin(angle)) / angle;
}

/** sin(πx) / (πx), 1 at 0. */
export const sinc = elementwise({
  name: "sinc",
  tensorflow(b, [x]) {
    const angle = b.node("Mul", [x!, scalar(b, Math.PI, "float32")], { T });
    const quotient = b.node("RealDiv", [b.node("Sin", [angle], { T }), angle], { T });
    const zero = equalNode(b, [angle, scalar(b, 0, "float32")], "float32");
    return b.node("SelectV2", [zero, scalar(b, 1, "float32"), quotient], { T });
  },
  onnx(b, [x]) {
    const angle = b.node("Mul", [x!, number(b, Math.PI)]);
    const quotient = b.node("Div", [b.node("Sin", [angle]), angle]);
    return b.node("Where", [b.node("Equal", [angle, number(b, 0)]), number(b, 1), quotient]);
  },
  tfjs: (k, x) => mapped(k, x, sincOf),
  plain: sincOf,
  // (πx cos πx − sin πx) / πx². Where πx² is 0, the series' first term, so that the second derivative is right there, too.
  gradient({ grad, inputs: [x] }) {
    const angle = call(mul, x!, constant(Math.PI));
    const divisor = call(mul, call(square, x!), constant(Math.PI));
    const zero = call(eq, divisor, constant(0));
    const difference = call(sub, call(mul, angle, call(cos, angle)), call(sin, angle));
    const slope = call(div, difference, call(where, zero, constant(1), divisor));
    const series = call(mul, x!, constant(-(Math.PI ** 2) / 3));
    return [call(mul, grad, call(where, zero, series, slope))];
  },
});

/** Bounds of {@link clamp}; a missing one bounds nothing. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** Elements moved to the nearest value within the bounds. Those on a bound get no gradient, as in PyTorch 2.15. */
export const clamp: Op<Bounds> = defineOp<Bounds>({
  name: "clamp",
  gradName: "ClampBackward1",
  layout: "elementwise",
  infer: ([x]) => x!,
  gradient({ grad, inputs: [x], attributes: { min, max } }) {
    const above = min === undefined ? undefined : call(gt, x!, constant(min));
    const below = max === undefined ? undefined : call(lt, x!, constant(max));
    const inside = above && below ? call(logicalAnd, above, below) : (above ?? below);
    return [inside === undefined ? grad : call(where, inside, grad, constant(0))];
  },
  batch: leading,
  onnx(b, [x], { min, max }, { inputs }) {
    const bound = (value: number | undefined): OnnxRef | null =>
      value === undefined ? null : number(b, value, inputs[0]!.dtype);
    return b.node("Clip", [x!, bound(min), bound(max)]);
  },
  tensorflow(b, [x], { min, max }, { inputs }) {
    const { dtype } = inputs[0]!;
    const T = { T: attr.type(dtype) };
    const bound = (op: string, t: TfRef, value: number | undefined): TfRef =>
      value === undefined ? t : b.node(op, [t, scalar(b, value, dtype)], T);
    return bound("Minimum", bound("Maximum", x!, min), max);
  },
  tfjs(k, [x], { min, max }) {
    // wasm's kernels pass NaN over.
    if (Number.isNaN(min) || Number.isNaN(max)) return k.mul(x!, k.scalar(NaN));
    const above = min === undefined ? x! : k.maximum(x!, k.scalar(min, x!.dtype as "float32"));
    return max === undefined ? above : k.minimum(above, k.scalar(max, x!.dtype as "float32"));
  },
});
