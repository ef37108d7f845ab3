import { apply } from "../../recording/apply.ts";
import type { GradientContext, Op, Signature } from "../../recording/op.ts";
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
import { biasGrad, matmul } from "../matrix/matmul.ts";
import { cat, permute } from "../movement/movement.ts";
import { slice } from "../movement/slicing.ts";
import { unrolled, type Kernels } from "./kernels.ts";

const f = (op: Op<object>, ...inputs: Tensor[]): Tensor => apply(op, inputs, {});
const joined = (parts: readonly Tensor[], dim: number): Tensor =>
  parts.length === 1 ? parts[0]! : apply(cat, parts, { dim });

function part(x: Tensor, dim: number, from: number, to: number): Tensor {
  if (from === 0 && to === x.shape[dim]) return x;
  return apply(slice, [x], {
    begin: x.shape.map((_, d) => (d === dim ? from : 0)),
    end: x.shape.map((n, d) => (d === dim ? to : n)),
    step: x.shape.map(() => 1),
  });
}

/** The kernels of recurrent cells as ops of the table, which have derivatives of any order. */
const TENSOR_KERNELS: Kernels<Tensor> = {
  add: (x, y) => f(add, x, y),
  sub: (x, y) => f(sub, x, y),
  mul: (x, y) => f(mul, x, y),
  sigmoid: (x) => f(sigmoid, x),
  tanh: (x) => f(tanh, x),
  relu: (x) => f(relu, x),
  sigmoidGrad: (y, grad) => f(sigmoidGrad, y, grad),
  tanhGrad: (y, grad) => f(tanhGrad, y, grad),
  reluGrad: (y, grad) => f(reluGrad, grad, y),
  matmul: (x, y, transposeA = false, transposeB = false) => apply(matmul, [x, y], { transposeA, transposeB }),
  transpose: (x) => apply(permute, [x], { order: [1, 0] }),
  columns(x, widths) {
    let at = 0;
    return widths.map((width) => part(x, 1, at, (at += width)));
  },
  join: (parts) => joined(parts, 1),
  rows: (x, from, to) => part(x, 0, from, to),
  stack: (parts) => joined(parts, 0),
  sumRows: (x) => f(biasGrad, x),
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

type Walk<A> = <R>(k: Kernels<R>, inputs: readonly R[], attributes: A, signature: Signature) => R[];

/**
 * Gradients that are differentiated again: both passes step by step, so that what the forward pass saves depends on its
 * inputs too.
 * @param arrange inputs of the backward pass, from what the forward pass gives
 */
export function spelledOut<A>(
  { inputs, attributes }: Pick<GradientContext<A>, "inputs" | "attributes">,
  forward: Walk<A>,
  backward: Walk<A>,
  arrange: (outputs: readonly Tensor[]) => readonly Tensor[],
): Tensor[] {
  const outputs = forward(TENSOR_KERNELS, inputs, attributes, { inputs, outputs: [] });
  const given = arrange(outputs);
  return backward(TENSOR_KERNELS, given, attributes, { inputs: given, outputs: [] });
}
