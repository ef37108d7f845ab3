// Functions of two numbers that are one kernel, where formulas of several ops take a pass for each.
import type * as tfjs from "@tensorflow/tfjs-core";
import type { Meta } from "../../core/meta.ts";
import type { Tensor } from "../../core/tensor.ts";
import { attr, type TfRef } from "../../lowering/lowering.ts";
import type { Op } from "../../recording/op.ts";
import { call, constant } from "../expressions.ts";
import { formulaRules, functionsOf, type Functions, type Writer } from "../formulas.ts";
import { elementwise, mappedPairs, type Elementwise } from "./declare.ts";
import * as ops from "./elementwise.ts";
import { atan } from "./math.ts";

/** −x where `negative`, else x. */
const sized = <V>(f: Functions<V>, x: V, negative: V): V => f.where(negative, f.neg(x), x);

/** Whether a number has a sign, which −0 has, too. */
const isNegative = <V>(f: Functions<V>, x: V): V =>
  f.less(f.where(f.equal(x, f.number(0)), f.reciprocal(x), x), f.number(0));

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
  });
}

/** The angle of the point (y, x) in radians, from −π to π. */
export const atan2 = pair({
  name: "atan2",
  kernel: "Atan2",
  tensorflow: "Atan2",
  plain: Math.atan2,
  formula(w, y, x) {
    const f = functionsOf(w);
    const [zero, pi, infinity] = [f.number(0), f.number(Math.PI), f.number(Infinity)];
    const [below, behind] = [isNegative(f, y), isNegative(f, x)];
    const [height, width] = [sized(f, y, below), sized(f, x, behind)];
    // A ratio from 0 to 1, so that no division is by 0.
    const steep = f.less(width, height);
    const [shorter, longer] = [f.where(steep, width, height), f.where(steep, height, width)];
    const none = f.equal(f.add(shorter, longer), zero);
    const infinite = f.and(f.equal(shorter, infinity), f.equal(longer, infinity));
    const ratio = f.div(shorter, f.where(none, f.number(1), longer));
    const angle = w.make(atan, [f.where(infinite, f.number(1), f.where(none, zero, ratio))], {});
    const up = f.where(steep, f.sub(f.number(Math.PI / 2), angle), angle);
    return sized(f, f.where(behind, f.sub(pi, up), up), below);
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
    const f = functionsOf(w);
    const longer = f.maximum(f.abs(x), f.abs(y));
    const small = f.where(f.less(longer, f.number(2 ** -60)), f.number(2 ** 80), f.number(1));
    const scale = f.where(f.less(f.number(2 ** 60), longer), f.number(2 ** -80), small);
    const squares = f.add(f.square(f.mul(x, scale)), f.square(f.mul(y, scale)));
    const length = f.div(f.sqrt(squares), scale);
    const infinity = f.number(Infinity);
    const infinite = f.or(f.equal(f.abs(x), infinity), f.equal(f.abs(y), infinity));
    return f.where(infinite, infinity, length);
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
    const f = functionsOf(w);
    return sized(f, f.abs(x), isNegative(f, y));
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
    const f = functionsOf(w);
    const negative = f.less(x, f.number(0));
    return sized(f, f.remainder(sized(f, x, negative), sized(f, y, isNegative(f, y))), negative);
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
    const f = functionsOf(w, "int64");
    let [a, b] = [f.abs(x), f.abs(y)];
    for (let i = 0; i < EUCLID; i++) {
      const done = f.equal(b, f.number(0));
      const rest = f.where(done, f.number(0), f.remainder(a, f.where(done, f.number(1), b)));
      [a, b] = [f.where(done, a, b), rest];
    }
    return a;
  },
});
