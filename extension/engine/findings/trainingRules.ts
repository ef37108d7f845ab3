import type { Module } from "../../nn/module/module.ts";
import { findingOf, type Finding, type FindingKind } from "../../protocol/findings.ts";
import type { LayerRow } from "../../protocol/run.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import type { Parameter } from "../../tensor/core/tensor.ts";

/** Part of its weights by which a layer that is trained moves at least, all steps together. */
const MOVED = 0.01;
/** Part of the first loss above which nothing was learned. */
const SAME_LOSS = 0.9;
/** Part of the largest layer's gradient below which one that doesn't move vanishes. */
const WEAK = 1e-3;
/** How many times as far another layer moves. */
const OTHERS = 10;
/** Fewest checks, losses and validation samples for a finding. */
const FEWEST = { checks: 2, losses: 20, samples: 50 };
/** Standard errors within which an accuracy is that of guessing, and a mean loss is that of another step. */
const ERRORS = 2;
/** Relative increase over the first batch's loss that chance doesn't explain. */
const HIGHER = 0.1;
/** Factor over the first loss above which a training ends too high, whatever its standard error. */
const FAR = 10;
/** Relative distance of the weights from which a model counts as trained. */
const TRAINED = 0.1;

/** Losses of a training's steps: all, or every second, fourth, … one of many. */
export class LossCurve {
  static readonly #most = 20_000;
  #stride = 1;
  #count = 0;
  readonly #losses: number[] = [];

  push(loss: number): void {
    if (this.#count++ % this.#stride !== 0) return;
    this.#losses.push(loss);
    if (this.#losses.length < LossCurve.#most) return;
    this.#losses.splice(0, Infinity, ...this.#losses.filter((_, i) => i % 2 === 0));
    this.#stride *= 2;
  }

  get first(): number | undefined {
    return this.#losses[0];
  }

  /** The mean of the last tenth and its standard error; undefined of a short training. */
  get end(): { mean: number; error: number } | undefined {
    if (this.#losses.length < FEWEST.losses) return undefined;
    const last = this.#losses.slice(-Math.max(FEWEST.losses / 2, Math.ceil(this.#losses.length / 10)));
    const mean = last.reduce((sum, x) => sum + x, 0) / last.length;
    return { mean, error: Math.sqrt(last.reduce((sum, x) => sum + (x - mean) ** 2, 0)) / last.length };
  }
}

/** How far each layer has moved, by the checks of a training. */
export class Movement {
  #checks = 0;
  readonly #layers = new Map<string, { updates: number; gradient: number; checks: number }>();

  add(layers: LayerRow["layers"]): void {
    this.#checks++;
    const norms = Object.values(layers).map(({ gradNorm = 0 }) => gradNorm);
    const largest = Math.max(0, ...norms);
    for (const [layer, { gradNorm, updateRatio }] of Object.entries(layers)) {
      if (updateRatio === undefined || gradNorm === undefined) continue;
      let sums = this.#layers.get(layer);
      if (sums === undefined) this.#layers.set(layer, (sums = { updates: 0, gradient: 0, checks: 0 }));
      sums.updates += updateRatio;
      sums.gradient += largest > 0 ? gradNorm / largest : 0;
      sums.checks++;
    }
  }

  get enough(): boolean {
    return this.#checks >= FEWEST.checks;
  }

  /** Whether a check saw the layer's weights change. */
  changed(layer: string): boolean {
    return (this.#layers.get(layer)?.updates ?? 0) > 0;
  }

  /**
   * An upper bound of the distance that each layer has moved in a number of steps, relative to the norm of its weights;
   * and its gradient relative to the largest layer's.
   */
  distances(steps: number): { layer: string; distance: number; gradient: number }[] {
    return Array.from(this.#layers, ([layer, { updates, gradient, checks }]) => ({
      layer,
      distance: (updates / checks) * steps,
      gradient: gradient / checks,
    }));
  }
}

/** Inputs of the rules on learning rates and vanishing gradients. */
interface Progress {
  movement: Movement;
  losses: LossCurve;
  /** The untrained model's loss. */
  initial: number | undefined;
  steps: number;
}

export function progressFindings({ movement, losses, initial, steps }: Progress): Finding[] {
  const { end, first } = losses;
  const start = initial ?? first;
  const findings: Finding[] = [];
  if (end !== undefined && start !== undefined && isAbove(end, start))
    findings.push(
      findingOf(
        "learningRateHigh",
        `The loss ends at ${short(end.mean)}, above the untrained model's ${short(start)}.`,
      ),
    );
  if (!movement.enough) return findings;
  const layers = movement.distances(steps).filter(({ distance }) => distance > 0);
  const farthest = Math.max(0, ...layers.map(({ distance }) => distance));
  if (layers.length > 0 && farthest < MOVED) {
    if (end !== undefined && start !== undefined && start > 0 && end.mean > SAME_LOSS * start)
      findings.push(
        findingOf(
          "learningRateLow",
          `All ${steps} steps together change the weights by at most ${percent(farthest)}, and the loss is ${short(end.mean)} after ${short(start)} at first.`,
        ),
      );
    return findings;
  }
  for (const { layer, distance, gradient } of layers)
    if (distance < MOVED && gradient < WEAK && farthest > OTHERS * MOVED)
      findings.push(
        findingOf(
          "vanishingGradient",
          `Vanishing gradient in ${layer === "" ? "the model" : layer}: all ${steps} steps together change it by at most ${percent(distance)}, another layer by ${percent(farthest)}.`,
          { layer },
        ),
      );
  return findings;
}

/** Whether a training ends above a first loss, which is that of one batch. */
const isAbove = ({ mean, error }: { mean: number; error: number }, first: number): boolean =>
  mean > first + Math.max(ERRORS * error, HIGHER * Math.abs(first)) || (first > 0 && mean > FAR * first);

/** A parameter as a training begins. */
export interface Origin {
  name: string;
  parameter: Parameter;
  /** Origin of its values; undefined where they were computed before. */
  drawn: "random" | "loaded" | "constant" | undefined;
  /** Version of its storage. */
  version: number | undefined;
}

export function originsOf(model: Module): Origin[] {
  return model.namedParameters().map(([name, parameter]) => ({
    name,
    parameter,
    drawn: drawnOf(parameter.value),
    version: parameter.storage?.version,
  }));
}

function drawnOf({ producer }: Value): Origin["drawn"] {
  if (producer.kind !== "state" || producer.initial === undefined) return undefined;
  const waiting = [producer.initial];
  const met = new Set<Value>();
  let drawn: Origin["drawn"] = "constant";
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    if (met.has(one)) continue;
    met.add(one);
    const from = one.producer;
    if (from.kind === "random") return "random";
    if (from.kind === "data") drawn = "loaded";
    if (from.kind === "node") waiting.push(...from.inputs);
    if (from.kind === "state" && from.initial !== undefined) waiting.push(from.initial);
  }
  return drawn;
}

/** Layers with random weights that the training left as they were. */
export function frozenFindings(
  origins: readonly Origin[],
  movement: Movement,
  { called, ...trained }: { called: ReadonlySet<string> } & Trained,
): Finding[] {
  if (!movement.enough) return [];
  const layers = new Map<string, Origin[]>();
  for (const origin of origins) {
    const layer = origin.name.slice(0, Math.max(0, origin.name.lastIndexOf(".")));
    layers.set(layer, [...(layers.get(layer) ?? []), origin]);
  }
  return [...layers].flatMap(([layer, all]) => {
    const weights = all.filter(({ drawn, parameter }) => drawn === "random" && parameter.ndim >= 2);
    const written = weights.some(({ parameter, version }) => parameter.storage?.version !== version);
    if (weights.length === 0 || !called.has(layer) || movement.changed(layer) || written) return [];
    const reasons = new Set(weights.map((one) => reasonOf(one, trained)));
    // A gradient of 0 is another problem: of the layers behind it.
    if (reasons.has(undefined)) return [];
    return [
      findingOf(
        "frozenLayer",
        `${layer === "" ? "The model" : layer} has random weights and is never trained: ${[...reasons].join(", ")}.`,
        { layer },
      ),
    ];
  });
}

/** Parameters that optimizers have, and those that a gradient has reached. */
interface Trained {
  optimized: ReadonlySet<unknown>;
  reached: ReadonlySet<unknown>;
}

function reasonOf({ parameter }: Origin, { optimized, reached }: Trained): string | undefined {
  if (!parameter.requiresGrad) return "requiresGrad is false";
  if (!optimized.has(parameter)) return "the optimizer doesn't have its parameters";
  return reached.has(parameter) ? undefined : "no gradient reaches it";
}

/** A measured score beside that of guessing: an accuracy, or the part of a number's variance that is explained. */
export interface Guessing {
  score: number;
  /** The share of the most frequent class; 0 for numbers. */
  chance: number;
  /** Standard error of the score of guessing. */
  error: number;
  samples: number;
}

export const guessedClass = (score: number, chance: number, samples: number): Guessing => ({
  score,
  chance,
  error: Math.sqrt((chance * (1 - chance)) / samples),
  samples,
});

/** Of shuffled numbers, a correlation has a standard error of 1 / √n, and so has R² at most. */
export const guessedNumber = (score: number, samples: number): Guessing => ({
  score,
  chance: 0,
  error: 1 / Math.sqrt(samples),
  samples,
});

/** Kinds of findings that explain why nothing was learned. */
const EXPLAINING: ReadonlySet<FindingKind> = new Set<FindingKind>([
  "classImbalance",
  "deadUnits",
  "explodingGradient",
  "frozenLayer",
  "inputScale",
  "learningRateHigh",
  "learningRateLow",
  "nonFinite",
  "vanishingGradient",
]);

/** @param all Findings so far; @param neighbour How well the nearest neighbour among the training samples does */
export function unrelatedLabels(
  validation: Guessing,
  neighbour: Guessing | undefined,
  { all, movement, steps }: { all: readonly Finding[]; movement: Movement; steps: number },
): Finding[] {
  const trained = movement.distances(steps).some(({ distance }) => distance > TRAINED);
  const explained = all.some(({ kind }) => EXPLAINING.has(kind));
  if (!trained || explained || validation.samples < FEWEST.samples || !isGuess(validation)) return [];
  if (neighbour !== undefined && !isGuess(neighbour)) return [];
  const { score, chance, samples } = validation;
  return [
    findingOf(
      "unrelatedLabels",
      chance > 0
        ? `On ${samples} validation samples the accuracy is ${percent(score)}; always predicting the most frequent class gives ${percent(chance)}.`
        : `On ${samples} validation samples R² is ${short(score)}; always predicting the mean gives 0.`,
    ),
  ];
}

const isGuess = ({ score, chance, error }: Guessing): boolean => score <= chance + ERRORS * error;

const short = (x: number): string => String(Number(x.toPrecision(3)));
const percent = (x: number): string => `${Number((100 * x).toPrecision(2))} %`;
