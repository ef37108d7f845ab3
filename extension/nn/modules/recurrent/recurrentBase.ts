import { apply } from "../../../tensor/recording/apply.ts";
import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { named } from "../../../tensor/functions/pointwise/operands.ts";
import { squeeze, unsqueeze } from "../../../tensor/functions/shape/shape.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { indexSelect } from "../../../tensor/ops/movement/indexing.ts";
import { permute, reshape } from "../../../tensor/ops/movement/movement.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import { formatShape, sameShape } from "../../../tensor/core/shape.ts";
import { Tensor, type Parameter } from "../../../tensor/core/tensor.ts";
import { recurrentLayers, type Recurrence, type RecurrentWeights } from "../../functional/recurrent.ts";
import { uniform_ } from "../../init.ts";
import { BuiltIn } from "../../module/module.ts";
import { PackedSequence } from "../../packedSequence.ts";
import { py, pyFloat } from "../../module/repr.ts";
import { warnOnce } from "../../warnings.ts";
import { emptyParameter } from "../linear.ts";

/** Options of all recurrent layers. */
export interface RecurrentOptions {
  /** Number of stacked layers, each reading the output of the one below it; 1 by default. */
  numLayers?: number;
  bias?: boolean;
  /** Input and output are [batch, steps, features] instead of [steps, batch, features]. States are not affected. */
  batchFirst?: boolean;
  /** Probability, in training, of dropping each output of all layers but the last. */
  dropout?: number;
  /** Adds a second unit per layer, which reads the sequence from its end; the outputs of both are concatenated. */
  bidirectional?: boolean;
}

export interface RecurrentSizes extends Required<RecurrentOptions> {
  inputSize: number;
  hiddenSize: number;
  projSize: number;
}

/** Every parameter from U(−k, k) with k = 1/√hiddenSize, in the order of the state dict. */
export function resetRecurrent(module: BuiltIn, hiddenSize: number): void {
  const k = hiddenSize > 0 ? 1 / Math.sqrt(hiddenSize) : 0;
  for (const parameter of module.parameters()) uniform_(parameter, -k, k);
}

/** Parameters of a layer: `weightIhL0`, `biasHhL1Reverse`, … Bias and projection are there if the layer has them. */
type ParameterName =
  `${"weightIh" | "weightHh" | "biasIh" | "biasHh" | "weightHr"}L${number}${"" | "Reverse"}`;

/** Base class of RNN, LSTM and GRU. */
export abstract class RecurrentBase extends BuiltIn {
  [name: ParameterName]: Parameter;
  /** PyTorch's name of the kind: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU". */
  readonly mode: string;
  inputSize: number;
  hiddenSize: number;
  numLayers: number;
  bias: boolean;
  batchFirst: boolean;
  dropout: number;
  bidirectional: boolean;
  /** Size of the hidden state where it is a projection; 0 without. */
  projSize: number;

  /** @param gates how many gates of hiddenSize rows the weights have */
  constructor(mode: string, gates: number, sizes: RecurrentSizes) {
    super();
    checkSizes(sizes);
    this.mode = mode;
    this.inputSize = sizes.inputSize;
    this.hiddenSize = sizes.hiddenSize;
    this.numLayers = sizes.numLayers;
    this.bias = sizes.bias;
    this.batchFirst = sizes.batchFirst;
    this.dropout = sizes.dropout;
    this.bidirectional = sizes.bidirectional;
    this.projSize = sizes.projSize;
    const rows = gates * this.hiddenSize;
    for (let layer = 0; layer < this.numLayers; layer++) {
      const width = layer === 0 ? this.inputSize : this.outputSize * this.directions;
      for (const suffix of this.suffixes(layer)) {
        this.registerParameter(`weightIh${suffix}`, emptyParameter([rows, width]));
        this.registerParameter(`weightHh${suffix}`, emptyParameter([rows, this.outputSize]));
        if (this.bias) {
          this.registerParameter(`biasIh${suffix}`, emptyParameter([rows]));
          this.registerParameter(`biasHh${suffix}`, emptyParameter([rows]));
        }
        if (this.projSize > 0) {
          this.registerParameter(`weightHr${suffix}`, emptyParameter([this.projSize, this.hiddenSize]));
        }
      }
    }
    this.resetParameters();
  }

  /** The kind of unit. */
  protected abstract recurrence(): Recurrence;

  /** Sizes of the unit's states: the hidden one; of an LSTM also the cell. */
  protected stateSizes(): number[] {
    return [this.hiddenSize];
  }

  /** PyTorch's names of the gradient of the output; `plain` is that of one direction. */
  protected outputGradients(): [plain: string, batchFirst: string] {
    return ["StackBackward0", "TransposeBackward1"];
  }

  resetParameters(): void {
    resetRecurrent(this, this.hiddenSize);
  }

  /** Accepted for PyTorch's sake: weights need no particular place in memory here. */
  flattenParameters(): void {}

  /** The parameters of each layer and direction, in the order of the state dict. */
  get allWeights(): Parameter[][] {
    return this.weights().map((w) =>
      [w.weightIh, w.weightHh, w.biasIh, w.biasHh, w.weightHr].filter(
        (p): p is Parameter => p instanceof Tensor,
      ),
    );
  }

  private get outputSize(): number {
    return this.projSize > 0 ? this.projSize : this.hiddenSize;
  }

  private get directions(): 1 | 2 {
    return this.bidirectional ? 2 : 1;
  }

  private suffixes(layer: number): `L${number}${"" | "Reverse"}`[] {
    return this.bidirectional ? [`L${layer}`, `L${layer}Reverse`] : [`L${layer}`];
  }

  private weights(): RecurrentWeights[] {
    return Array.from({ length: this.numLayers }, (_, layer) =>
      this.suffixes(layer).map((suffix) => ({
        weightIh: this[`weightIh${suffix}`]!,
        weightHh: this[`weightHh${suffix}`]!,
        biasIh: this[`biasIh${suffix}`] ?? null,
        biasHh: this[`biasHh${suffix}`] ?? null,
        weightHr: this[`weightHr${suffix}`],
      })),
    ).flat();
  }

  /** Returns the output sequence of the last layer and the final states of all layers. */
  protected evaluate(
    input: Tensor | PackedSequence,
    given: readonly Tensor[] | null,
  ): { y: Tensor | PackedSequence; states: Tensor[] } {
    if (input instanceof PackedSequence) return this.runPacked(input, given);
    if (input.ndim !== 2 && input.ndim !== 3) throw new TensorError("shape", this.rankMessage(input.ndim));
    const batched = input.ndim === 3;
    if (given !== null) this.checkStateRanks(given, batched);
    if (batched) return this.runPadded(input, given);
    const { y, states } = this.runPadded(
      unsqueeze(input, this.batchFirst ? 0 : 1),
      given?.map((s) => unsqueeze(s, 1)) ?? null,
    );
    return { y: squeeze(y, this.batchFirst ? 0 : 1), states: states.map((s) => squeeze(s, 1)) };
  }

  /** Runs over sequences of one length. */
  private runPadded(input: Tensor, hx: readonly Tensor[] | null): { y: Tensor; states: Tensor[] } {
    const { batchFirst } = this;
    this.checkInput(input, input.ndim, 3);
    const [steps, batch] = (batchFirst ? [input.shape[1], input.shape[0]] : input.shape) as [number, number];
    if (hx !== null) this.checkStates(hx, batch);
    const turned = (x: Tensor): Tensor => (batchFirst ? apply(permute, [x], { order: [1, 0, 2] }) : x);
    const rows = apply(reshape, [turned(input)], { shape: [steps * batch, this.inputSize] });
    const { y, states } = this.run(rows, Array<number>(steps).fill(batch), hx);
    const output = turned(apply(reshape, [y], { shape: [steps, batch, y.shape[1]!] }));
    // PyTorch leaves the transposition to strides.
    if (batchFirst) output.laidOut([y.shape[1]!, batch * y.shape[1]!, 1]);
    return { y: named(output, this.gradientName()), states };
  }

  private gradientName(): string {
    const [plain, batchFirst] = this.outputGradients();
    if (this.batchFirst) return batchFirst;
    return this.bidirectional ? "CatBackward0" : plain;
  }

  /** Runs over packed sequences; the states are in their original order before and after. */
  private runPacked(
    packed: PackedSequence,
    given: readonly Tensor[] | null,
  ): { y: PackedSequence; states: Tensor[] } {
    const { data, batchSizes, sortedIndices, unsortedIndices } = packed;
    const sizes = [...valuesOf(batchSizes.value)];
    const permuted = (s: Tensor, order: Tensor | null): Tensor =>
      order === null ? s : apply(indexSelect, [s, order], { dim: 1 });
    const hx = given?.map((s) => permuted(s, sortedIndices)) ?? null;
    this.checkPacked(data, hx, sizes[0]!);
    const { y, states } = this.run(data, sizes, hx);
    return {
      y: packed.with(named(y, "CatBackward0")),
      states: states.map((s) => permuted(s, unsortedIndices)),
    };
  }

  private run(
    rows: Tensor,
    sizes: readonly number[],
    hx: readonly Tensor[] | null,
  ): { y: Tensor; states: Tensor[] } {
    const weights = this.weights();
    const zeros = (width: number): Tensor =>
      new Tensor(fillValue(0, [weights.length, sizes[0] ?? 0, width], "float32"));
    const { y, states } = recurrentLayers(
      {
        run: this.recurrence(),
        weights,
        bidirectional: this.bidirectional,
        dropout: this.training ? this.dropout : 0,
      },
      rows,
      sizes,
      hx ?? this.stateSizes().map(zeros),
    );
    return { y, states: [...states] };
  }

  protected rankMessage(rank: number): string {
    return `${this.constructor.name}: Expected input to be 2D or 3D, got ${rank}D instead`;
  }

  protected checkStateRanks([h]: readonly Tensor[], batched: boolean): void {
    if (h!.ndim === (batched ? 3 : 2)) return;
    throw new TensorError(
      "shape",
      batched
        ? `For batched 3-D input, hx should also be 3-D but got ${h!.ndim}-D tensor`
        : `For unbatched 2-D input, hx should also be 2-D but got ${h!.ndim}-D tensor`,
    );
  }

  protected checkPacked(data: Tensor, hx: readonly Tensor[] | null, batch: number): void {
    this.checkInput(data, data.ndim, 2);
    if (hx !== null) this.checkStates(hx, batch);
  }

  protected checkInput(input: Tensor, rank: number, expected: number): void {
    if (input.dtype !== "float32") {
      throw new TensorError(
        "dtype",
        `RNN input dtype (torch.${input.dtype}) does not match weight dtype (torch.float32). Convert input: input.to(torch.float32), or convert model: model.to(torch.${input.dtype})`,
      );
    }
    if (rank !== expected) {
      throw new TensorError("shape", `input must have ${expected} dimensions, got ${rank}`);
    }
    const width = input.shape[input.ndim - 1]!;
    if (width !== this.inputSize) {
      throw new TensorError(
        "shape",
        `input.size(-1) must be equal to input_size. Expected ${this.inputSize}, got ${width}`,
      );
    }
  }

  protected checkStates(hx: readonly Tensor[], batch: number): void {
    const widths = this.stateSizes();
    hx.forEach((s, i) => {
      const expected = [this.numLayers * this.directions, batch, widths[i]!];
      if (sameShape(s.shape, expected)) return;
      const which = hx.length > 1 ? `[${i}]` : "";
      throw new TensorError(
        "shape",
        `Expected hidden${which} size ${py(expected)}, got ${formatShape(s.shape)}`,
      );
    });
    for (const s of hx) {
      if (s.dtype === "float32") continue;
      throw new TensorError(
        "dtype",
        `mat1 and mat2 must have the same dtype, but got ${SCALAR_TYPE[s.dtype]} and Float`,
      );
    }
  }

  override extraRepr(): string {
    const parts = [`${this.inputSize}, ${this.hiddenSize}`];
    if (this.projSize !== 0) parts.push(`proj_size=${this.projSize}`);
    if (this.numLayers !== 1) parts.push(`num_layers=${this.numLayers}`);
    if (!this.bias) parts.push("bias=False");
    if (this.batchFirst) parts.push("batch_first=True");
    if (this.dropout !== 0) parts.push(`dropout=${pyFloat(this.dropout)}`);
    if (this.bidirectional) parts.push("bidirectional=True");
    return parts.join(", ");
  }
}

/** @throws TensorError "proj_size argument is only supported for LSTM, not RNN or GRU" */
export function refuseProjection(args: readonly unknown[]): void {
  const last = args[args.length - 1];
  if (typeof last === "object" && last !== null && "projSize" in last) {
    throw new TensorError("value", "proj_size argument is only supported for LSTM, not RNN or GRU");
  }
}

function checkSizes(sizes: RecurrentSizes): void {
  const { inputSize, hiddenSize, numLayers, bias, batchFirst, dropout, projSize } = sizes;
  const refuse = (message: string): never => {
    throw new TensorError("value", message);
  };
  if (typeof dropout !== "number" || !(dropout >= 0 && dropout <= 1)) {
    refuse(
      "dropout should be a number in range [0, 1] representing the probability of an element being zeroed",
    );
  }
  if (dropout > 0 && numLayers === 1) {
    warnOnce(
      `dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, but got dropout=${py(dropout)} and num_layers=${numLayers}`,
    );
  }
  for (const [name, value] of Object.entries({ bias, batch_first: batchFirst }))
    if (typeof value !== "boolean") refuse(`${name} should be of type bool, got: ${typeName(value)}`);
  for (const [name, value] of Object.entries({ input_size: inputSize, hidden_size: hiddenSize })) {
    if (!Number.isInteger(value)) refuse(`${name} should be of type int, got: ${typeName(value)}`);
    if (value <= 0) refuse(`${name} must be greater than zero`);
  }
  if (numLayers <= 0) refuse("num_layers must be greater than zero");
  if (projSize < 0) refuse("proj_size should be a positive integer or zero to disable projections");
  if (projSize >= hiddenSize) refuse("proj_size has to be smaller than hidden_size");
  if (!Number.isInteger(numLayers))
    refuse(`'${typeName(numLayers)}' object cannot be interpreted as an integer`);
}

/** Python's name of a value's type. */
function typeName(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (typeof value === "string") return "str";
  if (typeof value === "boolean") return "bool";
  return value === null ? "NoneType" : "object";
}
