// Forward passes with replaced values of layers' units.
import type { Module } from "../../nn/module/module.ts";
import { EngineError } from "../../protocol/errors.ts";
import { where } from "../../tensor/functions/pointwise/elementwise.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape, numel, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { foundAt, keyOf, withOutputs, type Units } from "./unitLayers.ts";

/** Units of one layer whose values are replaced. */
export interface Change {
  units: Units;
  /** For each sample of the batch: the units that are changed. */
  rows: readonly (readonly number[])[];
  /** For each call of the layer: values of the changed units, in the shape of its output for one sample. */
  fills: readonly Float32Array[];
}

/** Runs `body`, in which the model's layers are changed. */
export function withChanges<T>(model: Module, changes: readonly Change[], body: () => T): T {
  const made = new Map(changes.map((change) => [keyOf(change.units), new Changed(change)]));
  return withOutputs(
    model,
    (output, at) => (output instanceof Tensor ? foundAt(made, at)?.next(output) : undefined),
    body,
  );
}

class Changed {
  readonly #change: Change;
  readonly #mask: Tensor;
  #calls = 0;

  constructor(change: Change) {
    this.#change = change;
    const { units, rows } = change;
    const shape = units.shape.map((size, d) => (d === units.unitDim ? size : 1));
    shape[units.batchDim] = rows.length;
    const mask = new Uint8Array(numel(shape));
    const n = units.shape[units.unitDim]!;
    // The batch may stand after the units.
    const [rowStep, unitStep] = units.batchDim < units.unitDim ? [n, 1] : [1, rows.length];
    rows.forEach((row, r) => row.forEach((unit) => (mask[r * rowStep + unit * unitStep] = 1)));
    this.#mask = fromHost(mask, shape, "bool");
  }

  /** Replaces the changed units in the output of the layer's next call. */
  next(output: Tensor): Tensor {
    const { units, rows, fills } = this.#change;
    const fill = fills[this.#calls++];
    const expected = units.shape.map((size, d) => (d === units.batchDim ? rows.length : size));
    if (fill === undefined || !sameShape(output.shape, expected))
      throw new EngineError({
        code: "layer",
        message: `${units.layer} gave ${formatShape(output.shape)} in call ${this.#calls}, expected ${formatShape(expected)} in ${units.calls} calls: its output depends on more than the sample.`,
      });
    return where(this.#mask, fromHost(fill, units.shape, "float32"), output);
  }
}

/**
 * Returns the outputs of layers for one sample by {@link keyOf}, one array for each call.
 * @param run Runs the model on the sample, a batch of one
 * @param attention Receives the attention of heads among the layers, in their last call
 */
export function activationsOf(
  model: Module,
  layers: readonly Units[],
  run: () => Tensor,
  attention?: Map<string, Tensor>,
): Map<string, Float32Array[]> {
  const wanted = new Map(layers.map((units): [string, Tensor[]] => [keyOf(units), []]));
  noGrad(() => {
    const output = withOutputs(
      model,
      (given, at) => {
        const found = given instanceof Tensor ? foundAt(wanted, at) : undefined;
        if (found === undefined) return undefined;
        found.push(given as Tensor);
        if (attention === undefined || at.weights === undefined) return undefined;
        at.weights.value.visible = true;
        attention.set(at.layer, at.weights);
        return undefined;
      },
      run,
    );
    // The layers' outputs are computed with the model's.
    valuesOf(output.value);
  });
  return new Map(
    [...wanted].map(([key, given]) => [key, given.map(({ value }) => Float32Array.from(valuesOf(value)))]),
  );
}

/** Visits the numbers of a layer's output in order, with each one's unit, and the place of its mean among all means. */
function visit(
  { shape, unitDim, kept }: Pick<Units, "shape" | "unitDim" | "kept">,
  each: (at: number, unit: number, mean: number) => void,
): void {
  const [outer, n, inner] = split(shape, unitDim);
  let at = 0;
  for (let o = 0; o < outer; o++)
    for (let unit = 0; unit < n; unit++)
      for (let i = 0; i < inner; i++) each(at++, unit, unit * kept + (i % kept));
}

/** Numbers of the dimensions before the units, units, and numbers of the dimensions after them. */
const split = (shape: Shape, unitDim: number): [outer: number, units: number, inner: number] => [
  numel(shape.slice(0, unitDim)),
  shape[unitDim]!,
  numel(shape.slice(unitDim + 1)),
];

/** Each unit's value for a sample: its mean over positions, of heads the root of the mean square. */
export function unitValues(units: Units, calls: readonly Float32Array[]): number[] {
  const head = units.kind === "head";
  const sums = new Float64Array(units.units);
  for (const values of calls)
    visit(units, (at, unit) => (sums[unit]! += head ? values[at]! ** 2 : values[at]!));
  const each = (numel(units.shape) / units.units) * calls.length;
  return Array.from(sums, (sum) => (head ? Math.sqrt(sum / each) : sum / each));
}

/** Means of a layer's numbers over samples and positions. */
export class UnitMeans {
  readonly #units: Units;
  readonly #sums: Float64Array;
  #count = 0;

  constructor(units: Units) {
    this.#units = units;
    this.#sums = new Float64Array(units.units * units.kept);
  }

  /** @param shape Of a batch; its positions may differ from the sample's */
  add(values: ArrayLike<number>, shape: Shape): void {
    const { layer, unitDim, kept, units } = this.#units;
    if (shape[unitDim] !== units || shape.length !== this.#units.shape.length)
      throw new EngineError({
        code: "layer",
        message: `${layer} gives ${formatShape(shape)} for other samples, so its ${units} units have no mean.`,
      });
    visit({ shape, unitDim, kept }, (at, _, mean) => (this.#sums[mean]! += values[at]!));
    this.#count += values.length / this.#sums.length;
  }

  /** The layer's output for a sample with every number replaced by its unit's mean. */
  filled(units: Units): Float32Array {
    const means = this.#sums.map((sum) => sum / Math.max(this.#count, 1));
    const filled = new Float32Array(numel(units.shape));
    visit(units, (at, _, mean) => (filled[at] = means[mean]!));
    return filled;
  }
}

/** Copies the numbers of one unit from one output of the layer into another. */
export function copyUnit(
  { shape, unitDim }: Units,
  unit: number,
  from: Float32Array,
  to: Float32Array,
): void {
  const [outer, n, inner] = split(shape, unitDim);
  for (let o = 0; o < outer; o++) {
    const at = (o * n + unit) * inner;
    to.set(from.subarray(at, at + inner), at);
  }
}
