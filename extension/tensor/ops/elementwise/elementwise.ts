import type * as tfjs from "@tensorflow/tfjs-core";
import { broadcastShapes } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { attr, scalar, type TfRef } from "../../lowering/lowering.ts";
import { castNode, equalNode } from "../../lowering/nodes.ts";
import { number, TRAINING_ONLY } from "../../lowering/onnx.ts";
import { broadcasting, leading } from "../../recording/batchRules.ts";
import { broadcastPlaces } from "../../planning/plain.ts";
import { defineOp, type GradientRule, type Op, type Tfjs } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import { call, constant, zeros } from "../expressions.ts";
import { addNode, comparison, divisor, elementwise, logical, mapped, onnxFloorDiv } from "./declare.ts";
import { erfNode, inDouble, reciprocalNode, sigmoidNode, softplusNode, tanhNode } from "./exactNodes.ts";

const scaled = (x: Tensor, by: number): Tensor => call(mul, x, constant(by));
/** The gradient of a step function that PyTorch differentiates. */
const zero: GradientRule<object> = ({ grad, inputs }) =>
  inputs.map((x) =>
    // A zero that can be differentiated. 0 · grad would be NaN where that is infinite.
    scope.gradients ? call(where, constant(0, "bool"), grad, constant(0)) : zeros(x.shape),
  );

export const add = elementwise({
  name: "add",
  tensorflow: addNode,
  onnx: "Add",
  plain: (x, y) => x + y,
  gradient: ({ grad }) => [grad, grad],
});
export const sub = elementwise({
  name: "sub",
  tensorflow: "Sub",
  plain: (x, y) => x - y,
  gradient: ({ grad, needs }) => [grad, needs[1] ? call(neg, grad) : null],
});
export const mul: Op<object> = elementwise({
  name: "mul",
  tensorflow: "Mul",
  plain: (x, y) => x * y,
  gradient: ({ grad, inputs: [x, y], needs }) => [
    needs[0] ? call(mul, grad, y!) : null,
    needs[1] ? call(mul, grad, x!) : null,
  ],
});
/** True division of floats. */
export const div: Op<object> = elementwise({
  name: "div",
  tensorflow: "RealDiv",
  onnx: "Div",
  plain: (x, y) => x / y,
  gradient: ({ grad, inputs: [, y], outputs: [z], needs }) => [
    needs[0] ? call(div, grad, y!) : null,
    needs[1] ? call(neg, call(mul, grad, call(div, z!, y!))) : null,
  ],
  // PyTorch computes the second one from x.
  saves: (needs) => [needs[1]!, true],
});
export const pow: Op<object> = elementwise({
  name: "pow",
  tensorflow: "Pow",
  gradient({ grad, inputs: [x, y], outputs: [z], needs }) {
    const zero = constant(0);
    const slope = (): Tensor => call(mul, grad, call(mul, y!, call(pow, x!, call(sub, y!, constant(1)))));
    const growth = (): Tensor => call(mul, grad, call(mul, z!, call(log, x!)));
    const flat = (): Tensor => call(logicalAnd, call(eq, x!, zero), call(ge, y!, zero));
    return [
      needs[0] ? call(where, call(eq, y!, zero), zero, slope()) : null,
      needs[1] ? call(where, flat(), zero, growth()) : null,
    ];
  },
});

/** Where two values are equal, PyTorch gives each half of the gradient; where one is NaN, all of it to both. */
const picked =
  (worse: () => Op<object>): GradientRule<object> =>
  ({ grad, inputs: [x, y] }) => {
    const tie = call(eq, x!, y!);
    const half = scaled(grad, 0.5);
    const zero = constant(0);
    const part = (a: Tensor, b: Tensor): Tensor =>
      call(where, tie, half, call(where, call(worse(), a, b), zero, grad));
    return [part(x!, y!), part(y!, x!)];
  };
/** wasm's kernels pass NaN over in their second input. */
const keepNaN = (k: Tfjs, y: tfjs.Tensor, extreme: tfjs.Tensor): tfjs.Tensor =>
  y.dtype === "float32" ? k.where(k.isNaN(y), y, extreme) : extreme;
export const maximum = elementwise({
  name: "maximum",
  tensorflow: "Maximum",
  onnx: "Max",
  tfjs: (k, x, y) => keepNaN(k, y, k.maximum(x, y)),
  plain: Math.max,
  gradient: picked(() => lt),
});
export const minimum = elementwise({
  name: "minimum",
  tensorflow: "Minimum",
  onnx: "Min",
  tfjs: (k, x, y) => keepNaN(k, y, k.minimum(x, y)),
  plain: Math.min,
  gradient: picked(() => gt),
});

export const eq = comparison({
  name: "eq",
  tensorflow: (b, refs, { inputs }) => equalNode(b, refs, inputs[0]!.dtype),
  onnx: "Equal",
  tfjs: (k, x, y) => k.equal(x, y),
  plain: (x, y) => Number(x === y),
});
export const ne = comparison({
  name: "ne",
  tensorflow: (b, refs, { inputs }) => equalNode(b, refs, inputs[0]!.dtype, "NotEqual"),
  onnx: (b, inputs) => b.node("Not", [b.node("Equal", inputs)]),
  tfjs: (k, x, y) => k.notEqual(x, y),
  plain: (x, y) => Number(x !== y),
});
export const lt = comparison({
  name: "lt",
  tensorflow: "Less",
  tfjs: (k, x, y) => k.less(x, y),
  plain: (x, y) => Number(x < y),
});
export const le = comparison({
  name: "le",
  tensorflow: "LessEqual",
  onnx: "LessOrEqual",
  tfjs: (k, x, y) => k.lessEqual(x, y),
  plain: (x, y) => Number(x <= y),
});
export const gt = comparison({
  name: "gt",
  tensorflow: "Greater",
  tfjs: (k, x, y) => k.greater(x, y),
  plain: (x, y) => Number(x > y),
});
export const ge = comparison({
  name: "ge",
  tensorflow: "GreaterEqual",
  onnx: "GreaterOrEqual",
  tfjs: (k, x, y) => k.greaterEqual(x, y),
  plain: (x, y) => Number(x >= y),
});
export const isnan = comparison({
  name: "isnan",
  tensorflow: "IsNan",
  onnx: "IsNaN",
  tfjs: (k, x) => k.isNaN(x),
  plain: (x) => Number(Number.isNaN(x)),
});
export const logicalAnd = logical("logicalAnd", "LogicalAnd", "And");
export const logicalOr = logical("logicalOr", "LogicalOr", "Or");
export const logicalNot = logical("logicalNot", "LogicalNot", "Not");

export const floorDiv = elementwise({
  name: "floorDiv",
  tensorflow: "FloorDiv",
  onnx: onnxFloorDiv,
  // tfjs's cpu kernel returns integers for any input.
  tfjs: (k, x, y) => (x.dtype === "float32" ? k.floor(k.div(x, y)) : k.floorDiv(x, divisor(x, y))),
  plain: (x, y) => Math.floor(x / y),
  gradient: zero,
});
export const neg: Op<object> = elementwise({
  name: "neg",
  tensorflow: "Neg",
  plain: (x) => -x,
  gradient: ({ grad }) => [call(neg, grad)],
});
export const abs = elementwise({
  name: "abs",
  tensorflow: "Abs",
  plain: Math.abs,
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, call(sign, x!))],
});
/** −1, 0 or 1; 0 for NaN, as PyTorch has it. */
export const sign = elementwise({
  name: "sign",
  tensorflow(b, [x], { inputs }) {
    const { dtype } = inputs[0]!;
    const T = attr.type(dtype);
    // TensorFlow's kernel returns NaN for NaN.
    if (dtype !== "float32" || b.exact === true) return b.node("Sign", [x!], { T });
    const side = (op: string): TfRef =>
      castNode(b, b.node(op, [x!, scalar(b, 0, dtype)], { T }), "bool", dtype);
    return b.node("Sub", [side("Greater"), side("Less")], { T });
  },
  onnx: "Sign",
  plain: (x) => Number(x > 0) - Number(x < 0),
  gradient: zero,
});
export const exp: Op<object> = elementwise({
  name: "exp",
  tensorflow: "Exp",
  plain: Math.exp,
  gradient: ({ grad, outputs: [y] }) => [call(mul, grad, y!)],
});
export const log: Op<object> = elementwise({
  name: "log",
  tensorflow: "Log",
  plain: Math.log,
  gradient: ({ grad, inputs: [x] }) => [call(div, grad, x!)],
});
export const log1p = elementwise({
  name: "log1p",
  tensorflow: (b, [x]) => inDouble(b, "Log1p", x!),
  onnx: (b, [x]) => b.node("Log", [b.node("Add", [x!, number(b, 1)])]),
  tfjs: (k, x) => mapped(k, x, Math.log1p),
  plain: Math.log1p,
  gradient: ({ grad, inputs: [x] }) => [call(div, grad, call(add, x!, constant(1)))],
});
export const expm1: Op<object> = elementwise({
  name: "expm1",
  tensorflow: "Expm1",
  onnx: (b, [x]) => b.node("Sub", [b.node("Exp", [x!]), number(b, 1)]),
  plain: Math.expm1,
  // Not y + 1, which is rounded to nothing where y is near -1.
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, call(exp, x!))],
});
export const sqrt: Op<object> = elementwise({
  name: "sqrt",
  tensorflow: "Sqrt",
  plain: Math.sqrt,
  gradient: ({ grad, outputs: [y] }) => [call(div, scaled(grad, 0.5), y!)],
});
export const rsqrt: Op<object> = elementwise({
  name: "rsqrt",
  tensorflow: "Rsqrt",
  onnx: (b, [x]) => b.node("Reciprocal", [b.node("Sqrt", [x!])]),
  plain: (x) => 1 / Math.sqrt(x),
  gradient: ({ grad, outputs: [y] }) => [call(mul, scaled(grad, -0.5), call(mul, y!, call(mul, y!, y!)))],
});
export const square = elementwise({
  name: "square",
  tensorflow: "Square",
  onnx: (b, [x]) => b.node("Mul", [x!, x!]),
  plain: (x) => x * x,
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, scaled(x!, 2))],
});
export const reciprocal: Op<object> = elementwise({
  name: "reciprocal",
  tensorflow: (b, [x]) => reciprocalNode(b, x!),
  onnx: "Reciprocal",
  plain: (x) => 1 / x,
  gradient: ({ grad, outputs: [y] }) => [call(neg, call(mul, grad, call(mul, y!, y!)))],
});
export const sin: Op<object> = elementwise({
  name: "sin",
  tensorflow: "Sin",
  tfjs: (k, x) => mapped(k, x, Math.sin),
  plain: Math.sin,
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, call(cos, x!))],
});
export const cos: Op<object> = elementwise({
  name: "cos",
  tensorflow: "Cos",
  tfjs: (k, x) => mapped(k, x, Math.cos),
  plain: Math.cos,
  gradient: ({ grad, inputs: [x] }) => [call(neg, call(mul, grad, call(sin, x!)))],
});
export const erf = elementwise({
  name: "erf",
  tensorflow: (b, [x]) => erfNode(b, x!),
  onnx: "Erf",
  gradient: ({ grad, inputs: [x] }) => [
    call(mul, grad, scaled(call(exp, call(neg, call(square, x!))), 2 / Math.sqrt(Math.PI))),
  ],
});
export const floor = elementwise({ name: "floor", tensorflow: "Floor", plain: Math.floor, gradient: zero });
export const ceil = elementwise({ name: "ceil", tensorflow: "Ceil", plain: Math.ceil, gradient: zero });
/** To the nearest integer, halves to the even one. */
export const round = elementwise({ name: "round", tensorflow: "Rint", onnx: "Round", gradient: zero });

export const relu = elementwise({
  name: "relu",
  tensorflow: "Relu",
  plain: (x) => (x < 0 ? 0 : x),
  gradient: ({ grad, outputs: [y] }) => [call(reluGrad, grad, y!)],
});
/** grad where the output y of relu is positive or NaN, else 0. TensorFlow's kernel has 0 for NaN, too. */
export const reluGrad: Op<object> = elementwise({
  name: "reluGrad",
  tensorflow: "ReluGrad",
  onnx: TRAINING_ONLY,
  tfjs: (k, g, y) => k.where(k.lessEqual(y, 0), k.zerosLike(g), g),
  plain: (g, y) => (y <= 0 ? 0 : g),
  batch: leading,
  gradient: ({ grad, inputs: [, y] }) => [call(reluGrad, grad, y!), null],
});
export const sigmoid = elementwise({
  name: "sigmoid",
  tensorflow: (b, [x]) => sigmoidNode(b, x!),
  onnx: "Sigmoid",
  plain: (x) => 1 / (1 + Math.exp(-x)),
  gradient: ({ grad, outputs: [y] }) => [call(sigmoidGrad, y!, grad)],
});
/** grad · y · (1 − y). */
export const sigmoidGrad: Op<object> = elementwise({
  name: "sigmoidGrad",
  tensorflow: "SigmoidGrad",
  onnx: TRAINING_ONLY,
  tfjs: (k, y, g) => k.mul(g, k.mul(y, k.sub(1, y))),
  plain: (y, g) => g * y * (1 - y),
  batch: leading,
  gradient: ({ grad, inputs: [y, g] }) => [
    call(mul, call(mul, grad, g!), call(sub, constant(1), scaled(y!, 2))),
    call(sigmoidGrad, y!, grad),
  ],
});
export const tanh = elementwise({
  name: "tanh",
  tensorflow: (b, [x]) => tanhNode(b, x!),
  onnx: "Tanh",
  plain: Math.tanh,
  gradient: ({ grad, outputs: [y] }) => [call(tanhGrad, y!, grad)],
});
/** grad · (1 − y²). */
export const tanhGrad: Op<object> = elementwise({
  name: "tanhGrad",
  tensorflow: "TanhGrad",
  onnx: TRAINING_ONLY,
  tfjs: (k, y, g) => k.mul(g, k.sub(1, k.square(y))),
  plain: (y, g) => g * (1 - y * y),
  batch: leading,
  gradient: ({ grad, inputs: [y, g] }) => [
    call(mul, call(mul, grad, g!), scaled(y!, -2)),
    call(tanhGrad, y!, grad),
  ],
});

const softplusOf = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));
export const softplus = elementwise({
  name: "softplus",
  tensorflow: (b, [x]) => softplusNode(b, x!),
  onnx: "Softplus",
  tfjs: (k, x) => mapped(k, x, softplusOf),
  plain: softplusOf,
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, call(sigmoid, x!))],
});

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
      needs[1] ? call(where, c!, grad, zero) : null,
      needs[2] ? call(where, c!, zero, grad) : null,
    ];
  },
  batch: broadcasting,
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
