// Which units of a layer matter: each is switched off in turn, many in one forward pass where samples are independent.
import { setImmediate } from "node:timers/promises";
import {
  MAX_ABLATED_UNITS,
  MAX_RANKED,
  type AblationProgress,
  type RankedUnit,
  type Ranking,
} from "../../protocol/interventions.ts";
import { EngineError } from "../../protocol/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { widthOf } from "./decisions.ts";
import { forward } from "./evaluator.ts";
import { activationsOf, unitValues, withChanges } from "./interventions.ts";
import { readOutput, repeated, type AskedSample, type ReadingContext } from "./reading.ts";
import { indexOfLargest } from "./samples.ts";
import { keyOf, placeOf, type Units } from "./unitLayers.ts";

/** Samples in a forward pass at most, and numbers of its largest tensor. */
const MAX_ROWS = 64;
const MAX_ELEMENTS = 1 << 22;
/** Milliseconds between two reports of progress. */
const INTERVAL = 100;

/** Inputs of {@link rankUnits}. */
export interface Ablation {
  reading: ReadingContext;
  /** Samples to compute, and samples in total. */
  count: number;
  of: number;
  sample: (i: number) => AskedSample;
  unitsFor: (sample: AskedSample) => Units;
  /** Numbers of the largest tensor in a forward pass of the sample. */
  largest: (sample: AskedSample) => number;
  /** Values of switched-off units, in the shape of the layer's output. */
  fill: (units: Units) => Float32Array;
  /** The loss of each row of an output. */
  loss: (sample: AskedSample, output: Tensor) => ArrayLike<number> | undefined;
  tell: (progress: AblationProgress) => void;
  signal: AbortSignal;
}

/** A model's answer for one row of a forward pass. */
interface Row {
  loss: number | undefined;
  chances: number[] | undefined;
  output: ArrayLike<number>;
}

/** Ranks units by the effect of switching each off; null when the signal was aborted. */
export async function rankUnits(ablation: Ablation): Promise<Ranking | null> {
  const { count, of, sample, unitsFor, tell, signal } = ablation;
  const first = unitsFor(sample(0));
  const chosen = await chosenUnits(ablation, first);
  if (chosen === null) return null;
  const sums = new Map(chosen.map((unit): [number, Sums] => [unit, new Sums()]));
  const whole = { loss: new Mean(), probability: new Mean() };
  const passes = new Passes(ablation);
  let told = 0;
  for (let i = 0; i < count; i++) {
    const one = sample(i);
    const units = unitsFor(one);
    if (units.units !== first.units)
      throw new EngineError({
        code: "layer",
        message: `${units.layer} has ${first.units} units for one sample and ${units.units} for another: rank them for one input.`,
      });
    const fills = Array.from({ length: units.calls }, () => ablation.fill(units));
    for (let at = 0; at < chosen.length;) {
      const share = chosen.slice(at, at + passes.size(one));
      const [base, ...rows] = passes.run(one, units, share, fills);
      const predicted = base.chances && indexOfLargest(base.chances);
      if (at === 0) {
        whole.loss.add(base.loss);
        whole.probability.add(predicted === undefined ? undefined : base.chances![predicted]);
      }
      rows.forEach((row, k) => sums.get(share[k]!)!.add(base, row, predicted));
      at += share.length;
      if (performance.now() - told > INTERVAL) {
        told = performance.now();
        tell({ done: i * chosen.length + at, of: count * chosen.length });
      }
      await setImmediate();
      if (signal.aborted) return null;
    }
  }
  const { type, kind, units } = first;
  const ranked = [...sums].map(([unit, sum]) => sum.ranked(unit));
  return {
    ...placeOf(first),
    type,
    kind,
    units,
    ablated: chosen.length,
    samples: count,
    of,
    ...known("loss", whole.loss.get()),
    ...known("probability", whole.probability.get()),
    ranked: ranked.sort((a, b) => weight(b) - weight(a) || a.unit - b.unit).slice(0, MAX_RANKED),
    alone: passes.alone,
  };
}

/** How much a unit matters: a change that is no number counts as none. */
function weight({ loss, probability, output }: RankedUnit): number {
  const change = Math.abs(loss ?? probability ?? output);
  return Number.isNaN(change) ? -1 : change;
}

/** All units, or the most active ones of too many. */
async function chosenUnits(
  { reading, count, sample, unitsFor, signal }: Ablation,
  first: Units,
): Promise<number[] | null> {
  const all = Array.from({ length: first.units }, (_, unit) => unit);
  if (first.units <= MAX_ABLATED_UNITS) return all;
  const { model } = reading.subject.prepared;
  const activity = new Float64Array(first.units);
  for (let i = 0; i < count; i++) {
    const one = sample(i);
    const units = unitsFor(one);
    const given = activationsOf(model, [units], () => forward(model, one.inputs)).get(keyOf(units))!;
    unitValues(units, given).forEach((value, unit) => (activity[unit]! += Math.abs(value)));
    await setImmediate();
    if (signal.aborted) return null;
  }
  return all.sort((a, b) => activity[b]! - activity[a]! || a - b).slice(0, MAX_ABLATED_UNITS);
}

/** Forward passes of a sample with and without units. */
class Passes {
  readonly #ablation: Ablation;
  /** Whether each change needs a pass of its own. */
  alone = false;
  #base: { sample: AskedSample; row: Row } | undefined;

  constructor(ablation: Ablation) {
    this.#ablation = ablation;
  }

  /** Units of one call of {@link run}: fewer where each needs a pass, so that a stop is prompt. */
  size(sample: AskedSample): number {
    if (this.alone) return 1;
    const rows = Math.floor(MAX_ELEMENTS / this.#ablation.largest(sample));
    return Math.max(1, Math.min(rows, MAX_ROWS) - 1);
  }

  /** The whole model's answer, and that without each of the units. */
  run(
    sample: AskedSample,
    units: Units,
    off: readonly number[],
    fills: readonly Float32Array[],
  ): [whole: Row, ...without: Row[]] {
    if (this.#base?.sample !== sample)
      this.#base = { sample, row: this.#pass(sample, units, [[]], fills)[0] };
    const { row: base } = this.#base;
    if (!this.alone) {
      const rows = this.#together(sample, units, [[], ...off.map((unit) => [unit])], fills);
      // In a batch, the unchanged model must answer as it does for one sample.
      const same = rows !== undefined && alike(rows[0].output, base.output);
      if (same && (rows[0].loss === undefined) === (base.loss === undefined)) return rows;
      this.alone = true;
    }
    return [base, ...off.map((unit) => this.#pass(sample, units, [[unit]], fills)[0])];
  }

  /** Undefined where the model takes one sample only. */
  #together(
    sample: AskedSample,
    units: Units,
    rows: readonly (readonly number[])[],
    fills: readonly Float32Array[],
  ): [Row, ...Row[]] | undefined {
    try {
      return this.#pass(sample, units, rows, fills);
    } catch {
      // An error unrelated to the batch is thrown again by the pass of one sample.
      return undefined;
    }
  }

  /** One forward pass of copies of the sample, with other units changed in each. */
  #pass(
    sample: AskedSample,
    units: Units,
    rows: readonly (readonly number[])[],
    fills: readonly Float32Array[],
  ): [Row, ...Row[]] {
    const { reading, loss } = this.#ablation;
    const { model } = reading.subject.prepared;
    const inputs = repeated(sample.inputs, rows.length);
    const output = noGrad(() => withChanges(model, [{ units, rows, fills }], () => forward(model, inputs)));
    const values = valuesOf(output.value);
    const losses = loss(sample, output);
    const width = widthOf(output);
    const answer = (row: number): Row => ({
      loss: losses?.[row],
      chances: readOutput(output, sample.inputs[0]!, reading, row)?.chances,
      output: values.slice(row * width, (row + 1) * width),
    });
    return [answer(0), ...rows.slice(1).map((_, row) => answer(row + 1))];
  }
}

/** Equal up to rounding, which depends on how many samples are computed together. */
function alike(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  let largest = 0;
  for (let i = 0; i < b.length; i++) if (Number.isFinite(b[i]!)) largest = Math.max(largest, Math.abs(b[i]!));
  const tolerance = 1e-3 * largest + 1e-6;
  for (let i = 0; i < b.length; i++)
    if (!(Object.is(a[i], b[i]) || Math.abs(a[i]! - b[i]!) <= tolerance)) return false;
  return true;
}

/** A mean of numbers that may be absent. */
class Mean {
  #sum = 0;
  #count = 0;

  add(value: number | undefined): void {
    if (value === undefined) return;
    this.#sum += value;
    this.#count++;
  }

  get(): number | undefined {
    return this.#count === 0 ? undefined : this.#sum / this.#count;
  }
}

/** Mean effects of switching one unit off. */
class Sums {
  readonly #loss = new Mean();
  readonly #probability = new Mean();
  readonly #output = new Mean();
  #changed: number | undefined;

  /** @param predicted The class that the whole model predicts */
  add(whole: Row, without: Row, predicted: number | undefined): void {
    this.#loss.add(
      whole.loss === undefined || without.loss === undefined ? undefined : without.loss - whole.loss,
    );
    this.#output.add(meanDistance(without.output, whole.output));
    if (predicted === undefined) return;
    this.#probability.add(without.chances![predicted]! - whole.chances![predicted]!);
    this.#changed = (this.#changed ?? 0) + (indexOfLargest(without.chances!) === predicted ? 0 : 1);
  }

  ranked(unit: number): RankedUnit {
    return {
      unit,
      ...known("loss", this.#loss.get()),
      ...known("probability", this.#probability.get()),
      output: this.#output.get() ?? 0,
      ...known("changed", this.#changed),
    };
  }
}

function meanDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum / Math.max(b.length, 1);
}

const known = <Name extends string>(name: Name, value: number | undefined): { [K in Name]?: number } =>
  value === undefined ? {} : ({ [name]: value } as { [K in Name]: number });
