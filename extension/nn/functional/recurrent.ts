import { apply, applyAll } from "../../tensor/recording/apply.ts";
import { named } from "../../tensor/functions/pointwise/operands.ts";
import { stack } from "../../tensor/functions/shape/shape.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { add } from "../../tensor/ops/elementwise/elementwise.ts";
import { indexSelect } from "../../tensor/ops/movement/indexing.ts";
import { cat, flip, reshape } from "../../tensor/ops/movement/movement.ts";
import { slice } from "../../tensor/ops/movement/slicing.ts";
import { gruSequence } from "../../tensor/ops/recurrent/gru.ts";
import { lstmSequence } from "../../tensor/ops/recurrent/lstm.ts";
import { rnnSequence } from "../../tensor/ops/recurrent/rnn.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { indices, lengthsOfSizes, rowStarts } from "../packedSequence.ts";
import { dropout } from "./activation/dropout.ts";
import { checkLinear, linear } from "./linear.ts";

/** Weights of one layer in one direction, or of a cell. */
export interface RecurrentWeights {
  readonly weightIh: Tensor;
  readonly weightHh: Tensor;
  readonly biasIh: Tensor | null;
  readonly biasHh: Tensor | null;
  readonly weightHr?: Tensor | undefined;
}

/** The hidden state of every row, and the states (hidden; of an LSTM also of the cell) in which sequences end. */
interface Ran {
  readonly y: Tensor;
  readonly states: readonly Tensor[];
}

/**
 * A kind of recurrent unit: runs over rows [rows, I], those of step t being `sizes[t]` sequences, from the states
 * [batch, …] that they begin with.
 */
export type Recurrence = (
  x: Tensor,
  states: readonly Tensor[],
  weights: RecurrentWeights,
  sizes: readonly number[],
) => Ran;

const zeros = (...shape: number[]): Tensor => new Tensor(fillValue(0, shape, "float32"));

/** Both biases in one, where the unit only ever sees their sum. */
const summed = ({ biasIh, biasHh }: RecurrentWeights): Tensor | null =>
  biasIh === null || biasHh === null ? (biasIh ?? biasHh) : apply(add, [biasIh, biasHh], {});

/** Elman's: h' = φ(V x + b + W h + c). */
export const elman =
  (nonlinearity: "tanh" | "relu"): Recurrence =>
  (x, [h0], weights, sizes) => {
    const projected = linear(x, weights.weightIh, summed(weights));
    const [y, h] = applyAll(rnnSequence, [projected, h0!, weights.weightHh], {
      sizes,
      bias: weights.biasHh !== null,
      nonlinearity,
    });
    return { y: y!, states: [h!] };
  };

/** The gated recurrent unit. */
export const gru: Recurrence = (x, [h0], { weightIh, weightHh, biasIh, biasHh }, sizes) => {
  const bias = biasHh ?? zeros(weightHh.shape[0]!);
  const [y, h] = applyAll(gruSequence, [linear(x, weightIh, biasIh), h0!, weightHh, bias], {
    sizes,
    bias: biasHh !== null,
  });
  return { y: y!, states: [h!] };
};

/** Long short-term memory. */
export const lstm: Recurrence = (x, [h0, c0], weights, sizes) => {
  const { weightIh, weightHh, weightHr } = weights;
  checkLinear(x, weightIh, weights.biasIh);
  const bias = summed(weights) ?? zeros(weightHh.shape[0]!);
  const inputs = [x, h0!, c0!, weightIh, weightHh, bias, ...(weightHr === undefined ? [] : [weightHr])];
  const [y, h, c] = applyAll(lstmSequence, inputs, { sizes, bias: weights.biasHh !== null });
  return { y: y!, states: [h!, c!] };
};

export interface Stack {
  readonly run: Recurrence;
  /** Of layer 0 forwards, layer 0 backwards if `bidirectional`, layer 1 forwards, … */
  readonly weights: readonly RecurrentWeights[];
  readonly bidirectional: boolean;
  /** Probability of dropping values between layers; 0 in evaluation. */
  readonly dropout: number;
}

/** All layers over packed rows. States are [layers · directions, batch, …]; without them all begin with zeros. */
export function recurrentLayers(
  { run, weights, bidirectional, dropout: p }: Stack,
  input: Tensor,
  sizes: readonly number[],
  initial: readonly Tensor[],
): Ran {
  const directions = bidirectional ? 2 : 1;
  const reversed = reversal(sizes);
  const ends: (readonly Tensor[])[] = [];
  let x = input;
  for (let first = 0; first < weights.length; first += directions) {
    if (first > 0 && p > 0) x = dropout(x, p, true);
    const sides: Tensor[] = [];
    for (let d = 0; d < directions; d++) {
      const at = first + d;
      const states = initial.map((s) => row(s, at));
      const { y, states: end } = run(d === 0 ? x : reversed(x), states, weights[at]!, sizes);
      sides.push(d === 0 ? y : reversed(y));
      ends.push(end);
    }
    x = sides.length === 1 ? sides[0]! : apply(cat, sides, { dim: 1 });
  }
  return {
    y: x,
    states: initial.map((_, i) => named(stack(ends.map((end) => end[i]!)), "StackBackward0")),
  };
}

/** Matrix i of a stack of them. */
function row(states: Tensor, i: number): Tensor {
  const [count, batch, width] = states.shape as [number, number, number];
  const leaf = states.value.producer;
  if (leaf.kind === "fill" && states.edge === undefined) {
    return new Tensor(fillValue(leaf.value, [batch, width], states.dtype));
  }
  const one =
    count === 1
      ? states
      : apply(slice, [states], { begin: [i, 0, 0], end: [i + 1, batch, width], step: [1, 1, 1] });
  return apply(reshape, [one], { shape: [batch, width] });
}

/** Rows with each sequence read from its end. Its own inverse: a sequence keeps its length. */
function reversal(sizes: readonly number[]): (x: Tensor) => Tensor {
  const [steps, batch] = [sizes.length, sizes[0] ?? 0];
  if (batch === sizes[steps - 1]) {
    return (x) => {
      const { shape } = x;
      const sequence = apply(reshape, [x], { shape: [steps, batch, shape[1]!] });
      return apply(reshape, [apply(flip, [sequence], { dims: [0] })], { shape });
    };
  }
  const starts = rowStarts(sizes);
  const lengths = lengthsOfSizes(sizes);
  let order: Tensor | undefined;
  return (x) => {
    order ??= indices(
      sizes.flatMap((size, t) => Array.from({ length: size }, (_, b) => starts[lengths[b]! - 1 - t]! + b)),
    );
    return apply(indexSelect, [x, order], { dim: 0 });
  };
}
