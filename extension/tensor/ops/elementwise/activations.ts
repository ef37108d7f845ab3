// Activations that TensorFlow has a kernel for, and that take a number beside their input.
import { apply } from "../../recording/apply.ts";
import { attr, scalar } from "../../lowering/lowering.ts";
import { T } from "../../lowering/nodes.ts";
import { leading } from "../../recording/batchRules.ts";
import { number, TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type Op } from "../../recording/op.ts";

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
