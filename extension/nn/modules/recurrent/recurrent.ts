import { TensorError } from "../../../tensor/core/errors.ts";
import { select } from "../../../tensor/functions/shape/parts.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { checkLinear } from "../../functional/linear.ts";
import { elman, gru, lstm, type Recurrence } from "../../functional/recurrent.ts";
import { PackedSequence } from "../../packedSequence.ts";
import { RecurrentBase, refuseProjection, type RecurrentOptions } from "./recurrentBase.ts";

type Sizes = RecurrentOptions & { inputSize: number; hiddenSize: number };

interface Nonlinearity {
  nonlinearity?: "tanh" | "relu";
}

const DEFAULTS = {
  bias: true,
  batchFirst: false,
  dropout: 0,
  bidirectional: false,
} as const;

/** Takes padded sequences too: `const [packedOutput, h] = rnn(packed)`. */
export interface RNN {
  (input: PackedSequence, hx?: HiddenState | null): [output: PackedSequence, h: Tensor];
}

/**
 * Elman's recurrent network. In every step of each layer h' = tanh(V x + b + W h + c), or relu of it.
 *
 * - input [steps, batch, inputSize] ([batch, steps, inputSize] with `batchFirst`, [steps, inputSize] alone), or a
 *   PackedSequence; state [numLayers · directions, batch, hiddenSize], zeros if left out
 * - returns the hidden states of the last layer [steps, batch, directions · hiddenSize], and of all layers after the
 *   last step, in the shape of the state
 * - weightIhL0 [hiddenSize, inputSize] (of later layers [hiddenSize, directions · hiddenSize]), weightHhL0 [hiddenSize,
 *   hiddenSize], biasIhL0 and biasHhL0 [hiddenSize], all from U(−k, k) with k = 1/√hiddenSize; `…L0Reverse` are those of
 *   the other direction
 *
 * ```ts
 * const [output, h] = new nn.RNN(10, 20, { numLayers: 2 })(torch.randn(5, 3, 10));
 * output.shape; // [5, 3, 20]
 * h.shape; // [2, 3, 20]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html
 * @throws TensorError "input.size(-1) must be equal to input_size. Expected 10, got 9"
 * @throws TensorError "Expected hidden size (2, 3, 20), got [1, 3, 20]"
 */
export class RNN extends RecurrentBase {
  nonlinearity: "tanh" | "relu";

  constructor(inputSize: number, hiddenSize: number, options?: RecurrentOptions & Nonlinearity);
  constructor(
    inputSize: number,
    hiddenSize: number,
    numLayers: number,
    options?: Omit<RecurrentOptions, "numLayers"> & Nonlinearity,
  );
  constructor(
    ...args: Arguments<
      Sizes & Nonlinearity,
      "inputSize hiddenSize numLayers nonlinearity bias batchFirst dropout bidirectional"
    >
  );
  constructor(...args: unknown[]) {
    refuseProjection(args);
    const { nonlinearity, ...sizes } = bind<Sizes & Nonlinearity>("RNN", args, {
      inputSize: REQUIRED,
      hiddenSize: REQUIRED,
      numLayers: 1,
      nonlinearity: "tanh",
      ...DEFAULTS,
    });
    if (nonlinearity !== "tanh" && nonlinearity !== "relu") {
      throw new TensorError(
        "value",
        `Unknown nonlinearity '${String(nonlinearity)}'. Select from 'tanh' or 'relu'.`,
      );
    }
    super(`RNN_${nonlinearity.toUpperCase()}`, 1, { ...sizes, projSize: 0 });
    this.nonlinearity = nonlinearity;
  }

  forward(input: PackedSequence, hx?: HiddenState | null): [output: PackedSequence, h: Tensor];
  forward(input: Tensor, hx?: HiddenState | null): [output: Tensor, h: Tensor];
  forward(
    input: Tensor | PackedSequence,
    hx: HiddenState | null = null,
  ): [output: Tensor | PackedSequence, h: Tensor] {
    const { y, states } = this.evaluate(input, hx === null ? null : [stateOf(hx)]);
    return [y, states[0]!];
  }

  protected recurrence(): Recurrence {
    return elman(this.nonlinearity);
  }

  protected override rankMessage(rank: number): string {
    return `RNN: Expected input to be 2D or 3D, got ${rank}D tensor instead`;
  }
}

/** Takes padded sequences too: `const [packedOutput, [h, c]] = lstm(packed)`. */
export interface LSTM {
  (input: PackedSequence, hx?: HiddenState | null): [output: PackedSequence, hx: LstmState];
}

/** Hidden state and cell. */
export type LstmState = [h: Tensor, c: Tensor];

/** Initial state of a recurrent layer. All kinds accept this type, so that a layer of any kind is callable. */
export type HiddenState = Tensor | LstmState;

/**
 * Long short-term memory. In every step of each layer (i, f, g, o) = V x + b + W h + d, and
 * c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'); with a projection h' = R (σ(o) tanh(c')).
 *
 * - input [steps, batch, inputSize] ([batch, steps, inputSize] with `batchFirst`, [steps, inputSize] alone), or a
 *   PackedSequence; states h [numLayers · directions, batch, P] and c [numLayers · directions, batch, hiddenSize] with P
 *   = projSize or, without projection, hiddenSize; zeros if left out
 * - returns the hidden states of the last layer [steps, batch, directions · P], and both states of all layers after the
 *   last step
 * - weightIhL0 [4 · hiddenSize, inputSize] (of later layers [4 · hiddenSize, directions · P]), weightHhL0 [4 ·
 *   hiddenSize, P], biasIhL0 and biasHhL0 [4 · hiddenSize], weightHrL0 [projSize, hiddenSize], gates in the order i, f,
 *   g, o, all from U(−k, k) with k = 1/√hiddenSize; `…L0Reverse` are those of the other direction
 *
 * ```ts
 * const [output, [h, c]] = new nn.LSTM(10, 20, { batchFirst: true })(torch.randn(3, 5, 10));
 * output.shape; // [3, 5, 20]
 * h.shape; // [1, 3, 20]
 * c.shape; // [1, 3, 20]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
 * @throws TensorError "input.size(-1) must be equal to input_size. Expected 10, got 9"
 * @throws TensorError "Expected hidden[0] size (1, 3, 20), got [2, 3, 20]"
 */
export class LSTM extends RecurrentBase {
  constructor(inputSize: number, hiddenSize: number, options?: RecurrentOptions & { projSize?: number });
  constructor(
    inputSize: number,
    hiddenSize: number,
    numLayers: number,
    options?: Omit<RecurrentOptions, "numLayers"> & { projSize?: number },
  );
  constructor(
    ...args: Arguments<
      Sizes & { projSize?: number },
      "inputSize hiddenSize numLayers bias batchFirst dropout bidirectional projSize"
    >
  );
  constructor(...args: unknown[]) {
    super(
      "LSTM",
      4,
      bind<Sizes & { projSize?: number }>("LSTM", args, {
        inputSize: REQUIRED,
        hiddenSize: REQUIRED,
        numLayers: 1,
        ...DEFAULTS,
        projSize: 0,
      }),
    );
  }

  forward(input: PackedSequence, hx?: HiddenState | null): [output: PackedSequence, hx: LstmState];
  forward(input: Tensor, hx?: HiddenState | null): [output: Tensor, hx: LstmState];
  forward(
    input: Tensor | PackedSequence,
    hx: HiddenState | null = null,
  ): [output: Tensor | PackedSequence, hx: LstmState] {
    // One tensor of both states is unpacked as in Python.
    const given: readonly Tensor[] | null = hx instanceof Tensor ? [select(hx, 0, 0), select(hx, 0, 1)] : hx;
    const { y, states } = this.evaluate(input, given);
    return [y, states as LstmState];
  }

  protected recurrence(): Recurrence {
    return lstm;
  }

  protected override stateSizes(): number[] {
    return [this.projSize > 0 ? this.projSize : this.hiddenSize, this.hiddenSize];
  }

  protected override outputGradients(): [plain: string, batchFirst: string] {
    return [this.projSize > 0 ? "StackBackward0" : "MkldnnRnnLayerBackward0", "TransposeBackward0"];
  }

  protected override checkStateRanks([h, c]: readonly Tensor[], batched: boolean): void {
    const expected = batched ? 3 : 2;
    if (h!.ndim === expected && c!.ndim === expected) return;
    const input = batched ? "batched 3-D" : "unbatched 2-D";
    throw new TensorError(
      "shape",
      `For ${input} input, hx and cx should also be ${expected}-D but got (${h!.ndim}-D, ${c!.ndim}-D) tensors`,
    );
  }

  // PyTorch leaves packed input to its kernels, which have their own messages.
  protected override checkPacked(data: Tensor, hx: readonly Tensor[] | null, batch: number): void {
    checkLinear(data, this.weightIhL0!, this.biasIhL0 ?? null);
    this.checkInput(data, data.ndim, 2);
    for (const s of hx ?? []) {
      if (s.shape[1] === batch) continue;
      throw new TensorError(
        "shape",
        `The size of tensor a (${s.shape[1]}) must match the size of tensor b (${batch}) at non-singleton dimension 0`,
      );
    }
    if (hx !== null) this.checkStates(hx, batch);
  }
}

/** Takes padded sequences too: `const [packedOutput, h] = gru(packed)`. */
export interface GRU {
  (input: PackedSequence, hx?: HiddenState | null): [output: PackedSequence, h: Tensor];
}

/**
 * Gated recurrent units. In every step of each layer r = σ(V₁ x + b₁ + W₁ h + d₁), z = σ(V₂ x + b₂ + W₂ h + d₂),
 * n = tanh(V₃ x + b₃ + r (W₃ h + d₃)), h' = (1 − z) n + z h.
 *
 * - input [steps, batch, inputSize] ([batch, steps, inputSize] with `batchFirst`, [steps, inputSize] alone), or a
 *   PackedSequence; state [numLayers · directions, batch, hiddenSize], zeros if left out
 * - returns the hidden states of the last layer [steps, batch, directions · hiddenSize], and of all layers after the
 *   last step, in the shape of the state
 * - weightIhL0 [3 · hiddenSize, inputSize] (of later layers [3 · hiddenSize, directions · hiddenSize]), weightHhL0 [3 ·
 *   hiddenSize, hiddenSize], biasIhL0 and biasHhL0 [3 · hiddenSize], gates in the order r, z, n, all from U(−k, k) with
 *   k = 1/√hiddenSize; `…L0Reverse` are those of the other direction
 *
 * ```ts
 * const [output, h] = new nn.GRU(10, 20, { bidirectional: true })(torch.randn(5, 3, 10));
 * output.shape; // [5, 3, 40]
 * h.shape; // [2, 3, 20]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html
 * @throws TensorError "input.size(-1) must be equal to input_size. Expected 10, got 9"
 * @throws TensorError "Expected hidden size (1, 3, 20), got [2, 3, 20]"
 */
export class GRU extends RecurrentBase {
  constructor(inputSize: number, hiddenSize: number, options?: RecurrentOptions);
  constructor(
    inputSize: number,
    hiddenSize: number,
    numLayers: number,
    options?: Omit<RecurrentOptions, "numLayers">,
  );
  constructor(
    ...args: Arguments<Sizes, "inputSize hiddenSize numLayers bias batchFirst dropout bidirectional">
  );
  constructor(...args: unknown[]) {
    refuseProjection(args);
    const sizes = bind<Sizes>("GRU", args, {
      inputSize: REQUIRED,
      hiddenSize: REQUIRED,
      numLayers: 1,
      ...DEFAULTS,
    });
    super("GRU", 3, { ...sizes, projSize: 0 });
  }

  forward(input: PackedSequence, hx?: HiddenState | null): [output: PackedSequence, h: Tensor];
  forward(input: Tensor, hx?: HiddenState | null): [output: Tensor, h: Tensor];
  forward(
    input: Tensor | PackedSequence,
    hx: HiddenState | null = null,
  ): [output: Tensor | PackedSequence, h: Tensor] {
    const { y, states } = this.evaluate(input, hx === null ? null : [stateOf(hx)]);
    return [y, states[0]!];
  }

  protected recurrence(): Recurrence {
    return gru;
  }
}

/** The one state of a layer that is not an LSTM. */
function stateOf(hx: HiddenState): Tensor {
  if (hx instanceof Tensor) return hx;
  throw new TensorError("value", "this layer has one hidden state, but got a pair: an LSTM's");
}
