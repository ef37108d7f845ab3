import { secondsOf, type ExperimentOptions } from "../../nn/experiment/experiment.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { now } from "../training/clock.ts";
import { checkMonitor, isBetter, isValidation, monitored, type Mode } from "../training/monitor.ts";
import { fastDevRun, type Limits } from "../training/limits.ts";
import type { Kept } from "../training/trainerState.ts";

/** Which weights a run keeps, and when it decides. */
export class CheckpointPolicy {
  /** Whether the newest weights are kept while it trains, and those of its end. */
  readonly newest: boolean;
  /** False for a run that keeps nothing at all. */
  readonly any: boolean;
  /** The metric that ranks checkpoints; undefined: the newest are the best. */
  readonly monitor: string | undefined;
  /** Whether the experiment names the monitor. */
  readonly #named: boolean;
  readonly #mode: Mode;
  readonly #count: number;
  readonly #epochs: number;
  readonly #steps: number;
  /** Milliseconds between two decisions. */
  readonly #interval: number | undefined;
  #looked = now();

  /** @throws TensorError when it monitors a validation that doesn't exist, or has two intervals */
  constructor(options: ExperimentOptions, validated: boolean) {
    const { checkpoints = true } = options;
    const given = typeof checkpoints === "boolean" ? {} : checkpoints;
    this.any = fastDevRun(options) === undefined;
    this.newest = this.any && checkpoints !== false && (given.saveLast ?? true);
    this.monitor = given.monitor ?? (validated ? "val_loss" : undefined);
    this.#named = given.monitor !== undefined;
    if (this.monitor !== undefined) checkMonitor("checkpoints", this.monitor, validated);
    this.#mode = this.monitor === undefined ? "max" : (given.mode ?? "min");
    const { trainTimeInterval } = given;
    this.#interval = trainTimeInterval === undefined ? undefined : 1000 * secondsOf(trainTimeInterval);
    this.#steps = given.everyNTrainSteps ?? 0;
    const elsewhere = this.#interval !== undefined || given.everyNTrainSteps !== undefined;
    this.#epochs = given.everyNEpochs ?? (elsewhere ? 0 : 1);
    if (Number(this.#steps > 0) + Number(this.#epochs > 0) + Number(this.#interval !== undefined) > 1)
      throw new TensorError(
        "value",
        "experiment(): checkpoints takes one of everyNEpochs, everyNTrainSteps and trainTimeInterval",
      );
    // Without a metric there are no best checkpoints, unless the experiment saves at intervals.
    const asked =
      (given.saveTopK ?? given.everyNEpochs ?? given.everyNTrainSteps ?? given.trainTimeInterval) !==
      undefined;
    const off = !this.any || checkpoints === false || (this.monitor === undefined && !asked);
    this.#count = off ? 0 : (given.saveTopK ?? 1);
  }

  /** Whether weights are kept for their metric, or at intervals. */
  get ranks(): boolean {
    return this.#count !== 0;
  }

  /** Whether only one checkpoint is kept at a time. */
  get single(): boolean {
    return this.#count === 1;
  }

  /** Whether a metric of the validation set decides: then only a validation says which weights are the best. */
  get afterValidation(): boolean {
    return this.monitor !== undefined && isValidation(this.monitor);
  }

  /** Whether to decide after a validation, if `validation`, else at the end of an epoch. */
  dueInEpoch(epoch: number, validation: boolean): boolean {
    if (!this.ranks || this.#epochs === 0 || epoch % this.#epochs !== 0) return false;
    return validation === this.afterValidation;
  }

  /** Whether to decide now or, if {@link afterValidation}, after the next validation. */
  dueAfterStep(step: number, at = now()): boolean {
    if (this.#interval !== undefined && this.ranks) {
      const due = at - this.#looked >= this.#interval;
      if (due) this.#looked = at;
      return due;
    }
    return this.ranks && this.#steps > 0 && step % this.#steps === 0;
  }

  /** Describes the policy in a sentence for the log. */
  describe(): string {
    if (!this.any) return "No weights are kept: this is a fastDevRun.";
    const kept: string[] = [];
    if (this.ranks) {
      const which = this.monitor === undefined ? "newest" : "best";
      const many =
        this.#count < 0 ? "all weights" : this.single ? `the ${which}` : `the ${this.#count} ${which}`;
      const by = this.monitor === undefined ? "" : ` by ${this.monitor} (${this.#mode})`;
      kept.push(`${many}${by}${this.#when()}`);
    }
    if (this.newest) kept.push("the last while it trains");
    return `Checkpoints: ${[...kept, "the final ones"].join("; ")}.`;
  }

  /** Describes a saved file in a line for the log. */
  describeSave(file: string, step: number, metrics: Readonly<Record<string, number>>): string {
    const value = this.monitor === undefined ? undefined : metrics[this.monitor];
    return `Saved ${file} at step ${step}${value === undefined ? "" : ` (${this.monitor}: ${value.toPrecision(6)})`}.\n`;
  }

  #when(): string {
    const due =
      this.#interval !== undefined
        ? `every ${this.#interval / 1000} s of training`
        : this.#steps > 0
          ? `every ${this.#steps} steps`
          : `every ${this.#epochs === 1 ? "epoch" : `${this.#epochs} epochs`}`;
    if (!this.afterValidation) return `, checked ${due}`;
    return this.#epochs > 0
      ? `, checked at the validation of ${due}`
      : `, checked at the first validation after ${due}`;
  }

  /** Why nothing will be kept for the requested metric; undefined when something may be. */
  problem({ epochs, steps, train, accumulate, validationEpochs }: Limits): string | undefined {
    if (!this.ranks) return undefined;
    const all = Math.min(steps, epochs * Math.ceil(train / accumulate));
    if (this.#steps > all) return `no weights are kept every ${this.#steps} steps: the training has ${all}`;
    if (this.#steps > 0 || this.#interval !== undefined) return undefined;
    if (this.#epochs === 0)
      return "no weights are kept at intervals: everyNEpochs and everyNTrainSteps are 0";
    const every = this.afterValidation ? leastCommonMultiple(this.#epochs, validationEpochs) : this.#epochs;
    if (every <= epochs) return undefined;
    return this.afterValidation && this.#epochs <= epochs
      ? `no weights are kept: of ${epochs} epochs none has a validation (every ${validationEpochs}) and is one of every ${this.#epochs}`
      : `no weights are kept every ${this.#epochs} epochs: the training has ${epochs}`;
  }

  /**
   * Why there is no value to rank by; undefined where there is one.
   * @throws TensorError when the experiment names a metric that it doesn't have
   */
  missing(metrics: Readonly<Record<string, number>>): string | undefined {
    const { monitor } = this;
    if (monitor === undefined || Number.isFinite(metrics[monitor])) return undefined;
    if (monitor in metrics) return `${monitor} is ${metrics[monitor]}: such weights are not ranked`;
    if (this.#named) monitored("checkpoints", metrics, monitor);
    return `no best weights are kept: there is no ${monitor}. Name another metric as checkpoints: { monitor }, of ${Object.keys(metrics).join(", ")}`;
  }

  /** The value to rank by at this point; undefined if it is unknown or not finite. */
  value(metrics: Readonly<Record<string, number>>, step: number): number | undefined {
    const value = this.monitor === undefined ? step : metrics[this.monitor];
    return Number.isFinite(value) ? value : undefined;
  }

  /**
   * Ranks a checkpoint among those kept.
   * @returns all that are kept from now on, the best first, and those that go; undefined when the new one is not kept
   */
  rank(kept: readonly Kept[], one: Kept): { kept: Kept[]; gone: Kept[] } | undefined {
    const count = this.#count < 0 ? Infinity : this.#count;
    const others = kept.filter(({ file }) => file !== one.file);
    const found = kept.findIndex(({ value }) => isBetter(this.#mode, one.value, value));
    const place = found < 0 ? kept.length : found;
    if (place >= count) return undefined;
    const ranked = [...others.slice(0, place), one, ...others.slice(place)];
    return { kept: ranked.slice(0, count), gone: ranked.slice(count) };
  }
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
