// Functions with branches and numbers.
import type { Functions } from "../formulas.ts";
import { oneKernel } from "./oneKernel.ts";

type Elu = { readonly below: number; readonly above: number; readonly steepness: number };

/** below · (e^(steepness · x) − 1) where x is not positive, else above · x: also where x is NaN, as in PyTorch. */
export const scaledElu = oneKernel<Elu>({
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
export const hardtanh = oneKernel<Interval>({
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
export const hardshrink = oneKernel<Shrink>({
  name: "hardshrink",
  kernel: "Hardshrink",
  numbers: ["lambd"],
  value: (f, x, a) => outside(f, x, x, a),
  gradient: outside,
});

/** x moved towards 0 by lambd, 0 in between. */
export const softshrink = oneKernel<Shrink>({
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
export const threshold = oneKernel<Threshold>({
  name: "threshold",
  kernel: "Threshold",
  numbers: ["threshold", "value"],
  value: (f, x, a) => f.where(f.atMost(x, f.number(a.threshold)), f.number(a.value), x),
  gradient: (f, g, x, a) => f.where(f.atMost(x, f.number(a.threshold)), f.number(0), g),
});

/** min(max(x + 3, 0), 6) / 6. NaN gets no gradient, as in PyTorch. */
export const hardsigmoid = oneKernel<object>({
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
export const hardswish = oneKernel<object>({
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
export const logSigmoid = oneKernel<object>({
  name: "logSigmoid",
  kernel: "LogSigmoid",
  numbers: [],
  value: (f, x) => f.neg(f.softplus(f.neg(x))),
  gradient: (f, g, x) => f.mul(g, f.sigmoid(f.neg(x))),
});

type Bend = { readonly bound: number; readonly slope: number };

/** slope · x² / (2 · bound) where |x| is below `bound`, and lines of that slope beyond. */
export const huber = oneKernel<Bend>({
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
