// Functions with branches and numbers: one kernel each, forward and backward, where formulas of several ops take a pass for each.
import { attr, type TfAttribute } from "../../lowering/lowering.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import type { Tensor } from "../../core/tensor.ts";
import { apply } from "../../recording/apply.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import { formulaRules, functionsOf, RECORDED, type Functions } from "../formulas.ts";

type Numbers = Readonly<Record<string, number>>;

interface Pieces<A extends Numbers> {
  readonly name: string;
  /** What the native engine's kernel is called; that of the gradient has "Grad" after it. */
  readonly kernel: string;
  /** The attributes that the kernels read. */
  readonly numbers: readonly (keyof A & string)[];
  /** The value at x. A branch that isn't taken must stay finite, or its gradient is 0 · ∞. */
  readonly value: <V>(f: Functions<V>, x: V, a: A) => V;
  /** The gradient at x for that of the result, which can be differentiated again. */
  readonly gradient: <V>(f: Functions<V>, g: V, x: V, a: A) => V;
}

/** Declares a function and its gradient, both from formulas. */
function piecewise<A extends Numbers>({ name, kernel, numbers, value, gradient }: Pieces<A>): Op<A> {
  const attributesOf = (a: A): Record<string, TfAttribute> => ({
    T: attr.type("float32"),
    ...Object.fromEntries(numbers.map((key) => [key, attr.float(a[key]!)])),
  });
  const backward = formulaRules<A>((w, [g, x], a) => [gradient(functionsOf(w), g!, x!, a)]);
  const slope: Op<A> = defineOp<A>({
    name: `${name}Grad`,
    layout: "elementwise",
    infer: ([g]) => g!,
    gradient: { none: "gradients that are to be differentiated again are made of simpler ops" },
    batch: leading,
    ...backward,
    onnx: TRAINING_ONLY,
    tensorflow: (b, inputs, a, signature) =>
      b.exact === true
        ? b.node(`${kernel}Grad`, inputs, attributesOf(a))
        : backward.tensorflow(b, inputs, a, signature),
  });
  const forward = formulaRules<A>((w, [x], a) => [value(functionsOf(w), x!, a)]);
  const recorded: Functions<Tensor> = functionsOf(RECORDED);
  return defineOp<A>({
    name,
    layout: "elementwise",
    infer: ([x]) => x!,
    gradient: ({ grad, inputs: [x], attributes }) => [
      scope.gradients ? gradient(recorded, grad, x!, attributes) : apply(slope, [grad, x!], attributes),
    ],
    batch: leading,
    ...forward,
    tensorflow: (b, inputs, a, signature) =>
      b.exact === true
        ? b.node(kernel, inputs, attributesOf(a))
        : forward.tensorflow(b, inputs, a, signature),
  });
}

type Elu = { readonly below: number; readonly above: number; readonly steepness: number };

/** below · (e^(steepness · x) − 1) where x is not positive, else above · x: also where x is NaN, as in PyTorch. */
export const scaledElu = piecewise<Elu>({
  name: "scaledElu",
  kernel: "ScaledElu",
  numbers: ["below", "above", "steepness"],
  value(f, x, { below, above, steepness }) {
    const curved = f.atMost(x, f.number(0));
    const inner = f.mul(f.where(curved, x, f.number(0)), f.number(steepness));
    return f.where(curved, f.mul(f.expm1(inner), f.number(below)), f.mul(x, f.number(above)));
  },
  gradient(f, g, x, { below, above, steepness }) {
    const curved = f.atMost(x, f.number(0));
    const inner = f.mul(f.where(curved, x, f.number(0)), f.number(steepness));
    const curve = f.mul(f.exp(inner), f.number(below * steepness));
    return f.where(curved, f.mul(g, curve), f.mul(g, f.number(above)));
  },
});

type Interval = { readonly min: number; readonly max: number };

/** x moved into [min, max]. Unlike clamp, no gradient passes on the bounds themselves. */
export const hardtanh = piecewise<Interval>({
  name: "hardtanh",
  kernel: "Hardtanh",
  numbers: ["min", "max"],
  value(f, x, { min, max }) {
    const [least, most] = [f.number(min), f.number(max)];
    return f.where(f.atMost(x, least), least, f.where(f.atMost(most, x), most, x));
  },
  gradient(f, g, x, { min, max }) {
    const none = f.number(0);
    return f.where(f.atMost(x, f.number(min)), none, f.where(f.atMost(f.number(max), x), none, g));
  },
});

type Shrink = { readonly lambd: number };

/** Elements of y where |x| is above lambd, else 0. */
const outside = <V>(f: Functions<V>, y: V, x: V, { lambd }: Shrink): V =>
  f.where(f.atMost(f.abs(x), f.number(lambd)), f.number(0), y);

/** x where |x| is above lambd, else 0. */
export const hardshrink = piecewise<Shrink>({
  name: "hardshrink",
  kernel: "Hardshrink",
  numbers: ["lambd"],
  value: (f, x, a) => outside(f, x, x, a),
  gradient: outside,
});

/** x moved towards 0 by lambd, 0 in between. */
export const softshrink = piecewise<Shrink>({
  name: "softshrink",
  kernel: "Softshrink",
  numbers: ["lambd"],
  value: (f, x, a) => outside(f, f.sub(x, clamped(f, x, a.lambd)), x, a),
  gradient: outside,
});

/** x moved into [−bound, bound]. */
function clamped<V>(f: Functions<V>, x: V, bound: number): V {
  const [least, most] = [f.number(-bound), f.number(bound)];
  return f.where(f.less(x, least), least, f.where(f.less(most, x), most, x));
}

type Threshold = { readonly threshold: number; readonly value: number };

/** x where it is above the threshold, else `value`. */
export const threshold = piecewise<Threshold>({
  name: "threshold",
  kernel: "Threshold",
  numbers: ["threshold", "value"],
  value: (f, x, a) => f.where(f.atMost(x, f.number(a.threshold)), f.number(a.value), x),
  gradient: (f, g, x, a) => f.where(f.atMost(x, f.number(a.threshold)), f.number(0), g),
});

/** min(max(x + 3, 0), 6) / 6. NaN gets no gradient, as in PyTorch. */
export const hardsigmoid = piecewise<Numbers>({
  name: "hardsigmoid",
  kernel: "Hardsigmoid",
  numbers: [],
  value: (f, x) => f.mul(f.add(clamped(f, x, 3), f.number(3)), f.number(1 / 6)),
  gradient(f, g, x) {
    const inside = f.where(f.less(x, f.number(3)), f.mul(g, f.number(1 / 6)), f.number(0));
    return f.where(f.less(f.number(-3), x), inside, f.number(0));
  },
});

/** x · hardsigmoid(x). */
export const hardswish = piecewise<Numbers>({
  name: "hardswish",
  kernel: "Hardswish",
  numbers: [],
  value(f, x) {
    const [low, high] = [f.atMost(x, f.number(-3)), f.less(x, f.number(3))];
    const inner = f.where(low, f.number(0), f.where(high, x, f.number(0)));
    const curve = f.mul(inner, f.mul(f.add(inner, f.number(3)), f.number(1 / 6)));
    // 0 · x is NaN at −∞, as in PyTorch.
    return f.where(low, f.mul(x, f.number(0)), f.where(high, curve, x));
  },
  gradient(f, g, x) {
    const [low, high] = [f.atMost(x, f.number(-3)), f.less(x, f.number(3))];
    const inner = f.where(low, f.number(0), f.where(high, x, f.number(0)));
    const curve = f.mul(g, f.add(f.mul(inner, f.number(1 / 3)), f.number(0.5)));
    return f.where(low, f.number(0), f.where(high, curve, g));
  },
});

/** ln(sigmoid(x)), without overflow. */
export const logSigmoid = piecewise<Numbers>({
  name: "logSigmoid",
  kernel: "LogSigmoid",
  numbers: [],
  value: (f, x) => f.neg(f.softplus(f.neg(x))),
  gradient: (f, g, x) => f.mul(g, f.sigmoid(f.neg(x))),
});

type Bend = { readonly bound: number; readonly slope: number };

/** slope · x² / (2 · bound) where |x| is below `bound`, and lines of that slope beyond. */
export const huber = piecewise<Bend>({
  name: "huber",
  kernel: "Huber",
  numbers: ["bound", "slope"],
  value(f, x, { bound, slope }) {
    const size = f.abs(x);
    const near = f.where(f.less(size, f.number(bound)), size, f.number(bound));
    return f.mul(f.mul(f.sub(size, f.mul(near, f.number(0.5))), near), f.number(slope / bound));
  },
  gradient: (f, g, x, { bound, slope }) => f.mul(g, f.mul(clamped(f, x, bound), f.number(slope / bound))),
});
