import type * as tfjs from "@tensorflow/tfjs-core";
import {
  attr,
  scalar,
  vector,
  type Loop,
  type Stepped,
  type TfBuilder,
  type TfRef,
} from "../../lowering/lowering.ts";
import { INDEX, productNode, T, transposeNode } from "../../lowering/nodes.ts";
import type { Tfjs } from "../../recording/op.ts";
import { matrixProduct, split } from "../wasmKernels.ts";
import type { RnnAttributes, Sequences } from "./attributes.ts";

/** Longest sequence that a graph unrolls; longer ones are loops, which compile quickly. */
const LONGEST_UNROLLED = 96;

/**
 * Numbers of a state from which on a layer may be one node, which computes row by row: shorter rows leave registers empty. An LSTM with
 * 32 sequences of 20 takes 1.4 times as long with 5 numbers, 0.94 with 8, 0.87 with 16 and 0.8 with 24.
 */
const MIN_LAYER_WIDTH = 8;

/** One step of a loop. */
export type Step<R, K> = (k: K, state: readonly R[], slices: readonly R[], fixed: readonly R[]) => Stepped<R>;

/**
 * The kernels of recurrent cells, on matrices. Cells are written once against this interface and run on TensorFlow, node by
 * node or inside a graph, and on tfjs.
 */
export interface Kernels<R> {
  add(x: R, y: R): R;
  sub(x: R, y: R): R;
  mul(x: R, y: R): R;
  sigmoid(x: R): R;
  tanh(x: R): R;
  relu(x: R): R;
  /** Gradients of the three from their result y. */
  sigmoidGrad(y: R, grad: R): R;
  tanhGrad(y: R, grad: R): R;
  reluGrad(y: R, grad: R): R;
  matmul(x: R, y: R, transposeX?: boolean, transposeY?: boolean): R;
  transpose(x: R): R;
  /** Columns divided into parts of these widths. */
  columns(x: R, widths: readonly number[]): R[];
  join(parts: readonly R[]): R;
  /** Rows from one to before another. */
  rows(x: R, from: number, to: number): R;
  stack(parts: readonly R[]): R;
  sumRows(x: R): R;
  /** The state after the last step, and the outputs of all steps in the order of the rows. */
  loop(loop: Loop<R>, step: Step<R, Kernels<R>>): Stepped<R>;
  /**
   * All steps of a layer with a state of `hidden` numbers as one node, where the backend has that; else undefined. The first input is the
   * weight of the state.
   */
  layer?(
    node: `${"Lstm" | "Gru" | "Rnn"}Sequence${"" | "Grad"}`,
    hidden: number,
    inputs: readonly R[],
    attributes: Sequences & Partial<RnnAttributes>,
    outputs: number,
  ): R[] | undefined;
}

export class TensorFlowKernels implements Kernels<TfRef> {
  readonly b: TfBuilder;

  constructor(b: TfBuilder) {
    this.b = b;
  }

  add(x: TfRef, y: TfRef): TfRef {
    return this.b.node("AddV2", [x, y], { T });
  }
  sub(x: TfRef, y: TfRef): TfRef {
    return this.b.node("Sub", [x, y], { T });
  }
  mul(x: TfRef, y: TfRef): TfRef {
    return this.b.node("Mul", [x, y], { T });
  }
  sigmoid(x: TfRef): TfRef {
    return this.b.node("Sigmoid", [x], { T });
  }
  tanh(x: TfRef): TfRef {
    return this.b.node("Tanh", [x], { T });
  }
  relu(x: TfRef): TfRef {
    return this.b.node("Relu", [x], { T });
  }
  sigmoidGrad(y: TfRef, grad: TfRef): TfRef {
    return this.b.node("SigmoidGrad", [y, grad], { T });
  }
  tanhGrad(y: TfRef, grad: TfRef): TfRef {
    return this.b.node("TanhGrad", [y, grad], { T });
  }
  reluGrad(y: TfRef, grad: TfRef): TfRef {
    return this.b.node("ReluGrad", [grad, y], { T });
  }
  matmul(x: TfRef, y: TfRef, transposeX = false, transposeY = false): TfRef {
    return productNode(this.b, x, y, transposeX, transposeY);
  }
  transpose(x: TfRef): TfRef {
    return transposeNode(this.b, x, [1, 0]);
  }
  columns(x: TfRef, widths: readonly number[]): TfRef[] {
    if (widths.length === 1) return [x];
    return this.b.nodes(
      "SplitV",
      [x, vector(this.b, widths), scalar(this.b, 1, "int64")],
      { T, Tlen: INDEX, num_split: attr.int(widths.length) },
      widths.length,
    );
  }
  join(parts: readonly TfRef[]): TfRef {
    return this.#concat(parts, 1);
  }
  rows(x: TfRef, from: number, to: number): TfRef {
    return this.b.node("Slice", [x, vector(this.b, [from, 0]), vector(this.b, [to - from, -1])], {
      T,
      Index: INDEX,
    });
  }
  stack(parts: readonly TfRef[]): TfRef {
    return this.#concat(parts, 0);
  }
  sumRows(x: TfRef): TfRef {
    return this.b.node("BiasAddGrad", [x], { T, data_format: attr.string("NHWC") });
  }

  loop(loop: Loop<TfRef>, step: Step<TfRef, TensorFlowKernels>): Stepped<TfRef> {
    const { b } = this;
    if (b.loop !== undefined && b.portable !== true && loop.steps > LONGEST_UNROLLED) {
      return b.loop(loop, (inner, ...rest) => step(new TensorFlowKernels(inner), ...rest));
    }
    const split = (x: TfRef): TfRef[] =>
      b.nodes("Split", [scalar(b, 0, "int64"), x], { T, num_split: attr.int(loop.steps) }, loop.steps);
    return unrolled(
      loop,
      split,
      (parts) => this.stack(parts),
      (...args) => b.step?.(() => step(this, ...args)) ?? step(this, ...args),
    );
  }

  layer(
    node: string,
    hidden: number,
    inputs: readonly TfRef[],
    { sizes, nonlinearity }: Sequences & Partial<RnnAttributes>,
    outputs: number,
  ): TfRef[] | undefined {
    if (this.b.exact !== true || hidden < MIN_LAYER_WIDTH || sizes.at(-1) === 0) return undefined;
    const relu = nonlinearity === undefined ? {} : { relu: attr.bool(nonlinearity === "relu") };
    return this.b.nodes(node, inputs, { sizes: attr.ints(sizes), ...relu }, outputs);
  }

  #concat(parts: readonly TfRef[], axis: number): TfRef {
    if (parts.length === 1) return parts[0]!;
    return this.b.node("ConcatV2", [...parts, scalar(this.b, axis, "int64")], {
      N: attr.int(parts.length),
      T,
      Tidx: INDEX,
    });
  }
}

/** The same on tfjs's wasm and cpu backends. */
export function tfjsKernels(k: Tfjs): Kernels<tfjs.Tensor> {
  const concat = (parts: readonly tfjs.Tensor[], axis: number): tfjs.Tensor =>
    parts.length === 1 ? parts[0]! : k.concat([...parts], axis);
  const kernels: Kernels<tfjs.Tensor> = {
    add: (x, y) => k.add(x, y),
    sub: (x, y) => k.sub(x, y),
    mul: (x, y) => k.mul(x, y),
    sigmoid: (x) => k.sigmoid(x),
    tanh: (x) => k.tanh(x),
    relu: (x) => k.relu(x),
    sigmoidGrad: (y, grad) => k.mul(grad, k.mul(y, k.sub(1, y))),
    tanhGrad: (y, grad) => k.mul(grad, k.sub(1, k.mul(y, y))),
    reluGrad: (y, grad) => k.mul(grad, k.step(y)),
    matmul: (x, y, transposeX = false, transposeY = false) => {
      if (x.size > 0 && y.size > 0) return matrixProduct(k, x, y, transposeX, transposeY);
      return k.zeros([x.shape[transposeX ? 1 : 0]!, y.shape[transposeY ? 0 : 1]!]);
    },
    transpose: (x) => k.transpose(x),
    columns: (x, widths) => (widths.length === 1 ? [x] : k.split(x, [...widths], 1)),
    join: (parts) => concat(parts, 1),
    rows: (x, from, to) => k.slice(x, [from, 0], [to - from, x.shape[1]!]),
    stack: (parts) => concat(parts, 0),
    sumRows: (x) => (x.size > 0 ? k.sum(x, 0) : k.zeros([x.shape[1]!])),
    loop: (loop, step) =>
      unrolled(
        loop,
        (x) => split(k, x, loop.steps),
        (parts) => concat(parts, 0),
        // Frees the intermediate tensors of a step.
        (...args) => k.tidy(() => step(kernels, ...args) as never),
      ),
  };
  return kernels;
}

/** Runs the steps of a loop one by one. */
export function unrolled<R>(
  { steps, backwards, state, sequences, fixed, widths }: Loop<R>,
  split: (x: R) => R[],
  stack: (parts: readonly R[]) => R,
  step: (state: readonly R[], slices: readonly R[], fixed: readonly R[]) => Stepped<R>,
): Stepped<R> {
  const slices = sequences.map(split);
  const outputs: R[][] = widths.map(() => []);
  let now = state;
  for (let i = 0; i < steps; i++) {
    const at = backwards ? steps - 1 - i : i;
    const result = step(
      now,
      slices.map((s) => s[at]!),
      fixed,
    );
    now = result.state;
    result.outputs.forEach((y, j) => (outputs[j]![at] = y));
  }
  return { state: now, outputs: outputs.map(stack) };
}
