import type { Batch, WatchOptions } from "../../nn/experiment/experiment.ts";
import { MSELoss } from "../../nn/modules/loss/loss.ts";
import type { Finding } from "../../protocol/findings.ts";
import type { LayerRow } from "../../protocol/run.ts";
import { isOptimizer } from "../reporting/settings.ts";
import { stepsPerEpoch, type Limits } from "../training/limits.ts";
import type { Prepared } from "../training/prepare.ts";
import { classesOf, neighbourScore } from "./dataRules.ts";
import { findingsInData } from "../data/summary.ts";
import { LayerPictures, type Pictures } from "./layerPictures.ts";
import { LayerRules } from "./layerRules.ts";
import { LayerWatch } from "./layerWatch.ts";
import { probe, type Probe } from "./probe.ts";
import type { Split } from "../data/splits.ts";
import { rangeOf } from "./statistics.ts";
import { WatchCost } from "./watchCost.ts";
import {
  frozenFindings,
  guessedClass,
  guessedNumber,
  LossCurve,
  Movement,
  originsOf,
  progressFindings,
  unrelatedLabels,
  type Guessing,
} from "./trainingRules.ts";

/** Steps between two checks, and how many checks a short training that is watched on request has. */
const EVERY = 100;
const CHECKS = 20;
/** Rows of layers.jsonl of a training of known length at most; longer ones write every few checks. */
const MOST_ROWS = 1000;
/** Rows of layer-pictures.jsonl, each of which may have 90 KB. */
const MOST_PICTURES = 100;
/** Rows of each doubling of a long training's beginning, which is watched live. */
const FIRST_ROWS = 20;

/** A check of the layers. */
export interface LayerReport {
  layers: LayerRow["layers"];
  /** Whether it has a row in layers.jsonl. */
  kept: boolean;
  pictures: Pictures | undefined;
  findings: Finding[];
}

/** Report at the end of a training. */
export type EndReport = Pick<LayerReport, "pictures" | "findings">;

/** Looks for probable mistakes while a training runs. Draws no random numbers and changes no results. */
export class RunFindings {
  readonly #prepared: Prepared;
  readonly #limits: Limits;
  readonly #every: number;
  readonly #watch: LayerWatch;
  readonly #pictures: LayerPictures;
  readonly #cost: WatchCost | undefined;
  readonly #rules = new LayerRules();
  readonly #losses = new LossCurve();
  readonly #movement = new Movement();
  readonly #origins: ReturnType<typeof originsOf>;
  readonly #all: Finding[] = [];
  /** The step that has the newest pictures. */
  #pictured = 0;
  #probe: Probe | undefined;
  #splits: readonly Split[] = [];

  /** @param cost Skips checks that cost too much; without it, each is made */
  constructor(prepared: Prepared, limits: Limits, every: number, cost?: WatchCost) {
    this.#prepared = prepared;
    this.#limits = limits;
    this.#every = every;
    this.#cost = cost;
    this.#watch = new LayerWatch(prepared);
    this.#pictures = new LayerPictures(prepared);
    // Before anything is computed: computed values no longer tell their origin.
    this.#origins = originsOf(prepared.model);
  }

  /** Findings of a training that is watched, by its own option or on request; else undefined. */
  static of(prepared: Prepared, limits: Limits, requested: boolean): RunFindings | undefined {
    const { watch = false } = prepared.experiment.options;
    if (watch === false && !requested) return undefined;
    const chosen = typeof watch === "object" && watch.logFreq !== undefined;
    const cost = chosen ? undefined : new WatchCost(watch === false ? CHECKS : undefined);
    return new RunFindings(prepared, limits, frequency(watch, limits), cost);
  }

  /** Checks the data and the untrained model. */
  begin(): Finding[] {
    return this.#cost === undefined ? this.#begin() : this.#cost.once(() => this.#begin());
  }

  #begin(): Finding[] {
    const { findings, splits } = findingsInData(this.#prepared);
    this.#splits = splits;
    this.#pictures.begin();
    const loaded = this.#origins.some(({ drawn }) => drawn === "loaded");
    this.#probe = probe(this.#prepared, loaded);
    this.#rules.scale = this.#probe;
    return this.#tell([...findings, ...this.#probe.findings]);
  }

  /** Whether to check this optimizer step. */
  due(step: number): boolean {
    this.#cost?.step(step);
    if (step % this.#every !== 0 || this.#cost?.affordable === false) return false;
    this.#cost?.check(step);
    return true;
  }

  /** Runs a step that is checked. */
  during<T>(step: () => Promise<T>): Promise<T> {
    return this.#watch.during(step);
  }

  /** Measurements and findings of each layer in the step that {@link during} ran. */
  check(batch: Batch, { step, loss }: { step: number; loss: number | undefined }): LayerReport {
    const kept = this.#keeps(step, MOST_ROWS);
    const seen = this.#watch.report(batch, kept);
    const pictures = this.#keeps(step, MOST_PICTURES) ? this.#pictures.take() : undefined;
    if (pictures !== undefined) this.#pictured = step;
    this.#movement.add(seen.layers);
    const findings = this.#tell(this.#rules.judge({ ...seen, loss }));
    return { layers: seen.layers, kept, pictures, findings };
  }

  /** Whether a check has a row in a file of about `most` rows: a long training's are thinned out evenly. */
  #keeps(step: number, most: number): boolean {
    const checks = stepsOf(this.#limits) / this.#every;
    const check = Math.floor(step / this.#every);
    const usual = Math.ceil(Math.max(check, Number.isFinite(checks) ? checks : 1) / most);
    const early = 2 ** Math.floor(Math.log2(Math.max(1, check / FIRST_ROWS)));
    return check % Math.min(usual, early) === 0;
  }

  /** Takes the loss of a step. */
  loss(value: number | undefined): void {
    if (value !== undefined && Number.isFinite(value)) this.#losses.push(value);
  }

  /** Judges the whole training. */
  end(steps: number, validation: Readonly<Record<string, number>>): EndReport {
    const pictures = steps === this.#pictured ? undefined : this.#pictures.take();
    return { pictures, findings: this.#end(steps, validation) };
  }

  #end(steps: number, validation: Readonly<Record<string, number>>): Finding[] {
    const movement = this.#movement;
    const { experiment, optimizers } = this.#prepared;
    // The loss of an experiment's own step may grow on purpose.
    const losses = experiment.options.trainStep === undefined ? this.#losses : new LossCurve();
    const all = isOptimizer(optimizers) ? [optimizers] : Object.values(optimizers);
    const optimized = new Set<unknown>(
      all.flatMap(({ paramGroups }) => paramGroups.flatMap(({ params }) => params)),
    );
    const { reached } = this.#watch;
    const found = this.#tell([
      ...this.#rules.deadUnits(this.#watch.last, this.#watch.silent()),
      ...progressFindings({ movement, losses, initial: this.#probe?.loss, steps }),
      ...(this.#probe === undefined
        ? []
        : frozenFindings(this.#origins, movement, { called: this.#probe.called, optimized, reached })),
    ]);
    const guess = this.#guessing(validation);
    if (guess === undefined) return found;
    const unrelated = unrelatedLabels(guess, this.#neighbours(), { all: this.#all, movement, steps });
    return [...found, ...this.#tell(unrelated)];
  }

  /** How the validation compares with guessing: of classes by accuracy, of one number by the squared error. */
  #guessing(validation: Readonly<Record<string, number>>): Guessing | undefined {
    const split = this.#splits.find(({ name }) => name === "validation");
    if (split?.target?.size !== 1) return undefined;
    const { loss } = this.#prepared;
    const classes = classesOf(split, loss);
    const { val_accuracy: accuracy, val_loss: error } = validation;
    if (classes !== undefined)
      return accuracy === undefined
        ? undefined
        : guessedClass(accuracy, Math.max(...classes.values()) / split.read, split.read);
    if (!(loss instanceof MSELoss) || loss.reduction !== "mean" || error === undefined) return undefined;
    return guessedNumber(1 - error / rangeOf(split.target.values).std ** 2, split.read);
  }

  #neighbours(): Guessing | undefined {
    const train = this.#splits.find(({ name }) => name === "train");
    return train === undefined ? undefined : neighbourScore(train, classesOf(train, this.#prepared.loss));
  }

  #tell(findings: Finding[]): Finding[] {
    const fresh = findings.filter(
      ({ kind, layer }) => !this.#all.some((one) => one.kind === kind && one.layer === layer),
    );
    this.#all.push(...fresh);
    return fresh;
  }
}

/** Optimizer steps between two checks: the experiment's, else so few that a short training has some checks. */
function frequency(watch: boolean | WatchOptions, limits: Limits): number {
  if (typeof watch === "object") return watch.logFreq ?? EVERY;
  const steps = stepsOf(limits);
  return watch || !Number.isFinite(steps) ? EVERY : Math.min(EVERY, Math.max(1, Math.floor(steps / CHECKS)));
}

/** Optimizer steps of a whole training; Infinity if unknown. */
const stepsOf = (limits: Limits): number => Math.min(limits.epochs * stepsPerEpoch(limits), limits.steps);
