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
import { forward, inputsAndTarget } from "../evaluation/evaluator.ts";
import type { Prepared } from "../training/prepare.ts";

/** A gradient's norm above which it explodes. */
const EXPLODING = 1e3;
/** The part of the largest layer's gradient below which a layer's vanishes. */
const VANISHING = 1e-6;
/** Part of the weights that a step changes, above which it is too large: about 0.001 is usual. */
const LARGE_UPDATE = 0.1;
/** Part of a ReLU's units that are never let through. */
const MANY_DEAD = 0.5;

/** A problem of a layer, reported once. */
export interface LayerWarning {
  layer: string;
  kind: "exploding" | "vanishing" | "update" | "dead";
  text: string;
}

/** Checks each layer of a model every few steps. */
export class LayerWatch {
  readonly #prepared: Prepared;
  readonly #every: number;
  readonly #told = new Set<string>();
  /** Problems of the previous check: a warning takes two in a row, since one step proves little. */
  #suspected = new Set<string>();
  #before = new Map<Tensor, HostArray>();

  constructor(prepared: Prepared, every: number) {
    this.#prepared = prepared;
    this.#every = every;
  }

  /** An experiment's own, when it has one. */
  static of(prepared: Prepared): LayerWatch | undefined {
    const { watch = false } = prepared.experiment.options;
    if (watch === false) return undefined;
    return new LayerWatch(prepared, (watch === true ? undefined : watch.logFreq) ?? 100);
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

  /** What each layer did in the step that {@link during} ran, and what seems wrong. */
  report(batch: Batch): { layers: LayerRow["layers"]; warnings: LayerWarning[] } {
    const sums = new Map<string, { gradient: number; update: number; weight: number }>();
    for (const [name, parameter] of this.#trained()) {
      const before = this.#before.get(parameter);
      const { grad } = parameter;
      if (before === undefined || grad === null) continue;
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
    return { layers, warnings: this.#judge(layers) };
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
      let at = 0;
      for (const [i, { module }] of nodes.entries()) {
        const units = largest[i]!.numel();
        const deadUnits = values.slice(at, (at += units)).filter((x) => x <= 0).length;
        const same = found.get(module);
        found.set(module, {
          deadUnits: deadUnits + (same?.deadUnits ?? 0),
          units: units + (same?.units ?? 0),
        });
      }
      return found;
    } finally {
      scope.onNode = onNode;
      restoreModes();
      defaultStream.setState(generator);
    }
  }

  #judge(layers: LayerRow["layers"]): LayerWarning[] {
    const norms = Object.values(layers).flatMap(({ gradNorm }) => (gradNorm === undefined ? [] : [gradNorm]));
    const largest = Math.max(0, ...norms);
    const suspected = new Set<string>();
    const warnings: LayerWarning[] = [];
    for (const [layer, { gradNorm, updateRatio, deadUnits = 0, units = 0 }] of Object.entries(layers)) {
      const name = layer === "" ? "the model" : layer;
      const say = (kind: LayerWarning["kind"], text: string): void => {
        const key = `${kind} ${layer}`;
        suspected.add(key);
        if (!this.#suspected.has(key) || this.#told.has(key)) return;
        this.#told.add(key);
        warnings.push({ layer, kind, text });
      };
      if (gradNorm !== undefined && gradNorm > EXPLODING)
        say(
          "exploding",
          `Exploding gradient in ${name}: its norm is ${short(gradNorm)}. Clip it (gradientClipVal: 1), or try a smaller learning rate or normalised inputs.`,
        );
      else if (gradNorm !== undefined && largest > 0 && gradNorm < VANISHING * largest)
        say(
          "vanishing",
          `Vanishing gradient in ${name}: its norm is ${short(gradNorm)}, the largest layer's ${short(largest)}. Normalisation (BatchNorm, LayerNorm), residual connections, ReLU in place of sigmoid or tanh, or nn.init.kaimingNormal_ help.`,
        );
      if (updateRatio !== undefined && updateRatio > LARGE_UPDATE)
        say(
          "update",
          `Each step changes ${name} by ${(100 * updateRatio).toFixed(0)} % of its weights; 0.1 % is usual. Try a smaller learning rate.`,
        );
      if (units > 0 && deadUnits > MANY_DEAD * units)
        say(
          "dead",
          `${deadUnits} of ${units} units of the ReLU in ${name} are 0 for every sample: they learn nothing any more. Try a smaller learning rate, LeakyReLU, or nn.init.kaimingNormal_.`,
        );
    }
    this.#suspected = suspected;
    return warnings;
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

const short = (x: number): string => String(Number(x.toPrecision(2)));
