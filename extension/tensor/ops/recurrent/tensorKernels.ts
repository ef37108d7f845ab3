import { apply } from "../../recording/apply.ts";
import type { BatchContext, BatchRule, GradientContext } from "../../recording/op.ts";
import { range } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import {
  add,
  mul,
  relu,
  reluGrad,
  sigmoid,
  sigmoidGrad,
  sub,
  tanh,
  tanhGrad,
} from "../elementwise/elementwise.ts";
import { call } from "../expressions.ts";
import { biasGrad, matmul } from "../matrix/matmul.ts";
import { cat, permute } from "../movement/movement.ts";
import { sliceAlong } from "../movement/slicing.ts";
import { unrolled, type Kernels } from "./kernels.ts";
import type { Pass } from "./plainKernels.ts";
import type { Sequences } from "./attributes.ts";

const joined = (parts: readonly Tensor[], dim: number): Tensor =>
  parts.length === 1 ? parts[0]! : apply(cat, parts, { dim });

function part(x: Tensor, dim: number, from: number, to: number): Tensor {
  return from === 0 && to === x.shape[dim] ? x : sliceAlong(x, dim, from, to);
}

/** The kernels of recurrent cells as ops of the table, which have derivatives of any order. */
const TENSOR_KERNELS: Kernels<Tensor> = {
  add: (x, y) => call(add, x, y),
  sub: (x, y) => call(sub, x, y),
  mul: (x, y) => call(mul, x, y),
  sigmoid: (x) => call(sigmoid, x),
  tanh: (x) => call(tanh, x),
  relu: (x) => call(relu, x),
  sigmoidGrad: (y, grad) => call(sigmoidGrad, y, grad),
  tanhGrad: (y, grad) => call(tanhGrad, y, grad),
  reluGrad: (y, grad) => call(reluGrad, grad, y),
  matmul: (x, y, transposeA = false, transposeB = false) => apply(matmul, [x, y], { transposeA, transposeB }),
  transpose: (x) => apply(permute, [x], { order: [1, 0] }),
  columns(x, widths) {
    let at = 0;
    return widths.map((width) => part(x, 1, at, (at += width)));
  },
  join: (parts) => joined(parts, 1),
  rows: (x, from, to) => part(x, 0, from, to),
  stack: (parts) => joined(parts, 0),
  sumRows: (x) => call(biasGrad, x),
  loop: (loop, step) =>
    unrolled(
      loop,
      (x) => {
        const size = x.shape[0]! / loop.steps;
        return range(loop.steps).map((i) => part(x, 0, i * size, (i + 1) * size));
      },
      (parts) => joined(parts, 0),
      (...args) => step(TENSOR_KERNELS, ...args),
    ),
};

/**
 * Gradients that are differentiated again: both passes step by step, so that what the forward pass saves depends on its
 * inputs too.
 * @param arrange inputs of the backward pass, from what the forward pass gives
 */
export function spelledOut<A>(
  { inputs, attributes }: Pick<GradientContext<A>, "inputs" | "attributes">,
  forward: Pass<A>,
  backward: Pass<A>,
  arrange: (outputs: readonly Tensor[]) => readonly Tensor[],
): Tensor[] {
  const outputs = forward(TENSOR_KERNELS, inputs, attributes, { inputs, outputs: [] });
  const given = arrange(outputs);
  return backward(TENSOR_KERNELS, given, attributes, { inputs: given, outputs: [] });
}

/** A pass of one sample, step by step. */
export const stepwise =
  <A extends object>(pass: Pass<A>): BatchRule<A> =>
  (c) =>
    c.spelled((inputs) => pass(TENSOR_KERNELS, inputs, c.attributes, { inputs, outputs: [] }));

/**
 * Sequences of all samples side by side, where they share the weights.
 * @param states how many inputs, from the first on, have rows or states of the sequences
 */
export const sideBySide =
  <A extends Sequences>(pass: Pass<A>, states: number): BatchRule<A> =>
  (c: BatchContext<A>) => {
    if (c.batched.slice(states).some(Boolean)) return stepwise(pass)(c);
    const given = c.inputs.map((x, i) => (i < states ? c.merged(c.whole(i), 0, true) : x));
    const sizes = c.attributes.sizes.map((n) => n * c.size);
    return c.applyAll(given, { ...c.attributes, sizes }).map((y) => c.split(y, 0, true));
  };
