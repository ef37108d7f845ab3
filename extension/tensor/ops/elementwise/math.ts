import type { Tensor } from "../../core/tensor.ts";
import { attr, scalar, type TfRef } from "../../lowering/lowering.ts";
import { number, type OnnxRef } from "../../lowering/onnx.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { call, constant } from "../expressions.ts";
import { elementwise } from "./declare.ts";
import { add, div, ge, le, logicalAnd, mul, neg, rsqrt, sqrt, square, sub, where } from "./elementwise.ts";

const plusOne = (x: Tensor): Tensor => call(add, x, constant(1));
/** 1 − x². */
const rest = (x: Tensor): Tensor => call(sub, constant(1), call(square, x));

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

/** Bounds of {@link clamp}; a missing one bounds nothing. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** Elements moved to the nearest value within the bounds; elements on a bound pass their gradient on. */
export const clamp: Op<Bounds> = defineOp<Bounds>({
  name: "clamp",
  gradName: "ClampBackward1",
  layout: "elementwise",
  infer: ([x]) => x!,
  gradient({ grad, inputs: [x], attributes: { min, max } }) {
    const above = min === undefined ? undefined : call(ge, x!, constant(min));
    const below = max === undefined ? undefined : call(le, x!, constant(max));
    const inside = above && below ? call(logicalAnd, above, below) : (above ?? below);
    return [inside === undefined ? grad : call(where, inside, grad, constant(0))];
  },
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
    const above = min === undefined ? x! : k.maximum(x!, k.scalar(min, x!.dtype as "float32"));
    return max === undefined ? above : k.minimum(above, k.scalar(max, x!.dtype as "float32"));
  },
});
