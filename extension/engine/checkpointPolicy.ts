import { secondsOf, type ExperimentOptions } from "../nn/experiment.ts";
import { TensorError } from "../tensor/errors.ts";
import { checkMonitor, isBetter, isValidation, type Mode } from "./monitor.ts";
import { fastDevRun } from "./limits.ts";
import type { Kept } from "./trainerState.ts";

/** Which weights a run keeps, and when it looks. */
export class CheckpointPolicy {
  /** Whether the newest weights are kept while it trains, and those of its end. */
  readonly newest: boolean;
  /** False for a run that keeps nothing at all. */
  readonly any: boolean;
  /** What decides which are the best; undefined: how new they are. */
  readonly monitor: string | undefined;
  readonly #mode: Mode;
  readonly #count: number;
  readonly #epochs: number;
  readonly #steps: number | undefined;
  /** Milliseconds between two looks. */
  readonly #interval: number | undefined;
  #looked = performance.now();

  /** @throws TensorError when it watches a validation that there is none of */
  constructor(options: ExperimentOptions, validated: boolean) {
    const { checkpoints = true } = options;
    const given = typeof checkpoints === "boolean" ? {} : checkpoints;
    this.any = fastDevRun(options) === undefined;
    this.newest = this.any && checkpoints !== false && (given.saveLast ?? true);
    this.monitor = given.monitor ?? (validated ? "val_loss" : undefined);
    if (this.monitor !== undefined) checkMonitor("checkpoints", this.monitor, validated);
    this.#mode = this.monitor === undefined ? "max" : (given.mode ?? "min");
    this.#epochs = given.everyNEpochs ?? 1;
    this.#steps = given.everyNTrainSteps;
    const { trainTimeInterval } = given;
    this.#interval = trainTimeInterval === undefined ? undefined : 1000 * secondsOf(trainTimeInterval);
    if (this.#interval !== undefined && (given.everyNTrainSteps ?? given.everyNEpochs) !== undefined)
      throw new TensorError(
        "value",
        "experiment(): checkpoints takes one of everyNEpochs, everyNTrainSteps and trainTimeInterval",
      );
    // Without a metric there are no best ones, unless some are asked for at intervals.
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

  /** Whether there is one of them at a time. */
  get single(): boolean {
    return this.#count === 1;
  }

  /** Whether to look after a validation, if `validation`, else at the end of an epoch. */
  dueInEpoch(epoch: number, validation: boolean): boolean {
    const elsewhere = this.#steps !== undefined || this.#interval !== undefined;
    if (!this.ranks || elsewhere || epoch % this.#epochs !== 0) return false;
    return validation === (this.monitor !== undefined && isValidation(this.monitor));
  }

  dueAfterStep(step: number, now = performance.now()): boolean {
    if (this.#interval !== undefined && this.ranks) {
      const due = now - this.#looked >= this.#interval;
      if (due) this.#looked = now;
      return due;
    }
    return this.ranks && this.#steps !== undefined && step % this.#steps === 0;
  }

  /** What decides at this point; undefined where it isn't known, or is no number to compare. */
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
