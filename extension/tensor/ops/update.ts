import type * as tfjs from "@tensorflow/tfjs-core";
import { attr, type TfRef } from "../lowering.ts";
import { TRAINING_ONLY } from "../onnx.ts";
import { defineOp, type Op, type Tfjs } from "../op.ts";

const T = attr.type("float32");
const PLAIN = { none: "an optimizer's update is not differentiable" };

/** p − rate · g, for inputs p, g and the 0-d rate. */
export const descend: Op<object> = defineOp({
  name: "descend",
  xla: true,
  infer: ([p]) => p!,
  gradient: PLAIN,
  onnx: TRAINING_ONLY,
  tensorflow: (b, [p, g, rate]) => b.node("Sub", [p!, b.node("Mul", [g!, rate!], { T })], { T }),
  tfjs: (k, [p, g, rate]) => k.sub(p!, k.mul(g!, rate!)),
  inPlace: (b, [p], [g, rate]) => [
    b.node("ResourceApplyGradientDescent", [p!, rate!, g!], { T, use_locking: attr.bool(false) }),
  ],
});

/** Numbers of a parameter up to which a loop takes less time than the calls of a dozen kernels. */
const BY_HAND = 2048;

/** Adam's update, each operation rounded to a float as the kernels do. */
function stepByHand(
  k: Tfjs,
  tensors: readonly tfjs.Tensor[],
  n: Readonly<Record<"step" | "correction" | "follow" | "shrink" | "beta2" | "eps", number>>,
): tfjs.Tensor[] {
  const { fround, sqrt } = Math;
  const arrays = tensors.map((x) => x.dataSync<"float32">());
  const [p, m, v, g] = arrays as [Float32Array, Float32Array, Float32Array, Float32Array];
  const [beta2, rest, eps] = [fround(n.beta2), fround(1 - n.beta2), fround(n.eps)];
  const next = [p, m, v].map(({ length }) => new Float32Array(length));
  const [p2, m2, v2] = next as [Float32Array, Float32Array, Float32Array];
  for (let i = 0; i < p.length; i++) {
    const gradient = g[i]!;
    m2[i] = m[i]! + fround(fround(gradient - m[i]!) * n.follow);
    v2[i] = fround(v[i]! * beta2) + fround(fround(gradient * gradient) * rest);
    const root = fround(fround(fround(sqrt(v2[i]!)) / n.correction) + eps);
    p2[i] = fround(p[i]! * n.shrink) - fround(fround(m2[i]! / root) * n.step);
  }
  return next.map((values) => k.tensor(values, tensors[0]!.shape, "float32"));
}

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
  xla: true,
  infer: ([p, m, v]) => [p!, m!, v!],
  gradient: PLAIN,
  onnx: TRAINING_ONLY,
  tensorflow(b, [p, m, v, g, step, correction, follow, , shrink], { beta2, eps }) {
    const c = (value: number): TfRef => b.constant([value], [], "float32");
    const two = (op: string, x: TfRef, y: TfRef): TfRef => b.node(op, [x, y], { T });
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
    if (p!.size <= BY_HAND) {
      const number = (x: tfjs.Tensor): number => x.dataSync<"float32">()[0]!;
      const numbers = { step: number(step!), correction: number(correction!), follow: number(follow!) };
      const all = { ...numbers, shrink: shrink === undefined ? 1 : number(shrink), beta2, eps };
      return stepByHand(k, [p!, m!, v!, g!], all);
    }
    const m2: tfjs.Tensor = k.add(m!, k.mul(k.sub(g!, m!), follow!));
    const v2: tfjs.Tensor = k.add(k.mul(v!, beta2), k.mul(k.square(g!), 1 - beta2));
    const root = k.add(k.div(k.sqrt(v2), correction!), eps);
    const from = shrink === undefined ? p! : k.mul(p!, shrink);
    return [k.sub(from, k.mul(k.div(m2, root), step!)), m2, v2];
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
    // It corrects by powers of the betas, of which 0 leaves the step as it is.
    const powers = [c(0), c(0)];
    const rates = [two("Mul", step!, correction!), two("Sub", c(1), follow!), c(beta2)];
    const epsilon = two("Mul", correction!, c(eps));
    const types = { T, use_locking: attr.bool(false), use_nesterov: attr.bool(false) };
    return b.after(before, () => [
      b.node("ResourceApplyAdam", [...variables, ...powers, ...rates, epsilon, g!], types),
    ]);
  },
});
