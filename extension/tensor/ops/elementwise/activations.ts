// Activations that are one kernel, forward and backward.
import { attr, scalar } from "../../lowering/lowering.ts";
import { T } from "../../lowering/nodes.ts";
import { number, TRAINING_ONLY } from "../../lowering/onnx.ts";
import { apply } from "../../recording/apply.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import type { Functions } from "../formulas.ts";
import { oneKernel } from "./oneKernel.ts";

export interface Slope {
  /** Of what is not above 0. */
  readonly slope: number;
}

/** x where it is positive, else slope · x. */
export const leakyRelu: Op<Slope> = defineOp<Slope>({
  name: "leakyRelu",
  layout: "elementwise",
  infer: ([x]) => x!,
  gradient: ({ grad, inputs: [x], attributes }) => [apply(leakyReluGrad, [grad, x!], attributes)],
  batch: leading,
  onnx: (b, [x], { slope }) =>
    b.node("Where", [b.node("Greater", [x!, number(b, 0)]), x!, b.node("Mul", [x!, number(b, slope)])]),
  tensorflow(b, [x], { slope }) {
    // The kernel takes the larger of x and slope · x, which is no number where 0 meets infinity.
    if (b.portable === true || slope === 0) {
      const positive = b.node("Greater", [x!, scalar(b, 0, "float32")], { T });
      const scaled = b.node("Mul", [x!, scalar(b, slope, "float32")], { T });
      return b.node("SelectV2", [positive, x!, scaled], { T });
    }
    return b.node("LeakyRelu", [x!], { T, alpha: attr.float(slope) });
  },
  tfjs: (k, [x], { slope }) => k.leakyRelu(x!, slope),
  plain(_, attributes) {
    const slope = Math.fround(attributes.slope);
    return ([x], [y]) => {
      const [from, to] = [x!, y!];
      for (let i = 0; i < to.length; i++) to[i] = from[i]! > 0 ? from[i]! : from[i]! * slope;
    };
  },
});

/** grad where the input x of leakyRelu is positive, else slope · grad. */
export const leakyReluGrad: Op<Slope> = defineOp<Slope>({
  name: "leakyReluGrad",
  layout: "elementwise",
  infer: ([grad]) => grad!,
  gradient: ({ grad, inputs: [, x], attributes }) => [apply(leakyReluGrad, [grad, x!], attributes), null],
  batch: leading,
  onnx: TRAINING_ONLY,
  tensorflow: (b, [grad, x], { slope }) =>
    b.node("LeakyReluGrad", [grad!, x!], { T, alpha: attr.float(slope) }),
  tfjs: (k, [grad, x], { slope }) => k.where(k.greater(x!, 0), grad!, k.mul(grad!, slope)),
  calls: () => 3,
  plain(_, attributes) {
    const slope = Math.fround(attributes.slope);
    return ([grad, x], [y]) => {
      const [from, at, to] = [grad!, x!, y!];
      for (let i = 0; i < to.length; i++) to[i] = at[i]! > 0 ? from[i]! : from[i]! * slope;
    };
  },
});

type Elementwise = <V>(f: Functions<V>, x: V) => V;

/**
 * Declares an activation without numbers.
 * @param formula its value at x
 * @param slope its derivative at x
 */
const activation = (name: string, kernel: string, formula: Elementwise, slope: Elementwise): Op<object> =>
  oneKernel<object>({
    name,
    kernel,
    numbers: [],
    value: formula,
    gradient: (f, g, x) => f.mul(g, slope(f, x)),
  });

/** x · Φ(x), Φ the normal distribution function (Hendrycks and Gimpel: Gaussian Error Linear Units). */
export const gelu = activation(
  "gelu",
  "Gelu",
  (f, x) => {
    const inner = f.erf(f.mul(x, f.number(Math.SQRT1_2)));
    return f.mul(f.mul(x, f.number(0.5)), f.add(inner, f.number(1)));
  },
  (f, x) => {
    const share = f.mul(f.add(f.erf(f.mul(x, f.number(Math.SQRT1_2))), f.number(1)), f.number(0.5));
    const density = f.exp(f.mul(f.square(x), f.number(-0.5)));
    return f.add(share, f.mul(f.mul(x, density), f.number(1 / Math.sqrt(2 * Math.PI))));
  },
);

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBE = 0.044715;

/** The angle of the approximation by tanh: √(2/π) · (x + 0.044715 x³). */
const approximated: Elementwise = (f, x) =>
  f.tanh(f.mul(f.add(x, f.mul(f.mul(x, f.square(x)), f.number(TANH_CUBE))), f.number(TANH_SCALE)));

/** {@link gelu}, approximated by tanh. */
export const geluTanh = activation(
  "geluTanh",
  "GeluTanh",
  (f, x) => f.mul(f.mul(x, f.number(0.5)), f.add(approximated(f, x), f.number(1))),
  (f, x) => {
    const inner = approximated(f, x);
    const share = f.mul(f.add(inner, f.number(1)), f.number(0.5));
    const along = f.add(
      f.mul(f.square(x), f.number(1.5 * TANH_CUBE * TANH_SCALE)),
      f.number(0.5 * TANH_SCALE),
    );
    const steep = f.mul(f.sub(f.number(1), f.square(inner)), along);
    return f.add(share, f.mul(x, steep));
  },
);

/** x · sigmoid(x). */
export const silu = activation(
  "silu",
  "Silu",
  (f, x) => f.mul(x, f.sigmoid(x)),
  (f, x) => {
    const share = f.sigmoid(x);
    return f.mul(share, f.add(f.mul(x, f.sub(f.number(1), share)), f.number(1)));
  },
);
