import { EngineError } from "../../protocol/errors.ts";
import {
  MAX_ABLATION_SAMPLES,
  MAX_UNITS,
  type AblationProgress,
  type AblationQuery,
  type AblationScope,
  type ActivationQuery,
  type Intervention,
  type InterventionAnswer,
  type InterventionQuery,
  type Outcome,
  type Ranking,
  type UnitLayer,
} from "../../protocol/interventions.ts";
import type { Module } from "../../nn/module/module.ts";
import { axesOf } from "../preview/axes.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape, numel } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { toNumber } from "../training/metrics.ts";
import { rankUnits } from "./ablation.ts";
import { sampleLosses } from "./decisions.ts";
import { batchLength, forward, inputsAndTarget } from "./evaluator.ts";
import { activationsOf, copyUnit, UnitMeans, unitValues, withChanges, type Change } from "./interventions.ts";
import type { Outcomes } from "./outcomes.ts";
import { picture } from "./pictures.ts";
import { answerOf, askedSample, repeated, type AskedSample, type ReadingContext } from "./reading.ts";
import {
  foundAt,
  keyOf,
  placeOf,
  unitLayers,
  unitsAt,
  withOutputs,
  type LayerList,
  type Units,
} from "./unitLayers.ts";

/** Samples that a unit's mean is taken over, and samples of a batch for it. */
const MEAN_SAMPLES = 256;
const MEAN_BATCH = 32;
/** Channels of a layer that are drawn, and pixels along a map's longer side. */
const MAX_MAPS = 64;
const MAP_SIDE = 48;
/** Weights of an attention that are drawn. */
const MAX_ATTENTION = 1 << 24;

/** Context of interventions in an evaluated model. */
export interface InterventionContext extends ReadingContext {
  outcomes: Outcomes;
}

export interface RankOptions {
  tell: (progress: AblationProgress) => void;
  /** Aborted: the answer is null. */
  signal: AbortSignal;
}

/** Changes units of an evaluated model, and measures the effect. The model must be in evaluation mode. */
export class ModelInterventions {
  readonly #context: InterventionContext;
  /** By the shapes of inputs. */
  readonly #lists = new Map<string, LayerList>();
  /** By layers. */
  readonly #means = new Map<string, UnitMeans>();

  constructor(context: InterventionContext) {
    this.#context = context;
  }

  /** @throws EngineError when a layer, a unit or a sample doesn't exist, or a layer's units can't be changed */
  intervene({ subject, interventions, of }: InterventionQuery): InterventionAnswer {
    const { model } = this.#context.subject.prepared;
    const sample = askedSample(this.#context.subject, subject);
    const list = this.#layers(sample.inputs);
    const listed = of === undefined ? list.layers[0] : unitsAt(list, of, model);
    const changes = this.#changes(list, interventions);
    let output: Tensor | undefined;
    const attention = new Map<string, Tensor>();
    const run = (): Tensor => (output = forward(model, sample.inputs));
    const activations = activationsOf(model, listed === undefined ? [] : [listed], run, attention);
    const before = this.#outcome(sample, output!);
    const changed =
      changes.length === 0
        ? output!
        : noGrad(() => withChanges(model, changes, () => forward(model, sample.inputs)));
    return {
      layers: list.layers.map(layerOf),
      refused: list.refused,
      ...(listed === undefined
        ? {}
        : { units: shown(listed, activations.get(keyOf(listed))!, attention.get(listed.layer)) }),
      before: before.outcome,
      after: changed === output ? before.outcome : this.#outcome(sample, changed).outcome,
      ...(before.labels === undefined ? {} : { labels: before.labels }),
    };
  }

  /**
   * A layer's attention, or its output with a first dimension for its calls if it has several of one shape.
   * @throws EngineError as {@link intervene}, or when the layer has no attention that can be shown
   */
  activation({ subject, of, ...at }: ActivationQuery): {
    shape: number[];
    values: Float32Array;
    axes: readonly string[] | undefined;
  } {
    const { model } = this.#context.subject.prepared;
    const { inputs } = askedSample(this.#context.subject, subject);
    const units = unitsAt(this.#layers(inputs), at, model);
    const attention = new Map<string, Tensor>();
    const calls = activationsOf(model, [units], () => forward(model, inputs), attention).get(keyOf(units))!;
    if (of === "output") {
      const values = new Float32Array(calls.reduce((sum, { length }) => sum + length, 0));
      let from = 0;
      for (const call of calls) {
        values.set(call, from);
        from += call.length;
      }
      const axes = axesOfUnits(units, model);
      return calls.length > 1
        ? { shape: [calls.length, ...units.shape], values, axes: axes && ["calls", ...axes] }
        : { shape: [...units.shape], values, axes };
    }
    const weights = attention.get(units.layer);
    if (weights === undefined || numel(weights.shape) > MAX_ATTENTION)
      throw new EngineError({ code: "layer", message: `${units.layer} has no attention that can be shown.` });
    return {
      shape: [...weights.shape],
      values: Float32Array.from(valuesOf(weights.value)),
      axes: weights.shape.length === 4 ? ["batch", "heads", "queries", "keys"] : undefined,
    };
  }

  /** Switches the units of a layer off, one after the other, and sorts them by the effect. */
  async rank(query: AblationQuery, { tell, signal }: RankOptions): Promise<Ranking | null> {
    const { subject } = this.#context;
    const { model } = subject.prepared;
    const { samples, of } = this.#scope(query.scope);
    const unitsFor = ({ inputs }: AskedSample): Units => unitsAt(this.#layers(inputs), query, model);
    const means = query.mode === "mean" ? this.#meansOf(unitsFor(samples(0))) : undefined;
    return rankUnits({
      reading: this.#context,
      count: Math.min(of, MAX_ABLATION_SAMPLES),
      of,
      sample: samples,
      unitsFor,
      largest: ({ inputs }) =>
        Math.max(
          ...inputs.map(({ shape }) => numel(shape)),
          ...this.#layers(inputs).layers.map(({ shape }) => numel(shape)),
        ),
      fill: (units) => means?.filled(units) ?? new Float32Array(numel(units.shape)),
      loss: (sample, output) => this.#loss(sample, output),
      tell,
      signal,
    });
  }

  #layers(inputs: readonly Tensor[]): LayerList {
    const key = inputs.map(({ shape, dtype }) => `${dtype} ${formatShape(shape)}`).join();
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const { model } = this.#context.subject.prepared;
    try {
      const list = unitLayers(model, (rows) => forward(model, repeated(inputs, rows)));
      this.#lists.set(key, list);
      return list;
    } catch (error) {
      if (!(error instanceof TensorError)) throw error;
      throw new EngineError({
        code: "layer",
        message: `${model.constructor.name} can't compute several copies of the sample at once, which tells the batch dimension of its layers: ${error.message}`,
      });
    }
  }

  /** The samples of a scope, evenly spaced ones if there are too many. */
  #scope(scope: AblationScope): { samples: (i: number) => AskedSample; of: number } {
    const { subject, outcomes, task } = this.#context;
    if (scope.kind === "subject") {
      const one = askedSample(subject, scope.subject);
      return { samples: () => one, of: 1 };
    }
    const { held } = subject;
    if (!held.listed)
      throw new EngineError({
        code: "index",
        message: "The data is a stream, whose samples have no numbers: choose a single input.",
      });
    if (scope.kind === "class" && task !== "classification")
      throw new EngineError({
        code: "index",
        message: "The model is no classifier, so there are no classes.",
      });
    const indices =
      scope.kind === "class" ? outcomes.select({ order: "index", actual: scope.actual }) : undefined;
    const of = indices?.length ?? held.samples ?? 0;
    if (of === 0)
      throw new EngineError({
        code: "index",
        message: `There is no sample of class ${scope.kind === "class" ? scope.actual : ""}.`,
      });
    const count = Math.min(of, MAX_ABLATION_SAMPLES);
    return {
      samples: (i) => {
        const at = Math.floor((i * of) / count);
        return askedSample(subject, { kind: "sample", index: indices?.[at] ?? at });
      },
      of,
    };
  }

  #changes(list: LayerList, interventions: readonly Intervention[]): Change[] {
    const { model } = this.#context.subject.prepared;
    const byLayer = new Map<string, Intervention[]>();
    for (const one of interventions) byLayer.set(keyOf(one), [...(byLayer.get(keyOf(one)) ?? []), one]);
    const found = [...byLayer.values()].map((own) => ({ own, units: unitsAt(list, own[0]!, model) }));
    const donors = this.#donors(found);
    return found.map(({ own, units }): Change => {
      const fills = Array.from({ length: units.calls }, () => new Float32Array(numel(units.shape)));
      for (const { unit, by } of own) {
        if (unit >= units.units)
          throw new EngineError({
            code: "index",
            message: `${units.layer} has ${units.units} ${units.kind}${units.units === 1 ? "" : "s"}, so there is no ${units.kind} ${unit}.`,
          });
        const mean = by.mode === "mean" ? this.#meansOf(units).filled(units) : undefined;
        const other = by.mode === "sample" ? donors.get(by.sample)!.get(keyOf(units)) : undefined;
        fills.forEach((fill, call) => {
          const from = mean ?? other?.[call];
          if (from?.length === fill.length) copyUnit(units, unit, from, fill);
          else if (by.mode === "sample")
            throw new EngineError({
              code: "shape",
              message: `${units.layer} gives another shape for sample ${by.sample}: choose a sample of the same length.`,
            });
        });
      }
      return { units, rows: [own.map(({ unit }) => unit)], fills };
    });
  }

  /** Layers' outputs for the samples whose values units are set to, by sample and layer. */
  #donors(
    found: readonly { own: readonly Intervention[]; units: Units }[],
  ): Map<number, Map<string, Float32Array[]>> {
    const { subject } = this.#context;
    const { model } = subject.prepared;
    const wanted = new Map<number, Units[]>();
    for (const { own, units } of found)
      for (const index of new Set(own.flatMap(({ by }) => (by.mode === "sample" ? [by.sample] : []))))
        wanted.set(index, [...(wanted.get(index) ?? []), units]);
    return new Map(
      [...wanted].map(([index, layers]) => {
        const { inputs } = askedSample(subject, { kind: "sample", index });
        return [index, activationsOf(model, layers, () => forward(model, inputs))];
      }),
    );
  }

  #meansOf(units: Units): UnitMeans {
    const key = keyOf(units);
    const known = this.#means.get(key);
    if (known !== undefined) return known;
    const { model } = this.#context.subject.prepared;
    const means = new UnitMeans(units);
    for (const inputs of this.#meanBatches()) {
      const given: Tensor[] = [];
      noGrad(() => {
        const output = withOutputs(
          model,
          (one, at) => {
            if (one instanceof Tensor && foundAt(new Map([[key, true]]), at)) given.push(one);
            return undefined;
          },
          () => forward(model, inputs),
        );
        valuesOf(output.value);
      });
      for (const { value, shape } of given) means.add(valuesOf(value), shape);
    }
    this.#means.set(key, means);
    return means;
  }

  /** Inputs of evenly spaced samples of the set; of a stream, the first. */
  *#meanBatches(): Generator<readonly Tensor[]> {
    const { held } = this.#context.subject;
    if (!held.listed) {
      let left = MEAN_SAMPLES;
      for (const batch of held.inOrder()) {
        yield inputsAndTarget(batch).inputs;
        left -= batchLength(batch);
        if (left <= 0) return;
      }
      return;
    }
    const { samples = 0 } = held;
    const count = Math.min(samples, MEAN_SAMPLES);
    const indices = Array.from({ length: count }, (_, i) => Math.floor((i * samples) / count));
    for (let at = 0; at < count; at += MEAN_BATCH)
      yield inputsAndTarget(held.pick(indices.slice(at, at + MEAN_BATCH))).inputs;
  }

  #outcome(sample: AskedSample, output: Tensor): { outcome: Outcome; labels: string[] | undefined } {
    const { sample: view, read } = answerOf(sample, output, this.#context);
    const loss = this.#loss(sample, output)?.[0];
    const outcome: Outcome = {
      ...(read === undefined ? {} : { probabilities: read.chances, predicted: view.predicted! }),
      ...(loss === undefined ? {} : { loss }),
      ...(read === undefined && view.output !== undefined ? { output: view.output } : {}),
    };
    return { outcome, labels: read?.labels };
  }

  /** The loss of each row, all of the same sample. Undefined without a target or a loss. */
  #loss({ known }: AskedSample, output: Tensor): ArrayLike<number> | undefined {
    const { task, subject } = this.#context;
    const { loss } = subject.prepared;
    if (known === undefined || task === "generation") return undefined;
    const { target } = inputsAndTarget(known.batch);
    const rows = output.shape[0] ?? 1;
    const [targets] = repeated([target], rows) as [Tensor];
    const each = sampleLosses(output, targets, loss);
    if (each !== undefined || loss === undefined) return each;
    // A loss of the user's own is a mean: over one sample, it is the sample's loss.
    return rows === 1
      ? [
          toNumber(
            noGrad(() => loss(output, target)),
            "loss",
          ),
        ]
      : undefined;
  }
}

/** Names the dimensions of a layer's output, by its class or by how its units were found. */
function axesOfUnits({ layer, part, shape, batchDim }: Units, model: Module): readonly string[] | undefined {
  if (part === "heads") return ["batch", "heads", "queries", "features"];
  const module = model.namedModules().find(([path]) => path === layer)?.[1];
  const named = module === undefined ? undefined : axesOf(module, undefined, shape);
  return shape.map((_, d) => (d === batchDim ? "batch" : (named?.[d] ?? "")));
}

const layerOf = ({ type, kind, units, ...at }: Units): UnitLayer => ({ ...placeOf(at), type, kind, units });

function shown(
  units: Units,
  calls: readonly Float32Array[],
  attention: Tensor | undefined,
): NonNullable<InterventionAnswer["units"]> {
  const values = unitValues(units, calls).slice(0, MAX_UNITS);
  const maps = attention === undefined ? mapsOf(units, calls) : attentionMaps(units, attention);
  return { ...placeOf(units), values, ...(maps === undefined ? {} : { maps }) };
}

/** Pictures of channels with height and width. */
function mapsOf({ kind, shape, batchDim }: Units, calls: readonly Float32Array[]): string[] | undefined {
  const [values] = calls;
  if (kind !== "channel" || shape.length !== 4 || batchDim !== 0 || calls.length !== 1) return undefined;
  const [, channels, height, width] = shape as [number, number, number, number];
  if (channels > MAX_MAPS || height * width === 1) return undefined;
  const size = height * width;
  return Array.from({ length: channels }, (_, c) => {
    const map = values!.subarray(c * size, (c + 1) * size);
    let [low, high] = [Infinity, -Infinity];
    for (const value of map) [low, high] = [Math.min(low, value), Math.max(high, value)];
    return picture({ values: map, channels: 1, height, width, low: [low], high: [high] }, MAP_SIDE).png;
  });
}

/** Pictures of each head's attention: white for the largest weight of all heads, queries from top to bottom. */
function attentionMaps({ units }: Units, { value, shape }: Tensor): string[] | undefined {
  const [batch, heads, height, width] = shape;
  if (shape.length !== 4 || batch !== 1 || heads !== units || units > MAX_MAPS) return undefined;
  if (numel(shape) > MAX_ATTENTION) return undefined;
  const values = valuesOf(value);
  const size = height! * width!;
  let high = 0;
  for (const weight of values) if (Number.isFinite(weight)) high = Math.max(high, weight);
  return Array.from({ length: units }, (_, head) => {
    const map = values.subarray(head * size, (head + 1) * size);
    return picture(
      { values: map, channels: 1, height: height!, width: width!, low: [0], high: [high] },
      MAP_SIDE,
    ).png;
  });
}
