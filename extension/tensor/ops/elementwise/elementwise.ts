import { apply } from "../../recording/apply.ts";
import { attr } from "../../lowering/lowering.ts";
import { number, TRAINING_ONLY, type OnnxRef } from "../../lowering/onnx.ts";
import { defineOp, type GradientRule, type Op } from "../../recording/op.ts";
import { broadcastPlaces } from "../../planning/plain.ts";
import { broadcastShapes } from "../../core/shape.ts";
import { fillValue } from "../../recording/graph.ts";
import { Tensor } from "../../core/tensor.ts";
import { addNode, binary, DIVIDES, mapped, onnxFloorDiv, STEP, unary } from "./elements.ts";
import { erfNode, inDouble, reciprocalNode, sigmoidNode, softplusNode, tanhNode } from "./exactNodes.ts";

const f = (op: Op<object>, ...inputs: Tensor[]): Tensor => apply(op, inputs, {});
const constant = (value: number): Tensor => new Tensor(fillValue(value, [], "float32"));
const softplusOf = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));
const scaled = (x: Tensor, by: number): Tensor => f(mul, x, constant(by));

export const add = binary(
  "add",
  "AddV2",
  "Add",
  (k, x, y) => k.add(x, y),
  (x, y) => x + y,
  ({ grad }) => [grad, grad],
  undefined,
  { tensorflow: (b, refs, _, { inputs }) => addNode(b, refs, inputs) },
);
export const sub = binary(
  "sub",
  "Sub",
  "Sub",
  (k, x, y) => k.sub(x, y),
  (x, y) => x - y,
  ({ grad, needs }) => [grad, needs[1] ? f(neg, grad) : null],
);
export const mul: Op<object> = binary(
  "mul",
  "Mul",
  "Mul",
  (k, x, y) => k.mul(x, y),
  (x, y) => x * y,
  ({ grad, inputs: [x, y], needs }) => [
    needs[0] ? f(mul, grad, y!) : null,
    needs[1] ? f(mul, grad, x!) : null,
  ],
);
/** True division of floats. */
export const div: Op<object> = binary(
  "div",
  "RealDiv",
  "Div",
  (k, x, y) => k.div(x, y),
  (x, y) => x / y,
  ({ grad, inputs: [, y], outputs: [z], needs }) => [
    needs[0] ? f(div, grad, y!) : null,
    needs[1] ? f(neg, f(mul, grad, f(div, z!, y!))) : null,
  ],
);
export const pow: Op<object> = binary(
  "pow",
  "Pow",
  "Pow",
  (k, x, y) => k.pow(x, y),
  undefined,
  ({ grad, inputs: [x, y], outputs: [z], needs }) => {
    const zero = constant(0);
    const slope = (): Tensor => f(mul, grad, f(mul, y!, f(pow, x!, f(sub, y!, constant(1)))));
    const growth = (): Tensor => f(mul, grad, f(mul, z!, f(log, x!)));
    const flat = (): Tensor => f(logicalAnd, f(eq, x!, zero), f(ge, y!, zero));
    return [
      needs[0] ? f(where, f(eq, y!, zero), zero, slope()) : null,
      needs[1] ? f(where, flat(), zero, growth()) : null,
    ];
  },
);

/** Where two values are equal, PyTorch gives each half of the gradient. */
const picked =
  (better: () => Op<object>): GradientRule<object> =>
  ({ grad, inputs: [x, y] }) => {
    const tie = f(eq, x!, y!);
    const half = scaled(grad, 0.5);
    const zero = constant(0);
    const part = (a: Tensor, b: Tensor): Tensor =>
      apply(where, [tie, half, apply(where, [f(better(), a, b), grad, zero], {})], {});
    return [part(x!, y!), part(y!, x!)];
  };
export const maximum = binary(
  "maximum",
  "Maximum",
  "Max",
  (k, x, y) => k.maximum(x, y),
  Math.max,
  picked(() => gt),
);
export const minimum = binary(
  "minimum",
  "Minimum",
  "Min",
  (k, x, y) => k.minimum(x, y),
  Math.min,
  picked(() => lt),
);

export const eq = binary(
  "eq",
  "Equal",
  "Equal",
  (k, x, y) => k.equal(x, y),
  (x, y) => Number(x === y),
  STEP,
  "bool",
);
export const ne = binary(
  "ne",
  "NotEqual",
  (b, inputs) => b.node("Not", [b.node("Equal", inputs)]),
  (k, x, y) => k.notEqual(x, y),
  (x, y) => Number(x !== y),
  STEP,
  "bool",
);
export const lt = binary(
  "lt",
  "Less",
  "Less",
  (k, x, y) => k.less(x, y),
  (x, y) => Number(x < y),
  STEP,
  "bool",
);
export const le = binary(
  "le",
  "LessEqual",
  "LessOrEqual",
  (k, x, y) => k.lessEqual(x, y),
  (x, y) => Number(x <= y),
  STEP,
  "bool",
);
export const gt = binary(
  "gt",
  "Greater",
  "Greater",
  (k, x, y) => k.greater(x, y),
  (x, y) => Number(x > y),
  STEP,
  "bool",
);
export const ge = binary(
  "ge",
  "GreaterEqual",
  "GreaterOrEqual",
  (k, x, y) => k.greaterEqual(x, y),
  (x, y) => Number(x >= y),
  STEP,
  "bool",
);
export const logicalAnd = binary(
  "logicalAnd",
  "LogicalAnd",
  "And",
  (k, x, y) => k.logicalAnd(x, y),
  undefined,
  STEP,
  "bool",
);
export const logicalOr = binary(
  "logicalOr",
  "LogicalOr",
  "Or",
  (k, x, y) => k.logicalOr(x, y),
  undefined,
  STEP,
  "bool",
);
export const logicalNot = unary(
  "logicalNot",
  "LogicalNot",
  "Not",
  (k, x) => k.logicalNot(x),
  undefined,
  STEP,
  "bool",
);
export const floorDiv = binary(
  "floorDiv",
  "FloorDiv",
  onnxFloorDiv,
  // tfjs's cpu kernel answers integers whatever it is given.
  (k, x, y) => (x.dtype === "float32" ? k.floor(k.div(x, y)) : k.floorDiv(x, y)),
  (x, y) => Math.floor(x / y),
  ({ grad }) => [scaled(grad, 0), scaled(grad, 0)],
  undefined,
  DIVIDES,
);
/** Remainder with the sign of the divisor, as Python's `%`. */
export const remainder = binary(
  "remainder",
  "FloorMod",
  (b, [x, y], a, s) => b.node("Sub", [x!, b.node("Mul", [onnxFloorDiv(b, [x!, y!], a, s) as OnnxRef, y!])]),
  (k, x, y) => k.mod(x, y),
  undefined,
  ({ grad, inputs: [x, y], needs }) => [
    grad,
    needs[1] ? f(neg, f(mul, grad, f(floor, f(div, x!, y!)))) : null,
  ],
  undefined,
  DIVIDES,
);

export const neg: Op<object> = unary(
  "neg",
  "Neg",
  "Neg",
  (k, x) => k.neg(x),
  (x) => -x,
  ({ grad }) => [f(neg, grad)],
);
export const abs = unary(
  "abs",
  "Abs",
  "Abs",
  (k, x) => k.abs(x),
  Math.abs,
  ({ grad, inputs: [x] }) => [f(mul, grad, f(sign, x!))],
);
export const sign = unary(
  "sign",
  "Sign",
  "Sign",
  (k, x) => k.sign(x),
  Math.sign,
  ({ grad }) => [scaled(grad, 0)],
);
export const exp: Op<object> = unary(
  "exp",
  "Exp",
  "Exp",
  (k, x) => k.exp(x),
  Math.exp,
  ({ grad, outputs: [y] }) => [f(mul, grad, y!)],
);
export const log: Op<object> = unary(
  "log",
  "Log",
  "Log",
  (k, x) => k.log(x),
  Math.log,
  ({ grad, inputs: [x] }) => [f(div, grad, x!)],
);
export const log1p = unary(
  "log1p",
  (b, x) => inDouble(b, "Log1p", x),
  (b, [x]) => b.node("Log", [b.node("Add", [x!, number(b, 1)])]),
  (k, x) => mapped(k, x, Math.log1p),
  Math.log1p,
  ({ grad, inputs: [x] }) => [f(div, grad, f(add, x!, constant(1)))],
);
export const expm1: Op<object> = unary(
  "expm1",
  "Expm1",
  (b, [x]) => b.node("Sub", [b.node("Exp", [x!]), number(b, 1)]),
  (k, x) => k.expm1(x),
  Math.expm1,
  // Not y + 1, which is rounded to nothing where y is near -1.
  ({ grad, inputs: [x] }) => [f(mul, grad, f(exp, x!))],
);
export const sqrt: Op<object> = unary(
  "sqrt",
  "Sqrt",
  "Sqrt",
  (k, x) => k.sqrt(x),
  Math.sqrt,
  ({ grad, outputs: [y] }) => [f(div, scaled(grad, 0.5), y!)],
);
export const rsqrt: Op<object> = unary(
  "rsqrt",
  "Rsqrt",
  (b, [x]) => b.node("Reciprocal", [b.node("Sqrt", [x!])]),
  (k, x) => k.rsqrt(x),
  (x) => 1 / Math.sqrt(x),
  ({ grad, outputs: [y] }) => [f(mul, scaled(grad, -0.5), f(mul, y!, f(mul, y!, y!)))],
);
export const square = unary(
  "square",
  "Square",
  (b, [x]) => b.node("Mul", [x!, x!]),
  (k, x) => k.square(x),
  (x) => x * x,
  ({ grad, inputs: [x] }) => [f(mul, grad, scaled(x!, 2))],
);
export const reciprocal: Op<object> = unary(
  "reciprocal",
  reciprocalNode,
  "Reciprocal",
  (k, x) => k.reciprocal(x),
  (x) => 1 / x,
  ({ grad, outputs: [y] }) => [f(neg, f(mul, grad, f(mul, y!, y!)))],
);
export const sin: Op<object> = unary(
  "sin",
  "Sin",
  "Sin",
  (k, x) => mapped(k, x, Math.sin),
  Math.sin,
  ({ grad, inputs: [x] }) => [f(mul, grad, f(cos, x!))],
);
export const cos: Op<object> = unary(
  "cos",
  "Cos",
  "Cos",
  (k, x) => mapped(k, x, Math.cos),
  Math.cos,
  ({ grad, inputs: [x] }) => [f(neg, f(mul, grad, f(sin, x!)))],
);
export const erf = unary(
  "erf",
  erfNode,
  "Erf",
  (k, x) => k.erf(x),
  undefined,
  ({ grad, inputs: [x] }) => [f(mul, grad, scaled(f(exp, f(neg, f(square, x!))), 2 / Math.sqrt(Math.PI)))],
);
export const floor = unary(
  "floor",
  "Floor",
  "Floor",
  (k, x) => k.floor(x),
  Math.floor,
  ({ grad }) => [scaled(grad, 0)],
);
export const ceil = unary(
  "ceil",
  "Ceil",
  "Ceil",
  (k, x) => k.ceil(x),
  Math.ceil,
  ({ grad }) => [scaled(grad, 0)],
);
/** To the nearest integer, halves to the even one. */
export const round = unary(
  "round",
  "Rint",
  "Round",
  (k, x) => k.round(x),
  undefined,
  ({ grad }) => [scaled(grad, 0)],
);
export const isnan = unary(
  "isnan",
  "IsNan",
  "IsNaN",
  (k, x) => k.isNaN(x),
  (x) => Number(Number.isNaN(x)),
  STEP,
  "bool",
);

export const relu = unary(
  "relu",
  "Relu",
  "Relu",
  (k, x) => k.relu(x),
  (x) => (x < 0 ? 0 : x),
  ({ grad, outputs: [y] }) => [f(reluGrad, grad, y!)],
);
/** grad where the output y of relu is positive, else 0. */
export const reluGrad: Op<object> = binary(
  "reluGrad",
  "ReluGrad",
  TRAINING_ONLY,
  (k, g, y) => k.mul(g, k.step(y)),
  (g, y) => (y <= 0 ? 0 : g),
  ({ grad, inputs: [, y] }) => [f(reluGrad, grad, y!), null],
);
export const sigmoid = unary(
  "sigmoid",
  sigmoidNode,
  "Sigmoid",
  (k, x) => k.sigmoid(x),
  (x) => 1 / (1 + Math.exp(-x)),
  ({ grad, outputs: [y] }) => [f(sigmoidGrad, y!, grad)],
);
/** grad · y · (1 − y). */
export const sigmoidGrad: Op<object> = binary(
  "sigmoidGrad",
  "SigmoidGrad",
  TRAINING_ONLY,
  (k, y, g) => k.mul(g, k.mul(y, k.sub(1, y))),
  (y, g) => g * y * (1 - y),
  ({ grad, inputs: [y, g] }) => [
    f(mul, f(mul, grad, g!), f(sub, constant(1), scaled(y!, 2))),
    f(sigmoidGrad, y!, grad),
  ],
);
export const tanh = unary(
  "tanh",
  tanhNode,
  "Tanh",
  (k, x) => k.tanh(x),
  Math.tanh,
  ({ grad, outputs: [y] }) => [f(tanhGrad, y!, grad)],
);
/** grad · (1 − y²). */
export const tanhGrad: Op<object> = binary(
  "tanhGrad",
  "TanhGrad",
  TRAINING_ONLY,
  (k, y, g) => k.mul(g, k.sub(1, k.square(y))),
  (y, g) => g * (1 - y * y),
  ({ grad, inputs: [y, g] }) => [f(mul, f(mul, grad, g!), scaled(y!, -2)), f(tanhGrad, y!, grad)],
);
export const softplus = unary(
  "softplus",
  softplusNode,
  "Softplus",
  (k, x) => mapped(k, x, softplusOf),
  softplusOf,
  ({ grad, inputs: [x] }) => [f(mul, grad, f(sigmoid, x!))],
);

/** `x` where the condition holds, else `y`; all three broadcast. */
export const where: Op<object> = defineOp({
  name: "where",
  layout: "elementwise",
  infer: ([c, x, y]) => ({
    shape: broadcastShapes(c!.shape, broadcastShapes(x!.shape, y!.shape)),
    dtype: x!.dtype,
  }),
  gradient({ grad, inputs: [c], needs }) {
    const zero = constant(0);
    return [
      null,
      needs[1] ? apply(where, [c!, grad, zero], {}) : null,
      needs[2] ? apply(where, [c!, zero, grad], {}) : null,
    ];
  },
  plain({ inputs, outputs: [output] }) {
    if (output!.dtype !== "float32") return undefined;
    const [c, x, y] = inputs.map((m) => broadcastPlaces(m.shape, output!.shape)) as [
      Int32Array,
      Int32Array,
      Int32Array,
    ];
    return ([condition, left, right], [to]) => {
      for (let i = 0; i < c.length; i++) to![i] = condition![c[i]!] === 0 ? right![y[i]!]! : left![x[i]!]!;
    };
  },
  onnx: (b, inputs) => b.node("Where", inputs),
  tensorflow: (b, inputs, _, { outputs }) => b.node("SelectV2", inputs, { T: attr.type(outputs[0]!.dtype) }),
  tfjs(k, [c, x, y]) {
    if (x!.dtype !== "bool") return k.where(c!, x!, y!);
    // The wasm kernel writes four bytes for every element, of which booleans have one.
    return k.cast(k.where(c!, k.cast(x!, "int32"), k.cast(y!, "int32")), "bool");
  },
});
