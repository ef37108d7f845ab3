import type {
  ExperimentOptions,
  Optimizers,
  Schedule,
  ScheduleOptions,
} from "../../nn/experiment/experiment.ts";
import { LRScheduler, OneCycleLR, ReduceLROnPlateau } from "../../nn/optim/lrScheduler/index.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { isValidation, monitored } from "./monitor.ts";
import { isOptimizer } from "../reporting/settings.ts";
import { EngineError } from "../../protocol/errors.ts";

/** An experiment's learning rate schedules. */
export class Schedules {
  readonly all: readonly ScheduleOptions[];
  readonly #optimizers: Optimizers;
  readonly #validated: boolean;

  /**
   * @param validated Whether there is a validation set
   * @throws TensorError when `lrScheduler` gives something else than schedules
   */
  constructor({ lrScheduler }: ExperimentOptions, optimizers: Optimizers, validated: boolean) {
    this.#optimizers = optimizers;
    this.#validated = validated;
    this.all = lrScheduler === undefined ? [] : listed(lrScheduler(optimizers));
  }

  /** Whether rates change between two steps. */
  get withinEpochs(): boolean {
    return this.all.some(({ interval }) => interval === "step");
  }

  /** Whether the values of every step decide on the next one's rates. */
  get watchSteps(): boolean {
    return this.all.some(
      ({ scheduler, interval }) => interval === "step" && scheduler instanceof ReduceLROnPlateau,
    );
  }

  /** After optimizer step number `step`. */
  afterStep(step: number, metrics: Readonly<Record<string, number>>): void {
    this.#step("step", step, metrics);
  }

  /** After epoch number `epoch`. */
  afterEpoch(epoch: number, metrics: Readonly<Record<string, number>>): void {
    this.#step("epoch", epoch, metrics);
  }

  /** The rates of the first parameter groups: `lr`, or by name where there are several optimizers. */
  rates(): Record<string, number> {
    const optimizers = this.#optimizers;
    if (isOptimizer(optimizers)) return rate("lr", optimizers.paramGroups[0]?.lr);
    return Object.assign(
      {},
      ...Object.entries(optimizers).map(([name, one]) => rate(`lr_${name}`, one.paramGroups[0]?.lr)),
    ) as Record<string, number>;
  }

  /**
   * Sets a rate by hand: that of the first group of parameters of one optimizer or all, the other groups' by the same
   * factor. Schedules continue from there, scaled likewise.
   * @throws EngineError when there is no optimizer of that name
   */
  setRate(lr: number, name?: string): void {
    const optimizers = this.#optimizers;
    const named = isOptimizer(optimizers) ? {} : optimizers;
    if (name !== undefined && named[name] === undefined)
      throw new EngineError({
        code: "value",
        message: isOptimizer(optimizers)
          ? `There is no optimizer named \`${name}\`: this training has a single one, without a name.`
          : `There is no optimizer named \`${name}\`; there are ${Object.keys(named).join(", ")}.`,
      });
    const all = isOptimizer(optimizers)
      ? [optimizers]
      : name === undefined
        ? Object.values(named)
        : [named[name]!];
    for (const optimizer of all) {
      const before = optimizer.paramGroups[0]?.lr ?? 0;
      const scaled = (rate: number, first: boolean): number =>
        before > 0 && !first ? (rate / before) * lr : lr;
      for (const [index, group] of optimizer.paramGroups.entries()) {
        group.lr = scaled(group.lr, index === 0);
        if (group.initialLr !== undefined && before > 0) group.initialLr *= lr / before;
      }
      for (const { scheduler } of this.all)
        if (scheduler.optimizer === optimizer && before > 0)
          scheduler.baseLrs = scheduler.baseLrs.map((rate) => rate * (lr / before));
    }
  }

  /** @throws EngineError when a schedule was made for the run's length and has no value for what comes after it */
  checkLonger(): void {
    if (this.all.some(({ scheduler }) => scheduler instanceof OneCycleLR))
      throw new EngineError({
        code: "limit",
        message: "OneCycleLR was made for the run's length: it has no rates for epochs after it.",
      });
  }

  #step(unit: "epoch" | "step", count: number, metrics: Readonly<Record<string, number>>): void {
    for (const { scheduler, interval = "epoch", frequency = 1, monitor } of this.all) {
      if (interval !== unit || count % frequency !== 0) continue;
      if (scheduler instanceof ReduceLROnPlateau) {
        const watched = monitor ?? (this.#validated ? "val_loss" : "loss");
        // Before the first validation there is nothing to look at.
        const early = this.#validated && isValidation(watched) && !Object.keys(metrics).some(isValidation);
        if (!early) scheduler.step(monitored("lrScheduler", metrics, watched));
      } else scheduler.step();
    }
  }
}

function rate(name: string, lr: number | undefined): Record<string, number> {
  return lr === undefined ? {} : { [name]: lr };
}

function listed(given: Schedule): ScheduleOptions[] {
  const one = (value: unknown): ScheduleOptions | undefined => {
    if (value instanceof LRScheduler) return { scheduler: value };
    const { scheduler } = (value ?? {}) as Partial<ScheduleOptions>;
    return scheduler instanceof LRScheduler ? (value as ScheduleOptions) : undefined;
  };
  const alone = one(given);
  const all =
    alone === undefined && typeof given === "object" && given !== null
      ? Object.values(given as object).map(one)
      : [alone];
  if (all.length > 0 && all.every((schedule) => schedule !== undefined)) return all;
  throw new TensorError(
    "value",
    "experiment(): expected lrScheduler to give a schedule of optim.lrScheduler, { scheduler, interval } or several of them",
  );
}
