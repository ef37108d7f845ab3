// Special functions, and bits of integers. tfjs has no kernels of these: there they are computed on the host.
import { filled } from "../../core/dtype.ts";
import { broadcastShapes, numel } from "../../core/shape.ts";
import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { equalNode, T } from "../../lowering/nodes.ts";
import { number } from "../../lowering/onnx.ts";
import { broadcasting, leading } from "../../recording/batchRules.ts";
import { apply } from "../../recording/apply.ts";
import { defineOp, type GradientRule, type NoOnnx, type OnnxRule, type Op } from "../../recording/op.ts";
import { call, constant } from "../expressions.ts";
import { mapped } from "./declare.ts";
import { exp, mul, neg, square } from "./elementwise.ts";
import { inDouble } from "./exactNodes.ts";
import { digamma, erfc as erfcOf, erfinv as erfinvOf, lgamma as lgammaOf, zeta } from "./specialValues.ts";

const UNKNOWN: NoOnnx = { none: "ONNX has no such function" };

/** A function of one tensor whose values tfjs's side computes on the host. */
export interface Special {
  readonly name: string;
  readonly value: (x: number) => number;
  readonly gradient: GradientRule<object> | { readonly none: string };
  readonly tensorflow: (b: TfBuilder, x: TfRef) => TfRef;
  readonly onnx?: OnnxRule<object>;
  readonly saves?: Op<object>["saves"];
  readonly gradName?: string;
}

/** Adds such a function to the table. */
export function special({ name, value, gradient, tensorflow, onnx, saves, gradName }: Special): Op<object> {
  return defineOp({
    name,
    ...(gradName === undefined ? {} : { gradName }),
    ...(saves === undefined ? {} : { saves }),
    infer: ([x]) => x!,
    gradient,
    batch: leading,
    onnx: onnx ?? UNKNOWN,
    tensorflow: (b, [x]) => tensorflow(b, x!),
    tfjs: (k, [x]) => mapped(k, x!, value),
    cost: ({ outputs }) => 8 * numel(outputs[0]!.shape),
  });
}

/** 1 − erf(x), exact where that is small. */
export const erfc = special({
  name: "erfc",
  value: erfcOf,
  gradient: ({ grad, inputs: [x] }) => [
    call(mul, call(mul, grad, call(exp, call(neg, call(square, x!)))), constant(-2 / Math.sqrt(Math.PI))),
  ],
  tensorflow: (b, x) => inDouble(b, "Erfc", x),
  onnx: (b, inputs) => b.node("Sub", [number(b, 1), b.node("Erf", inputs)]),
});

/** One of Newton's steps from a root y of erf(y) = x: TensorFlow's is off by up to a thousand units in the last place. */
function closerRoot(b: TfBuilder, x: TfRef): TfRef {
  const y = b.node("Erfinv", [x], { T });
  if (b.exact === true) return y;
  const one = (op: string, u: TfRef): TfRef => b.node(op, [u], { T });
  const two = (op: string, u: TfRef, v: TfRef): TfRef => b.node(op, [u, v], { T });
  const number = (v: number): TfRef => scalar(b, v, "float32");
  const choose = (c: TfRef, u: TfRef, v: TfRef): TfRef => b.node("SelectV2", [c, u, v], { T });
  const size = one("Abs", x);
  // Near 1, what is left to 1 is exact.
  const rest = two("Sub", two("Sub", number(1), size), one("Erfc", one("Abs", y)));
  const excess = choose(
    two("Less", size, number(0.5)),
    two("Sub", one("Erf", y), x),
    two("Mul", one("Sign", x), rest),
  );
  const slope = two("Mul", one("Exp", one("Square", y)), number(Math.sqrt(Math.PI) / 2));
  const inside = two("Less", size, number(1));
  return choose(inside, two("Sub", y, two("Mul", excess, slope)), y);
}

/** The inverse of erf. */
export const erfinv: Op<object> = special({
  name: "erfinv",
  saves: () => [true],
  value: erfinvOf,
  gradient: ({ grad, outputs: [y] }) => [
    call(mul, call(mul, grad, call(exp, call(square, y!))), constant(Math.sqrt(Math.PI) / 2)),
  ],
  tensorflow: closerRoot,
});

/** ln |Γ(x)|. */
export const lgamma: Op<object> = special({
  name: "lgamma",
  value: lgammaOf,
  gradient: ({ grad, inputs: [x] }) => [call(mul, grad, apply(polygamma, [x!], { n: 0 }))],
  tensorflow: (b, x) => b.node("Lgamma", [x], { T }),
});

/** TensorFlow's kernel, and the infinities at the two zeros. */
function digammaWithPole(b: TfBuilder, x: TfRef): TfRef {
  const number = (v: number): TfRef => scalar(b, v, "float32");
  const pole = equalNode(b, [x, number(0)], "float32");
  const infinite = b.node("RealDiv", [number(-1), x], { T });
  return b.node("SelectV2", [pole, infinite, b.node("Digamma", [x], { T })], { T });
}

/** Coefficients of the polynomial in cot(πx) that is the n-th derivative of π cot(πx), the lowest power first. */
function cotangents(n: number): number[] {
  let powers = [0, Math.PI];
  // The derivative of c = cot(πx) is −π (1 + c²).
  for (let i = 0; i < n; i++) {
    const slopes = powers.slice(1).map((p, k) => -Math.PI * p * (k + 1));
    powers = [...slopes, 0, 0].map((p, k) => p + (slopes[k - 2] ?? 0));
  }
  return powers;
}

/** For n > 0. TensorFlow's kernel is wrong below 0: there by reflection, ψₙ(x) = (−1)ⁿ ψₙ(1 − x) − dⁿ/dxⁿ π cot(πx). */
function derivativeOfDigamma(b: TfBuilder, n: number, x: TfRef): TfRef {
  const of = (op: string, ...inputs: TfRef[]): TfRef => b.node(op, inputs, { T });
  const value = (v: number): TfRef => scalar(b, v, "float32");
  const choose = (c: TfRef, u: TfRef, v: TfRef): TfRef => b.node("SelectV2", [c, u, v], { T });
  const left = of("LessEqual", x, value(0));
  const right = of("Polygamma", value(n), choose(left, of("Sub", value(1), x), x));
  const rest = of("Sub", x, of("Floor", of("Add", x, value(0.5))));
  const pole = equalNode(b, [rest, value(0)], "float32");
  const angle = of("Mul", choose(pole, value(0.25), rest), value(Math.PI));
  const cotangent = of("RealDiv", of("Cos", angle), of("Sin", angle));
  const slope = cotangents(n).reduceRight(
    (sum, p) => of("Add", of("Mul", sum, cotangent), value(p)),
    value(0),
  );
  const reflected = of("Sub", n % 2 === 0 ? right : of("Neg", right), slope);
  return choose(left, choose(pole, value(n % 2 === 0 ? -Infinity : Infinity), reflected), right);
}

/** The n-th derivative of the digamma function. */
export const polygamma: Op<{ n: number }> = defineOp<{ n: number }>({
  name: "polygamma",
  infer: ([x]) => x!,
  gradient: ({ grad, inputs: [x], attributes: { n } }) => [
    call(mul, grad, apply(polygamma, [x!], { n: n + 1 })),
  ],
  batch: leading,
  onnx: UNKNOWN,
  tensorflow(b, [x], { n }) {
    if (n === 1 && b.exact === true) return b.node("Trigamma", [x!], { T });
    return n === 0 ? digammaWithPole(b, x!) : derivativeOfDigamma(b, n, x!);
  },
  tfjs(k, [x], { n }) {
    if (n === 0) return mapped(k, x!, digamma);
    let sign = -1;
    for (let i = 1; i <= n; i++) sign *= -i;
    return mapped(k, x!, (value) => sign * zeta(n + 1, value));
  },
  cost: ({ outputs }) => 16 * numel(outputs[0]!.shape),
});

export type BitKind = "and" | "or" | "xor" | "left" | "right";

const BITS: Record<BitKind, { readonly tensorflow: string; of(a: number, b: number): number }> = {
  and: { tensorflow: "BitwiseAnd", of: (a, b) => a & b },
  or: { tensorflow: "BitwiseOr", of: (a, b) => a | b },
  xor: { tensorflow: "BitwiseXor", of: (a, b) => a ^ b },
  left: { tensorflow: "LeftShift", of: (a, b) => a << b },
  right: { tensorflow: "RightShift", of: (a, b) => a >> b },
};

/** Integers combined bit by bit, or shifted; shapes broadcast. */
export const bitwise: Op<{ kind: BitKind }> = defineOp<{ kind: BitKind }>({
  name: "bitwise",
  infer: ([a, b]) => ({ shape: broadcastShapes(a!.shape, b!.shape), dtype: "int64" }),
  gradient: { none: "integers have no gradient" },
  batch: broadcasting,
  onnx: { none: "its opset has no ops on bits" },
  tensorflow: (b: TfBuilder, inputs: readonly TfRef[], { kind }) =>
    b.node(BITS[kind].tensorflow, inputs, { T: attr.type("int64") }),
  tfjs(k, inputs, { kind }, { outputs }) {
    const shape = [...outputs[0]!.shape];
    const [left, right] = inputs.map((x) => k.broadcastTo(x, shape).dataSync()) as [Int32Array, Int32Array];
    return k.tensor(
      filled(new Int32Array(left.length), (i) => BITS[kind].of(left[i]!, right[i]!)),
      shape,
      "int32",
    );
  },
  cost: ({ outputs }) => numel(outputs[0]!.shape),
});
