import type * as tfjs from "@tensorflow/tfjs-core";
import { attr, type TfRef } from "../lowering/lowering.ts";
import { T } from "../lowering/nodes.ts";
import { TRAINING_ONLY } from "../lowering/onnx.ts";
import { defineOp, type Op } from "../recording/op.ts";

const ONE_BY_ONE = { none: "no function of one sample updates parameters" };
const PLAIN = { none: "an optimizer's update is not differentiable" };

/** p − rate · g, for inputs p, g and the 0-d rate. */
export const descend: Op<object> = defineOp({
  name: "descend",
  infer: ([p]) => p!,
  gradient: PLAIN,
  batch: ONE_BY_ONE,
  onnx: TRAINING_ONLY,
  tensorflow: (b, [p, g, rate]) => b.node("Sub", [p!, b.node("Mul", [g!, rate!], { T })], { T }),
  tfjs: (k, [p, g, rate]) => k.sub(p!, k.mul(g!, rate!)),
  calls: () => 2,
  plain:
    () =>
    ([p, g, rate], [to]) => {
      const [from, slope, next, step] = [p!, g!, to!, rate![0]!];
      for (let i = 0; i < next.length; i++) next[i] = from[i]! - Math.fround(slope[i]! * step);
    },
  inPlace: (b, [p], [g, rate]) => [
    b.node("ResourceApplyGradientDescent", [p!, rate!, g!], { T, use_locking: attr.bool(false) }),
  ],
});

export interface AdamAttributes {
  readonly beta2: number;
  readonly eps: number;
}

/** How far 1 − β₂ may be off, relatively, where a kernel takes it as the difference of two floats. */
const CLOSE = 2e-5;

/**
 * Adam's moments and step, as PyTorch orders the arithmetic: inputs p, m, v, g and, 0-d, the step size lr / (1 − β₁ᵗ),
 * √(1 − β₂ᵗ), 1 − β₁ (schedules cycle it), √(1 − β₂ᵗ) of β₂ as a float, and, for decoupled weight decay, the factor that
 * p shrinks by first; outputs p, m, v.
 *
 * m ← m + (g − m)(1 − β₁), v ← β₂v + (1 − β₂)g², p ← p − step · m / (√v / √(1 − β₂ᵗ) + ε)
 *
 * TensorFlow's fused kernel computes 1 − β₂ from β₂ as a float. It is used where that is close (1.3e-5 for 0.999) and with
 * the correction for that β₂, which leaves p as exact as the written-out form.
 */
export const adamStep: Op<AdamAttributes> = defineOp<AdamAttributes>({
  name: "adamStep",
  infer: ([p, m, v]) => [p!, m!, v!],
  gradient: PLAIN,
  batch: ONE_BY_ONE,
  onnx: TRAINING_ONLY,
  tensorflow(b, [p, m, v, g, step, correction, follow, , shrink], { beta2, eps }) {
    const c = (value: number): TfRef => b.constant([value], [], "float32");
    const two = (op: string, x: TfRef, y: TfRef): TfRef => b.node(op, [x, y], { T });
    if (b.exact === true) {
      const scalars = [step!, correction!, follow!, ...(shrink === undefined ? [] : [shrink])];
      const rates = { beta2: attr.float(beta2), rest: attr.float(1 - beta2), eps: attr.float(eps) };
      return b.nodes("AdamStep", [p!, m!, v!, g!, ...scalars], rates, 3);
    }
    const m2 = two("AddV2", m!, two("Mul", two("Sub", g!, m!), follow!));
    const v2 = two(
      "AddV2",
      two("Mul", v!, c(beta2)),
      two("Mul", b.node("Square", [g!], { T }), c(1 - beta2)),
    );
    const root = two("RealDiv", b.node("Sqrt", [v2], { T }), correction!);
    const from = shrink === undefined ? p! : two("Mul", p!, shrink);
    const p2 = two("Sub", from, two("Mul", two("RealDiv", m2, two("AddV2", root, c(eps))), step!));
    return [p2, m2, v2];
  },
  tfjs(k, [p, m, v, g, step, correction, follow, , shrink], { beta2, eps }) {
    const m2: tfjs.Tensor = k.add(m!, k.mul(k.sub(g!, m!), follow!));
    const v2: tfjs.Tensor = k.add(k.mul(v!, beta2), k.mul(k.square(g!), 1 - beta2));
    const root = k.add(k.div(k.sqrt(v2), correction!), eps);
    const from = shrink === undefined ? p! : k.mul(p!, shrink);
    return [k.sub(from, k.mul(k.div(m2, root), step!)), m2, v2];
  },
  // More by far, but the divisions and the root take a loop as long as several elements.
  calls: () => 3,
  // Each operation is rounded to a float, as the kernels do.
  plain(_, attributes) {
    const { fround, sqrt } = Math;
    const [beta2, rest] = [fround(attributes.beta2), fround(1 - attributes.beta2)];
    const eps = fround(attributes.eps);
    return ([p, m, v, g, step, correction, follow, , shrink], [p2, m2, v2]) => {
      const [from, mean, squares, gradient] = [p!, m!, v!, g!];
      const [to, mean2, squares2] = [p2!, m2!, v2!];
      const [rate, scale, share, kept] = [step![0]!, correction![0]!, follow![0]!, shrink?.[0] ?? 1];
      for (let i = 0; i < to.length; i++) {
        const slope = gradient[i]!;
        const first = fround(mean[i]! + fround(fround(slope - mean[i]!) * share));
        const second = fround(fround(squares[i]! * beta2) + fround(fround(slope * slope) * rest));
        const root = fround(fround(fround(sqrt(second)) / scale) + eps);
        mean2[i] = first;
        squares2[i] = second;
        to[i] = fround(from[i]! * kept) - fround(fround(first / root) * rate);
      }
    };
  },
  inPlace(b, variables, inputs, attributes, signature) {
    const { beta2, eps } = attributes;
    const read = (v: TfRef): TfRef => b.node("ReadVariableOp", [v], { dtype: T });
    const write = (v: TfRef, x: TfRef): TfRef => b.node("AssignVariableOp", [v, x], { dtype: T });
    if (Math.abs((1 - Math.fround(beta2)) / (1 - beta2) - 1) > CLOSE) {
      const all = [...variables.map(read), ...inputs];
      const next = adamStep.tensorflow(b, all, attributes, signature) as readonly TfRef[];
      return variables.map((v, i) => write(v, next[i]!));
    }
    const [g, step, , follow, correction, shrink] = inputs;
    const c = (value: number): TfRef => b.constant([value], [], "float32");
    const two = (op: string, x: TfRef, y: TfRef): TfRef => b.node(op, [x, y], { T });
    const [p] = variables as [TfRef];
    const before = shrink === undefined ? [] : [write(p, two("Mul", read(p), shrink))];
    // It corrects by powers of the betas, of which 0 leaves the step unchanged.
    const powers = [c(0), c(0)];
    const rates = [two("Mul", step!, correction!), two("Sub", c(1), follow!), c(beta2)];
    const epsilon = two("Mul", correction!, c(eps));
    const types = { T, use_locking: attr.bool(false), use_nesterov: attr.bool(false) };
    return b.after(before, () => [
      b.node("ResourceApplyAdam", [...variables, ...powers, ...rates, epsilon, g!], types),
    ]);
  },
});
