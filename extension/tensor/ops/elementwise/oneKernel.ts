// Functions of one number that are one kernel, forward and backward: formulas of several ops would take a pass for each.
import { attr, type TfAttribute } from "../../lowering/lowering.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import type { Tensor } from "../../core/tensor.ts";
import { apply } from "../../recording/apply.ts";
import { leading } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import { formulaRules, functionsOf, RECORDED, type Functions } from "../formulas.ts";

interface Kernel<A extends object> {
  readonly name: string;
  /** What the native engine's kernel is called; that of the gradient has "Grad" after it. */
  readonly kernel: string;
  /** The attributes that the kernels read, in their order: all are numbers. */
  readonly numbers: readonly (keyof A & string)[];
  /** The value at x. A branch that isn't taken must stay finite, or its gradient is 0 · ∞. */
  readonly value: <V>(f: Functions<V>, x: V, a: A) => V;
  /** The gradient at x for that of the result, which can be differentiated again. */
  readonly gradient: <V>(f: Functions<V>, g: V, x: V, a: A) => V;
}

/** Declares a function and its gradient, both from formulas. */
export function oneKernel<A extends object>({ name, kernel, numbers, value, gradient }: Kernel<A>): Op<A> {
  const attributesOf = (a: A): Record<string, TfAttribute> => ({
    T: attr.type("float32"),
    ...Object.fromEntries(numbers.map((key) => [key, attr.float(a[key] as number)])),
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
