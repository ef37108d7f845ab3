import type { Batch } from "../../nn/experiment/experiment.ts";
import { keepModes } from "../../nn/module/modes.ts";
import type { LayerRow } from "../../protocol/run.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { histogramOf, meanSize, sampleOf, sampleOfTensor } from "./layerValues.ts";
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
 * Consecutive checks after which a silent unit counts as dead: at the end of a training, and during it, when earlier
 * layers may still revive it.
 */
const CHECKS = { end: 2, before: 20 };

/** Measurements of one layer. */
type Figures = LayerRow["layers"][string];

/** Sums of squares over a layer's own parameters, and their arrays. */
interface OwnParameters {
  gradient: number;
  update: number;
  weight: number;
  gradients: HostArray[];
  weights: HostArray[];
}

/** Checks each layer of a model every few steps. */
export class LayerWatch {
  readonly #prepared: Prepared;
  /** Paths of all modules, and of those without children, whose outputs are measured. */
  readonly #paths: readonly string[];
  readonly #leaves: ReadonlySet<string>;
  /** Parameters that a gradient has reached. */
  readonly reached = new Set<Tensor>();
  #checks = 0;
  #last: LayerRow["layers"] = {};
  #before = new Map<Tensor, HostArray>();
  /** For how many samples and checks each unit of a module's ReLUs has been 0. */
  readonly #silence = new Map<string, { samples: number[]; checks: number[] }>();

  constructor(prepared: Prepared) {
    this.#prepared = prepared;
    const modules = prepared.model.namedModules();
    this.#paths = modules.map(([path]) => path);
    this.#leaves = new Set(
      modules.flatMap(([path, module]) => (module.namedChildren().length === 0 ? [path] : [])),
    );
  }

  /** Runs a step so that its gradients can be read afterwards. */
  during<T>(step: () => Promise<T>): Promise<T> {
    for (const [, parameter] of this.#trained()) this.#before.set(parameter, valuesOf(parameter.value));
    return withPolicy({ keepGradients: true, repeatBackward: false, deferSteps: false }, step);
  }

  /**
   * Measurements of each layer in the step that {@link during} ran.
   * @param detailed Whether to count weights, gradients and activations too
   */
  report(batch: Batch, detailed: boolean): Omit<LayerCheck, "loss"> {
    const sums = this.#ownParameters();
    const found = new Map<string, Figures>();
    const add = (layer: string, figures: Figures): void =>
      void found.set(layer, { ...found.get(layer), ...figures });
    for (const [layer, { gradient, update, weight, gradients, weights }] of sums)
      add(layer, {
        gradNorm: Math.sqrt(gradient),
        updateRatio: weight > 0 ? Math.sqrt(update / weight) : 0,
        ...(detailed ? given({ weights: histogramOf(sampleOf(weights)) }) : {}),
        ...(detailed ? given({ gradients: histogramOf(sampleOf(gradients)) }) : {}),
      });
    for (const [layer, figures] of this.#outputs(batch, detailed)) add(layer, figures);
    // In the model's order: outputs of activations stand between those of the layers before and after them.
    const order = [...new Set([...this.#paths, ...found.keys()])];
    const layers = Object.fromEntries(
      order.flatMap((path) => (found.has(path) ? [[path, found.get(path)!] as const] : [])),
    );
    const weights = new Map(Array.from(sums, ([layer, { weight }]) => [layer, Math.sqrt(weight)]));
    this.#checks++;
    this.#last = layers;
    return { layers, silent: this.silent(CHECKS.before), weights };
  }

  #ownParameters(): Map<string, OwnParameters> {
    const sums = new Map<string, OwnParameters>();
    for (const [name, parameter] of this.#trained()) {
      const before = this.#before.get(parameter);
      const { grad } = parameter;
      if (before === undefined || grad === null) continue;
      this.reached.add(parameter);
      const layer = name.slice(0, Math.max(0, name.lastIndexOf(".")));
      let sum = sums.get(layer);
      if (sum === undefined)
        sums.set(layer, (sum = { gradient: 0, update: 0, weight: 0, gradients: [], weights: [] }));
      const [gradient, after] = [valuesOf(grad.value), valuesOf(parameter.value)];
      sum.gradient += squares(gradient);
      sum.weight += squares(before);
      sum.update += squares(after, before);
      sum.gradients.push(gradient);
      sum.weights.push(after);
    }
    this.#before = new Map();
    return sums;
  }

  /** The figures of the last check. */
  get last(): LayerRow["layers"] {
    return this.#last;
  }

  #trained(): [name: string, parameter: Tensor][] {
    return [...this.#prepared.model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
  }

  /**
   * Figures of the modules' outputs for a batch: units of each ReLU that are 0 for all of it (for images, channels),
   * and, if detailed, the values of each module without children.
   */
  #outputs(batch: Batch, detailed: boolean): Map<string, Figures> {
    const found = new Map<string, Figures>();
    const { model, experiment } = this.#prepared;
    // With a `trainStep` of the experiment's own, the inputs of its models are unknown.
    if (experiment.options.trainStep !== undefined) return found;
    const relus: Node[] = [];
    const last = new Map<string, Node>();
    const { onNode } = scope;
    const generator = defaultStream.getState();
    const restoreModes = keepModes(model);
    // Without dropout, and without a trace in running statistics.
    model.eval();
    scope.onNode = (node) => {
      if (node.op.name === "relu") relus.push(node);
      if (detailed && this.#leaves.has(node.module)) last.set(node.module, node);
    };
    try {
      const output = noGrad(() => forward(model, inputsAndTarget(batch).inputs));
      // Otherwise the next step would compute it, with another plan.
      output.value.visible = false;
      scope.onNode = onNode;
      const outputs = [...last].filter(
        ([
          ,
          {
            outputs: [y],
          },
        ]) => y!.dtype === "float32",
      );
      const record = (make: (y: Tensor) => Tensor, nodes: readonly Node[]): Tensor[] =>
        hidden(() => noGrad(() => nodes.map((node) => make(new Tensor(node.outputs[0]!)))));
      const largest = record(unitMaxima, relus);
      const sampled = record(
        sampleOfTensor,
        outputs.map(([, node]) => node),
      );
      if (largest.length + sampled.length === 0) return found;
      // One tensor, so that one call computes all.
      const values = noGrad(() => hidden(() => cat([...largest, ...sampled]))).toTypedArray() as Float32Array;
      let at = 0;
      const next = (x: Tensor): Float32Array => values.subarray(at, (at += x.numel()));
      const zeros = new Map<string, boolean[]>();
      for (const [i, { module }] of relus.entries()) {
        const dead = Array.from(next(largest[i]!), (x) => x <= 0);
        zeros.set(module, [...(zeros.get(module) ?? []), ...dead]);
      }
      for (const [module, dead] of zeros) {
        found.set(module, { deadUnits: dead.filter(Boolean).length, units: dead.length });
        this.#listen(module, dead, batchLength(batch));
      }
      for (const [i, [module]] of outputs.entries()) {
        const sample = next(sampled[i]!);
        const figures = { meanActivation: meanSize(sample), ...given({ activations: histogramOf(sample) }) };
        found.set(module, { ...found.get(module), ...figures });
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

  /** How many units of each module have been 0 in the last half of the checks, and in at least `checks` of them. */
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

/** The largest output of each unit; of each channel, for images. */
function unitMaxima(y: Tensor): Tensor {
  const unit = y.shape.length === 4 || y.shape.length === 5 ? 1 : y.shape.length - 1;
  const others = y.shape.flatMap((_, i) => (i === unit ? [] : [i]));
  return reshape(amax(y, others), [-1]);
}

/** The entries that are defined. */
function given<K extends string, T>(one: Record<K, T | undefined>): Partial<Record<K, T>> {
  const known = Object.entries(one).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as Partial<Record<K, T>>;
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
