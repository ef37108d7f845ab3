// Functions of two numbers that are one kernel, where formulas of several ops take a pass for each.
import type * as tfjs from "@tensorflow/tfjs-core";
import type { Meta } from "../../core/meta.ts";
import type { Tensor } from "../../core/tensor.ts";
import { attr, type TfRef } from "../../lowering/lowering.ts";
import type { Op } from "../../recording/op.ts";
import { call, constant } from "../expressions.ts";
import { formulaRules, type Writer } from "../formulas.ts";
import { elementwise, mappedPairs, ofFloats, type Elementwise } from "./declare.ts";
import * as ops from "./elementwise.ts";
import { atan } from "./math.ts";
import { remainder } from "./remainder.ts";

/** The ops of a formula. */
function functionsOf<V extends Meta>(w: Writer<V>, dtype: "float32" | "int64" = "float32") {
  const of =
    (op: Op<object>) =>
    (...inputs: V[]): V =>
      w.make(op, inputs, {});
  const number = (value: number): V => w.constant([value], [], dtype);
  const [where, neg, eq, lt] = [of(ops.where), of(ops.neg), of(ops.eq), of(ops.lt)];
  return {
    of,
    number,
    where,
    /** −x where `negative`, else x. */
    sized: (x: V, negative: V): V => where(negative, neg(x), x),
    /** Whether a number has a sign, which −0 has, too. */
    isNegative: (x: V): V => lt(where(eq(x, number(0)), of(ops.reciprocal)(x), x), number(0)),
  };
}

type Formula = <V extends Meta>(w: Writer<V>, x: V, y: V) => V;

interface Pair extends Pick<Elementwise, "name" | "gradient" | "plain"> {
  /** What the native engine's kernel is called. */
  readonly kernel: string;
  /** TensorFlow's op in compiled graphs, which TensorFlow.js may lack; by default the formula. */
  readonly tensorflow?: string;
  readonly formula: Formula;
}

function pair({ name, gradient, plain, kernel, tensorflow, formula }: Pair): Op<object> {
  const rules = formulaRules<object>((w, [x, y]) => [formula(w, x!, y!)]);
  return elementwise({
    name,
    gradient,
    tensorflow(b, inputs, signature) {
      const op = b.exact === true ? kernel : b.portable === true ? undefined : tensorflow;
      if (op !== undefined) return b.node(op, inputs, { T: attr.type(signature.inputs[0]!.dtype) });
      return (rules.tensorflow(b, inputs, {}, signature) as readonly TfRef[])[0]!;
    },
    onnx: rules.onnx,
    tfjs(k, x, y) {
      if (plain !== undefined) return mappedPairs(k, x, y, plain);
      const inputs = [x, y].map(({ shape, dtype }): Meta => ({
        shape,
        dtype: dtype === "int32" ? "int64" : "float32",
      }));
      return (rules.tfjs(k, [x, y], {}, { inputs, outputs: [] }) as readonly tfjs.Tensor[])[0]!;
    },
    ...(plain !== undefined && { plain }),
    xla: ofFloats,
  });
}

/** The angle of the point (y, x) in radians, from −π to π. */
export const atan2 = pair({
  name: "atan2",
  kernel: "Atan2",
  tensorflow: "Atan2",
  plain: Math.atan2,
  formula(w, y, x) {
    const { of, number, where, sized, isNegative } = functionsOf(w);
    const [eq, gt, sub, pi] = [of(ops.eq), of(ops.gt), of(ops.sub), number(Math.PI)];
    const [below, behind] = [isNegative(y), isNegative(x)];
    const [height, width] = [sized(y, below), sized(x, behind)];
    // A ratio from 0 to 1, so that no division is by 0.
    const steep = gt(height, width);
    const [shorter, longer] = [where(steep, width, height), where(steep, height, width)];
    const none = eq(of(ops.add)(shorter, longer), number(0));
    const infinite = of(ops.logicalAnd)(eq(shorter, number(Infinity)), eq(longer, number(Infinity)));
    const ratio = of(ops.div)(shorter, where(none, number(1), longer));
    const angle = of(atan)(where(infinite, number(1), where(none, number(0), ratio)));
    const up = where(steep, sub(number(Math.PI / 2), angle), angle);
    return sized(where(behind, sub(pi, up), up), below);
  },
  gradient({ grad, inputs: [y, x], needs }) {
    const square = call(ops.add, call(ops.square, y!), call(ops.square, x!));
    // At the origin, PyTorch's is 0.
    const share = call(
      ops.where,
      call(ops.eq, square, constant(0)),
      constant(0),
      call(ops.div, grad, square),
    );
    return [
      needs[0] ? call(ops.mul, share, x!) : null,
      needs[1] ? call(ops.neg, call(ops.mul, share, y!)) : null,
    ];
  },
});

/** √(x² + y²), without overflow of the squares; ∞ where either is infinite. */
export const hypot: Op<object> = pair({
  name: "hypot",
  kernel: "Hypot",
  plain: Math.hypot,
  formula(w, x, y) {
    const { of, number, where } = functionsOf(w);
    const [abs, mul, square, eq] = [of(ops.abs), of(ops.mul), of(ops.square), of(ops.eq)];
    const longer = of(ops.maximum)(abs(x), abs(y));
    const small = where(of(ops.lt)(longer, number(2 ** -60)), number(2 ** 80), number(1));
    const scale = where(of(ops.gt)(longer, number(2 ** 60)), number(2 ** -80), small);
    const squares = of(ops.add)(square(mul(x, scale)), square(mul(y, scale)));
    const length = of(ops.div)(of(ops.sqrt)(squares), scale);
    const infinite = of(ops.logicalOr)(eq(abs(x), number(Infinity)), eq(abs(y), number(Infinity)));
    return where(infinite, number(Infinity), length);
  },
  gradient: ({ grad, inputs: [x, y], outputs: [z], needs }) => [
    needs[0] ? call(ops.mul, grad, call(ops.div, x!, z!)) : null,
    needs[1] ? call(ops.mul, grad, call(ops.div, y!, z!)) : null,
  ],
});

/** |x| with the sign of y, which −0 has, too. */
export const copysign = pair({
  name: "copysign",
  kernel: "Copysign",
  plain: (x, y) => (y < 0 || Object.is(y, -0) ? -Math.abs(x) : Math.abs(x)),
  formula(w, x, y) {
    const { of, sized, isNegative } = functionsOf(w);
    return sized(of(ops.abs)(x), isNegative(y));
  },
  // NaN at infinity, as PyTorch's. That by the sign is 0.
  gradient: ({ grad, inputs: [x], outputs: [z] }) => [
    call(ops.mul, grad, call(ops.where, call(ops.eq, x!, constant(0)), constant(0), call(ops.div, z!, x!))),
    call(ops.where, constant(0, "bool"), grad, constant(0)),
  ],
});

function truncated(x: Tensor): Tensor {
  return call(ops.where, call(ops.lt, x, constant(0)), call(ops.ceil, x), call(ops.floor, x));
}

/** The remainder of floats that has the sign of the first, as C's. */
export const fmod = pair({
  name: "fmod",
  kernel: "Fmod",
  tensorflow: "TruncateMod",
  plain: (x, y) => x % y,
  formula(w, x, y) {
    const { of, number, sized, isNegative } = functionsOf(w);
    const negative = of(ops.lt)(x, number(0));
    return sized(of(remainder)(sized(x, negative), sized(y, isNegative(y))), negative);
  },
  gradient: ({ grad, inputs: [x, y], needs }) => [
    grad,
    needs[1] ? call(ops.neg, call(ops.mul, grad, truncated(call(ops.div, x!, y!)))) : null,
  ],
});

/** Steps of Euclid's algorithm that are enough for all 32-bit integers: the longest are those of Fibonacci's numbers. */
const EUCLID = 46;

/** The greatest common divisor of integers; 0 of two zeros. */
export const gcd = pair({
  name: "gcd",
  kernel: "Gcd",
  gradient: { none: "integers have no gradient" },
  formula(w, x, y) {
    const { of, number, where } = functionsOf(w, "int64");
    let [a, b] = [of(ops.abs)(x), of(ops.abs)(y)];
    for (let i = 0; i < EUCLID; i++) {
      const done = of(ops.eq)(b, number(0));
      const rest = where(done, number(0), of(remainder)(a, where(done, number(1), b)));
      [a, b] = [where(done, a, b), rest];
    }
    return a;
  },
});
