// The incomplete gamma functions and Hurwitz' zeta function: functions of two numbers, of which the second has a gradient.
import { TensorError } from "../../core/errors.ts";
import type { Tensor } from "../../core/tensor.ts";
import { scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { equalNode, T } from "../../lowering/nodes.ts";
import type { GradientRule, Op } from "../../recording/op.ts";
import { call, constant } from "../expressions.ts";
import { elementwise, mappedPairs } from "./declare.ts";
import { add, exp, log, mul, neg, sub } from "./elementwise.ts";
import { inDouble } from "./exactNodes.ts";
import { lgamma } from "./special.ts";
import { incompleteGamma, zeta as zetaOf } from "./specialValues.ts";

interface Pair {
  readonly name: string;
  readonly gradName: string;
  readonly value: (x: number, y: number) => number;
  readonly tensorflow: (b: TfBuilder, x: TfRef, y: TfRef) => TfRef;
  /** The derivative by the second input. */
  readonly slope: (x: Tensor, y: Tensor) => Tensor;
  /** PyTorch's words for what has no derivative. */
  readonly first: string;
}

function pair({ name, gradName, value, tensorflow, slope, first }: Pair): Op<object> {
  const gradient: GradientRule<object> = ({ grad, inputs: [x, y], needs }) => {
    if (needs[0]) throw new TensorError("autograd", `the derivative for '${first}' is not implemented.`);
    return [null, call(mul, grad, slope(x!, y!))];
  };
  return elementwise({
    name,
    gradName,
    gradient,
    onnx: { none: "ONNX has no such function" },
    tensorflow: (b, [x, y]) => tensorflow(b, x!, y!),
    tfjs: (k, x, y) => mappedPairs(k, x, y, value),
  });
}

/** xᵃ⁻¹ e⁻ˣ / Γ(a). */
function density(a: Tensor, x: Tensor): Tensor {
  const power = call(mul, call(sub, a, constant(1)), call(log, x));
  return call(exp, call(sub, call(sub, power, x), call(lgamma, a)));
}

/** A kernel's values, and those where a parameter is at the end of its range: TensorFlow's kernels have none, or others. */
function withEnds(b: TfBuilder, op: string, a: TfRef, x: TfRef, upper: boolean): TfRef {
  const number = (value: number): TfRef => scalar(b, value, "float32");
  const test = (name: string, p: TfRef, q: number): TfRef => b.node(name, [p, number(q)], { T });
  const is = (p: TfRef, q: number): TfRef => equalNode(b, [p, number(q)], "float32");
  const choose = (p: TfRef, then: TfRef, rest: TfRef): TfRef => b.node("SelectV2", [p, then, rest], { T });
  const [none, all] = [number(upper ? 1 : 0), number(upper ? 0 : 1)];
  const inside = b.node("LogicalAnd", [test("GreaterEqual", x, 0), test("Less", x, Infinity)], {});
  const beyond = choose(test("Greater", a, 0), all, number(NaN));
  const kernel = choose(is(x, Infinity), beyond, inDouble(b, op, a, x));
  const endless = choose(is(a, Infinity), choose(inside, none, number(NaN)), kernel);
  const right = choose(is(a, 0), choose(test("Greater", x, 0), all, number(NaN)), endless);
  return choose(test("Less", a, 0), number(NaN), right);
}

/** Zeta's kernel, and its poles: the whole numbers that are not above 0. */
function withPoles(b: TfBuilder, s: TfRef, q: TfRef): TfRef {
  const number = (value: number): TfRef => scalar(b, value, "float32");
  const converges = b.node("GreaterEqual", [s, number(1)], { T });
  const whole = equalNode(b, [q, b.node("Floor", [q], { T })], "float32");
  const below = b.node("LogicalAnd", [whole, b.node("LessEqual", [q, number(0)], { T })], {});
  const pole = b.node("LogicalAnd", [converges, below], {});
  return b.node("SelectV2", [pole, number(Infinity), inDouble(b, "Zeta", s, q)], { T });
}

/** The regularized lower incomplete gamma function P(a, x). */
export const igamma: Op<object> = pair({
  name: "igamma",
  gradName: "IgammaBackward0",
  value: (a, x) => incompleteGamma(a, x, false),
  tensorflow: (b, a, x) => withEnds(b, "Igamma", a, x, false),
  slope: density,
  first: "igamma: input",
});

/** The regularized upper incomplete gamma function Q(a, x) = 1 − P(a, x). */
export const igammac: Op<object> = pair({
  name: "igammac",
  gradName: "IgammacBackward0",
  value: (a, x) => incompleteGamma(a, x, true),
  tensorflow: (b, a, x) => withEnds(b, "Igammac", a, x, true),
  slope: (a, x) => call(neg, density(a, x)),
  first: "igammac: input",
});

/** Σ 1 / (q + k)ˢ over k from 0 on. */
export const zeta: Op<object> = pair({
  name: "zeta",
  gradName: "SpecialZetaBackward0",
  value: zetaOf,
  tensorflow: withPoles,
  slope: (s, q) => call(neg, call(mul, s, call(zeta, call(add, s, constant(1)), q))),
  first: "zeta",
});
