import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { named } from "../../../tensor/functions/pointwise/operands.ts";
import { squeeze, unsqueeze } from "../../../tensor/functions/shape/shape.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { Tensor, type Parameter } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { elman, gru, lstm, type Recurrence } from "../../functional/recurrent.ts";
import { BuiltIn } from "../../module/module.ts";
import { emptyParameter } from "../linear.ts";
import type { LstmState } from "./recurrent.ts";
import { resetRecurrent } from "./recurrentBase.ts";

interface CellArguments {
  inputSize: number;
  hiddenSize: number;
  bias?: boolean;
}

interface CellOptions {
  bias?: boolean;
}

interface Nonlinearity {
  nonlinearity?: "tanh" | "relu";
}

/** Base class of the cells: one step of a recurrent layer. */
abstract class Cell extends BuiltIn {
  inputSize: number;
  hiddenSize: number;
  bias: boolean;
  weightIh: Parameter;
  weightHh: Parameter;
  biasIh: Parameter | null;
  biasHh: Parameter | null;

  constructor(gates: number, { inputSize, hiddenSize, bias }: Required<CellArguments>) {
    super();
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.bias = bias;
    this.weightIh = emptyParameter([gates * hiddenSize, inputSize]);
    this.weightHh = emptyParameter([gates * hiddenSize, hiddenSize]);
    this.biasIh = bias ? emptyParameter([gates * hiddenSize]) : null;
    this.biasHh = bias ? emptyParameter([gates * hiddenSize]) : null;
    this.resetParameters();
  }

  resetParameters(): void {
    resetRecurrent(this, this.hiddenSize);
  }

  /** One step from states [batch, hiddenSize] (or [hiddenSize]); zeros if there are none. */
  protected step(
    recurrence: Recurrence,
    input: Tensor,
    given: readonly Tensor[] | null,
    count: number,
    gradients: readonly string[],
  ): Tensor[] {
    const batched = input.ndim === 2;
    const x = batched ? input : unsqueeze(input, 0);
    const width = x.shape[1]!;
    if (width !== this.inputSize) {
      throw new TensorError(
        "shape",
        `input has inconsistent input_size: got ${width} expected ${this.inputSize}`,
      );
    }
    const batch = x.shape[0]!;
    const states =
      given?.map((s) => (batched ? s : unsqueeze(s, 0))) ??
      Array.from({ length: count }, () => new Tensor(fillValue(0, [batch, this.hiddenSize], "float32")));
    states.forEach((s, i) => this.checkState(s, i, batch));
    for (const t of [x, ...states]) {
      if (t.dtype === "float32") continue;
      throw new TensorError(
        "dtype",
        `mat1 and mat2 must have the same dtype, but got ${SCALAR_TYPE[t.dtype]} and Float`,
      );
    }
    const { states: next } = recurrence(x, states, this, [batch]);
    return next.map((s, i) => (batched ? named(s, gradients[i]!) : named(squeeze(s, 0), "SqueezeBackward1")));
  }

  private checkState(state: Tensor, i: number, batch: number): void {
    const refuse = (message: string): never => {
      throw new TensorError("shape", message);
    };
    if (state.ndim !== 2)
      refuse(`Expected 2D hidden${i} (batch x hidden_size), but got ${state.ndim}D tensor`);
    if (state.shape[0] !== batch)
      refuse(`Input batch size ${batch} doesn't match hidden${i} batch size ${state.shape[0]}`);
    if (state.shape[1] !== this.hiddenSize) {
      refuse(`hidden${i} has inconsistent hidden_size: got ${state.shape[1]}, expected ${this.hiddenSize}`);
    }
  }

  protected checkRank(what: string, { ndim }: Tensor): void {
    if (ndim === 1 || ndim === 2) return;
    throw new TensorError(
      "shape",
      `${this.constructor.name}: Expected ${what} to be 1D or 2D, got ${ndim}D instead`,
    );
  }

  override extraRepr(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.bias ? "" : ", bias=False"}`;
  }
}

const SIGNATURE = { inputSize: REQUIRED, hiddenSize: REQUIRED, bias: true } as const;

/**
 * One step of {@link RNN}: h' = tanh(V x + b + W h + c), or relu of it.
 *
 * - input [batch, inputSize] or [inputSize]; state and result [batch, hiddenSize] or [hiddenSize], zeros if left out
 * - weightIh [hiddenSize, inputSize], weightHh [hiddenSize, hiddenSize], biasIh and biasHh [hiddenSize], all from
 *   U(−k, k) with k = 1/√hiddenSize
 *
 * ```ts
 * const cell = new nn.RNNCell(10, 20);
 * let h = torch.zeros(3, 20);
 * for (const x of torch.randn(6, 3, 10)) h = cell(x, h);
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
 * @throws TensorError "input has inconsistent input_size: got 9 expected 10"
 * @throws TensorError "hidden0 has inconsistent hidden_size: got 19, expected 20"
 */
export class RNNCell extends Cell {
  nonlinearity: "tanh" | "relu";

  constructor(inputSize: number, hiddenSize: number, options?: CellOptions & Nonlinearity);
  constructor(inputSize: number, hiddenSize: number, bias: boolean, nonlinearity?: "tanh" | "relu");
  constructor(...args: Arguments<CellArguments & Nonlinearity, "inputSize hiddenSize bias nonlinearity">);
  constructor(...args: unknown[]) {
    const bound = bind<CellArguments & Nonlinearity>("RNNCell", args, {
      ...SIGNATURE,
      nonlinearity: "tanh",
    });
    super(1, bound);
    this.nonlinearity = bound.nonlinearity;
  }

  forward(input: Tensor, hx: Tensor | null = null): Tensor {
    const { nonlinearity } = this;
    this.checkRank("input", input);
    if (hx !== null) this.checkRank("hidden", hx);
    if (nonlinearity !== "tanh" && nonlinearity !== "relu")
      throw new TensorError("value", `Unknown nonlinearity: ${String(nonlinearity)}`);
    const gradient = nonlinearity === "tanh" ? "TanhBackward0" : "ReluBackward0";
    return this.step(elman(nonlinearity), input, hx === null ? null : [hx], 1, [gradient])[0]!;
  }

  override extraRepr(): string {
    return super.extraRepr() + (this.nonlinearity === "tanh" ? "" : `, nonlinearity=${this.nonlinearity}`);
  }
}

/**
 * One step of {@link LSTM}: (i, f, g, o) = V x + b + W h + d, c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c').
 *
 * - input [batch, inputSize] or [inputSize]; states and results h and c [batch, hiddenSize] or [hiddenSize], zeros if
 *   left out
 * - weightIh [4 · hiddenSize, inputSize], weightHh [4 · hiddenSize, hiddenSize], biasIh and biasHh [4 · hiddenSize], all
 *   from U(−k, k) with k = 1/√hiddenSize
 *
 * ```ts
 * const cell = new nn.LSTMCell(10, 20);
 * let [h, c] = [torch.zeros(3, 20), torch.zeros(3, 20)];
 * for (const x of torch.randn(6, 3, 10)) [h, c] = cell(x, [h, c]);
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
 * @throws TensorError "input has inconsistent input_size: got 9 expected 10"
 * @throws TensorError "hidden1 has inconsistent hidden_size: got 19, expected 20"
 */
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options?: CellOptions);
  constructor(inputSize: number, hiddenSize: number, bias: boolean);
  constructor(...args: Arguments<CellArguments, "inputSize hiddenSize bias">);
  constructor(...args: unknown[]) {
    super(4, bind<CellArguments>("LSTMCell", args, SIGNATURE));
  }

  forward(input: Tensor, hx: LstmState | null = null): LstmState {
    this.checkRank("input", input);
    hx?.forEach((s, i) => this.checkRank(`hx[${i}]`, s));
    return this.step(lstm, input, hx, 2, ["MulBackward0", "AddBackward0"]) as LstmState;
  }
}

/**
 * One step of {@link GRU}: r = σ(V₁ x + b₁ + W₁ h + d₁), z = σ(V₂ x + b₂ + W₂ h + d₂), n = tanh(V₃ x + b₃ + r (W₃ h +
 * d₃)), h' = (1 − z) n + z h.
 *
 * - input [batch, inputSize] or [inputSize]; state and result [batch, hiddenSize] or [hiddenSize], zeros if left out
 * - weightIh [3 · hiddenSize, inputSize], weightHh [3 · hiddenSize, hiddenSize], biasIh and biasHh [3 · hiddenSize], all
 *   from U(−k, k) with k = 1/√hiddenSize
 *
 * ```ts
 * const cell = new nn.GRUCell(10, 20);
 * let h = torch.zeros(3, 20);
 * for (const x of torch.randn(6, 3, 10)) h = cell(x, h);
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
 * @throws TensorError "input has inconsistent input_size: got 9 expected 10"
 * @throws TensorError "hidden0 has inconsistent hidden_size: got 19, expected 20"
 */
export class GRUCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options?: CellOptions);
  constructor(inputSize: number, hiddenSize: number, bias: boolean);
  constructor(...args: Arguments<CellArguments, "inputSize hiddenSize bias">);
  constructor(...args: unknown[]) {
    super(3, bind<CellArguments>("GRUCell", args, SIGNATURE));
  }

  forward(input: Tensor, hx: Tensor | null = null): Tensor {
    this.checkRank("input", input);
    if (hx !== null) this.checkRank("hidden", hx);
    return this.step(gru, input, hx === null ? null : [hx], 1, ["AddBackward0"])[0]!;
  }
}
