import { apply } from "../../recording/apply.ts";
import { attr, scalar, type TfRef } from "../../lowering/lowering.ts";
import { number, type OnnxRef } from "../../lowering/onnx.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { fillValue } from "../../recording/graph.ts";
import { Tensor } from "../../core/tensor.ts";
import { add, div, ge, le, logicalAnd, mul, neg, rsqrt, sqrt, square, sub, where } from "./elementwise.ts";
import { unary } from "./elements.ts";

const f = (op: Op<object>, ...inputs: Tensor[]): Tensor => apply(op, inputs, {});
const constant = (value: number): Tensor => new Tensor(fillValue(value, [], "float32"));

export const tan: Op<object> = unary(
  "tan",
  "Tan",
  "Tan",
  (k, x) => k.tan(x),
  Math.tan,
  ({ grad, outputs: [y] }) => [f(mul, grad, f(add, f(square, y!), constant(1)))],
);
export const asin = unary(
  "asin",
  "Asin",
  "Asin",
  (k, x) => k.asin(x),
  Math.asin,
  ({ grad, inputs: [x] }) => [f(mul, grad, f(rsqrt, f(sub, constant(1), f(square, x!))))],
);
export const acos = unary(
  "acos",
  "Acos",
  "Acos",
  (k, x) => k.acos(x),
  Math.acos,
  ({ grad, inputs: [x] }) => [f(neg, f(mul, grad, f(rsqrt, f(sub, constant(1), f(square, x!)))))],
);
export const atan = unary(
  "atan",
  "Atan",
  "Atan",
  (k, x) => k.atan(x),
  Math.atan,
  ({ grad, inputs: [x] }) => [f(div, grad, f(add, f(square, x!), constant(1)))],
);
export const sinh: Op<object> = unary(
  "sinh",
  "Sinh",
  "Sinh",
  (k, x) => k.sinh(x),
  Math.sinh,
  ({ grad, inputs: [x] }) => [f(mul, grad, f(cosh, x!))],
);
export const cosh: Op<object> = unary(
  "cosh",
  "Cosh",
  "Cosh",
  (k, x) => k.cosh(x),
  Math.cosh,
  ({ grad, inputs: [x] }) => [f(mul, grad, f(sinh, x!))],
);
export const atanh = unary(
  "atanh",
  "Atanh",
  "Atanh",
  (k, x) => k.atanh(x),
  Math.atanh,
  ({ grad, inputs: [x] }) => [f(div, grad, f(sub, constant(1), f(square, x!)))],
);
export const asinh = unary(
  "asinh",
  "Asinh",
  "Asinh",
  (k, x) => k.asinh(x),
  Math.asinh,
  ({ grad, inputs: [x] }) => [f(div, grad, f(sqrt, f(add, f(square, x!), constant(1))))],
);
export const acosh = unary(
  "acosh",
  "Acosh",
  "Acosh",
  (k, x) => k.acosh(x),
  Math.acosh,
  ({ grad, inputs: [x] }) => [f(div, grad, f(sqrt, f(sub, f(square, x!), constant(1))))],
);

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
    const above = min === undefined ? undefined : f(ge, x!, constant(min));
    const below = max === undefined ? undefined : f(le, x!, constant(max));
    const inside = above && below ? f(logicalAnd, above, below) : (above ?? below);
    return [inside === undefined ? grad : f(where, inside, grad, constant(0))];
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
