// Activations that are one kernel, forward and backward: formulas of several ops would take a pass for each.
import type * as tfjs from "@tensorflow/tfjs-core";
import type { Tensor } from "../../core/tensor.ts";
import { apply } from "../../recording/apply.ts";
import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { T } from "../../lowering/nodes.ts";
import { leading } from "../../recording/batchRules.ts";
import { number, TRAINING_ONLY, type OnnxBuilder, type OnnxRef } from "../../lowering/onnx.ts";
import { defineOp, type Op, type Tfjs } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import { call, constant } from "../expressions.ts";
import { elementwise } from "./declare.ts";
import { add, erf, exp, mul, neg, sigmoid, square, sub, tanh } from "./elementwise.ts";
import { erfNode, sigmoidNode, tanhNode } from "./exactNodes.ts";

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

/** The arithmetic that formulas of activations are written in: on tensors, or for a graph of nodes. */
interface Arithmetic<X> {
  add: (x: X, y: X) => X;
  sub: (x: X, y: X) => X;
  mul: (x: X, y: X) => X;
  neg: (x: X) => X;
  square: (x: X) => X;
  exp: (x: X) => X;
  erf: (x: X) => X;
  tanh: (x: X) => X;
  sigmoid: (x: X) => X;
  number: (value: number) => X;
}

const RECORDED: Arithmetic<Tensor> = {
  add: (x, y) => call(add, x, y),
  sub: (x, y) => call(sub, x, y),
  mul: (x, y) => call(mul, x, y),
  neg: (x) => call(neg, x),
  square: (x) => call(square, x),
  exp: (x) => call(exp, x),
  erf: (x) => call(erf, x),
  tanh: (x) => call(tanh, x),
  sigmoid: (x) => call(sigmoid, x),
  number: (value) => constant(value),
};

const nodesOf = (b: TfBuilder): Arithmetic<TfRef> => ({
  add: (x, y) => b.node("AddV2", [x, y], { T }),
  sub: (x, y) => b.node("Sub", [x, y], { T }),
  mul: (x, y) => b.node("Mul", [x, y], { T }),
  neg: (x) => b.node("Neg", [x], { T }),
  square: (x) => b.node("Square", [x], { T }),
  exp: (x) => b.node("Exp", [x], { T }),
  erf: (x) => erfNode(b, x),
  tanh: (x) => tanhNode(b, x),
  sigmoid: (x) => sigmoidNode(b, x),
  number: (value) => scalar(b, value, "float32"),
});

const onnxOf = (b: OnnxBuilder): Arithmetic<OnnxRef> => ({
  add: (x, y) => b.node("Add", [x, y]),
  sub: (x, y) => b.node("Sub", [x, y]),
  mul: (x, y) => b.node("Mul", [x, y]),
  neg: (x) => b.node("Neg", [x]),
  square: (x) => b.node("Mul", [x, x]),
  exp: (x) => b.node("Exp", [x]),
  erf: (x) => b.node("Erf", [x]),
  tanh: (x) => b.node("Tanh", [x]),
  sigmoid: (x) => b.node("Sigmoid", [x]),
  number: (value) => number(b, value),
});

const onTfjs = (k: Tfjs): Arithmetic<tfjs.Tensor> => ({
  add: (x, y) => k.add(x, y),
  sub: (x, y) => k.sub(x, y),
  mul: (x, y) => k.mul(x, y),
  neg: (x) => k.neg(x),
  square: (x) => k.square(x),
  exp: (x) => k.exp(x),
  erf: (x) => k.erf(x),
  tanh: (x) => k.tanh(x),
  sigmoid: (x) => k.sigmoid(x),
  number: (value) => k.scalar(value),
});

/**
 * Declares an activation and its gradient, both from formulas.
 * @param kernel what the native engine's kernel of it is called; that of its gradient has "Grad" after it
 * @param formula its value at x
 * @param slope its derivative at x
 */
function activation(
  name: string,
  kernel: string,
  formula: <X>(a: Arithmetic<X>, x: X) => X,
  slope: <X>(a: Arithmetic<X>, x: X) => X,
): Op<object> {
  const gradient = elementwise({
    name: `${name}Grad`,
    gradient: { none: "gradients that are to be differentiated again are made of simpler ops" },
    batch: leading,
    onnx: TRAINING_ONLY,
    tensorflow(b, [g, x]) {
      if (b.exact === true) return b.node(`${kernel}Grad`, [g!, x!], { T });
      return b.node("Mul", [g!, slope(nodesOf(b), x!)], { T });
    },
    tfjs: (k, g, x) => k.mul(g, slope(onTfjs(k), x)),
  });
  return elementwise({
    name,
    gradient: ({ grad, inputs: [x] }) => [
      scope.gradients ? call(mul, grad, slope(RECORDED, x!)) : call(gradient, grad, x!),
    ],
    batch: leading,
    onnx: (b, [x]) => formula(onnxOf(b), x!),
    tensorflow: (b, [x]) => (b.exact === true ? b.node(kernel, [x!], { T }) : formula(nodesOf(b), x!)),
    tfjs: (k, x) => formula(onTfjs(k), x),
  });
}

/** x · Φ(x), Φ the normal distribution function (Hendrycks and Gimpel: Gaussian Error Linear Units). */
export const gelu = activation(
  "gelu",
  "Gelu",
  (a, x) => {
    const inner = a.erf(a.mul(x, a.number(Math.SQRT1_2)));
    return a.mul(a.mul(x, a.number(0.5)), a.add(inner, a.number(1)));
  },
  (a, x) => {
    const share = a.mul(a.add(a.erf(a.mul(x, a.number(Math.SQRT1_2))), a.number(1)), a.number(0.5));
    const density = a.exp(a.mul(a.square(x), a.number(-0.5)));
    return a.add(share, a.mul(a.mul(x, density), a.number(1 / Math.sqrt(2 * Math.PI))));
  },
);

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBE = 0.044715;

/** The angle of the approximation by tanh: √(2/π) · (x + 0.044715 x³). */
const approximated = <X>(a: Arithmetic<X>, x: X): X =>
  a.tanh(a.mul(a.add(x, a.mul(a.mul(x, a.square(x)), a.number(TANH_CUBE))), a.number(TANH_SCALE)));

/** {@link gelu}, approximated by tanh. */
export const geluTanh = activation(
  "geluTanh",
  "GeluTanh",
  (a, x) => a.mul(a.mul(x, a.number(0.5)), a.add(approximated(a, x), a.number(1))),
  (a, x) => {
    const inner = approximated(a, x);
    const share = a.mul(a.add(inner, a.number(1)), a.number(0.5));
    const along = a.add(
      a.mul(a.square(x), a.number(1.5 * TANH_CUBE * TANH_SCALE)),
      a.number(0.5 * TANH_SCALE),
    );
    const steep = a.mul(a.sub(a.number(1), a.square(inner)), along);
    return a.add(share, a.mul(x, steep));
  },
);

/** x · sigmoid(x). */
export const silu = activation(
  "silu",
  "Silu",
  (a, x) => a.mul(x, a.sigmoid(x)),
  (a, x) => {
    const share = a.sigmoid(x);
    return a.mul(share, a.add(a.mul(x, a.sub(a.number(1), share)), a.number(1)));
  },
);
