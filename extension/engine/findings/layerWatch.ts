import type { Batch } from "../../nn/experiment/experiment.ts";
import { keepModes } from "../../nn/module/modes.ts";
import type { LayerRow } from "../../protocol/run.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { amax } from "../../tensor/functions/reduction/reduction.ts";
import { cat, reshape } from "../../tensor/functions/shape/shape.ts";
import type { Node } from "../../tensor/recording/graph.ts";
import { defaultStream } from "../../tensor/random/stream.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { withPolicy } from "../../tensor/recording/runtime.ts";
import { hidden, noGrad, scope } from "../../tensor/recording/scope.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { batchLength, forward, inputsAndTarget } from "../evaluation/evaluator.ts";
import type { Prepared } from "../training/prepare.ts";
import type { LayerCheck } from "./layerRules.ts";

/** Samples for which a unit is 0 until it counts as silent: of fewer, it may just be rare. */
const SILENT = 64;
/**
 * Consecutive checks after which a silent unit counts as dead: at the end of a training, and during it, when earlier layers may
 * still revive it.
 */
const CHECKS = { end: 2, before: 20 };

/** Checks each layer of a model every few steps. */
export class LayerWatch {
  readonly #prepared: Prepared;
  readonly #every: number;
  /** Parameters that a gradient has reached. */
  readonly reached = new Set<Tensor>();
  #checks = 0;
  #last: LayerRow["layers"] = {};
  #before = new Map<Tensor, HostArray>();
  /** For how many samples and checks each unit of a module's ReLUs has been 0. */
  readonly #silence = new Map<string, { samples: number[]; checks: number[] }>();

  constructor(prepared: Prepared, every: number) {
    this.#prepared = prepared;
    this.#every = every;
  }

  /** Whether to check this optimizer step. */
  due(step: number): boolean {
    return step % this.#every === 0;
  }

  /** Runs a step so that its gradients can be read afterwards. */
  during<T>(step: () => Promise<T>): Promise<T> {
    for (const [, parameter] of this.#trained()) this.#before.set(parameter, valuesOf(parameter.value));
    return withPolicy({ keepGradients: true, deferSteps: false }, step);
  }

  /** What each layer did in the step that {@link during} ran. */
  report(batch: Batch): Omit<LayerCheck, "loss"> {
    const sums = new Map<string, { gradient: number; update: number; weight: number }>();
    for (const [name, parameter] of this.#trained()) {
      const before = this.#before.get(parameter);
      const { grad } = parameter;
      if (before === undefined || grad === null) continue;
      this.reached.add(parameter);
      const layer = name.slice(0, Math.max(0, name.lastIndexOf(".")));
      let sum = sums.get(layer);
      if (sum === undefined) sums.set(layer, (sum = { gradient: 0, update: 0, weight: 0 }));
      sum.gradient += squares(valuesOf(grad.value));
      sum.weight += squares(before);
      sum.update += squares(valuesOf(parameter.value), before);
    }
    this.#before = new Map();
    const layers: LayerRow["layers"] = {};
    for (const [layer, { gradient, update, weight }] of sums)
      layers[layer] = {
        gradNorm: Math.sqrt(gradient),
        updateRatio: weight > 0 ? Math.sqrt(update / weight) : 0,
      };
    for (const [layer, units] of this.#deadUnits(batch)) layers[layer] = { ...layers[layer], ...units };
    const weights = new Map(Array.from(sums, ([layer, { weight }]) => [layer, Math.sqrt(weight)]));
    this.#checks++;
    this.#last = layers;
    return { layers, silent: this.silent(CHECKS.before), weights };
  }

  /** The figures of the last check. */
  get last(): LayerRow["layers"] {
    return this.#last;
  }

  #trained(): [name: string, parameter: Tensor][] {
    return [...this.#prepared.model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
  }

  /** Units of each ReLU that are 0 for all of a batch: for images, channels. */
  #deadUnits(batch: Batch): Map<string, { deadUnits: number; units: number }> {
    const found = new Map<string, { deadUnits: number; units: number }>();
    const { model, experiment } = this.#prepared;
    // A step of the experiment's own says itself what its models are given.
    if (experiment.options.trainStep !== undefined) return found;
    const nodes: Node[] = [];
    const { onNode } = scope;
    const generator = defaultStream.getState();
    const restoreModes = keepModes(model);
    // Without dropout, and without a trace in running statistics.
    model.eval();
    scope.onNode = (node) => void (node.op.name === "relu" && nodes.push(node));
    try {
      noGrad(() => forward(model, inputsAndTarget(batch).inputs));
      scope.onNode = onNode;
      const largest = hidden(() =>
        noGrad(() =>
          nodes.map((node) => {
            const y = new Tensor(node.outputs[0]!);
            const unit = y.shape.length === 4 || y.shape.length === 5 ? 1 : y.shape.length - 1;
            return reshape(
              amax(
                y,
                y.shape.flatMap((_, i) => (i === unit ? [] : [i])),
              ),
              [-1],
            );
          }),
        ),
      );
      if (largest.length === 0) return found;
      const values = noGrad(() => hidden(() => cat(largest))).toTypedArray();
      const samples = batchLength(batch);
      let at = 0;
      const zeros = new Map<string, boolean[]>();
      for (const [i, { module }] of nodes.entries()) {
        const units = largest[i]!.numel();
        const dead = Array.from(values.slice(at, (at += units)), (x) => x <= 0);
        zeros.set(module, [...(zeros.get(module) ?? []), ...dead]);
      }
      for (const [module, dead] of zeros) {
        found.set(module, { deadUnits: dead.filter(Boolean).length, units: dead.length });
        this.#listen(module, dead, samples);
      }
      return found;
    } finally {
      scope.onNode = onNode;
      restoreModes();
      defaultStream.setState(generator);
    }
  }

  #listen(module: string, zero: readonly boolean[], samples: number): void {
    const before = this.#silence.get(module);
    // A module that is called another number of times has other units.
    const known = before?.samples.length === zero.length ? before : undefined;
    this.#silence.set(module, {
      samples: zero.map((is, unit) => (is ? (known?.samples[unit] ?? 0) + samples : 0)),
      checks: zero.map((is, unit) => (is ? (known?.checks[unit] ?? 0) + 1 : 0)),
    });
  }

  /** How many units of each module have been 0 in the last half of the checks, and in so many at least. */
  silent(checks = CHECKS.end): Map<string, number> {
    const long = Math.max(checks, this.#checks / 2);
    const enough = Math.min(SILENT, this.#prepared.train.samples ?? SILENT);
    return new Map(
      Array.from(this.#silence, ([module, { samples, checks: ofUnits }]) => [
        module,
        samples.filter((count, unit) => count >= enough && ofUnits[unit]! >= long).length,
      ]),
    );
  }
}

/** The sum of squares of values, or of their differences to others. */
function squares(values: HostArray, others?: HostArray): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const x = values[i]! - (others === undefined ? 0 : others[i]!);
    sum += x * x;
  }
  return sum;
}
