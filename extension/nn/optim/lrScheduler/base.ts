import { TensorError } from "../../../tensor/core/errors.ts";
import { isNamed } from "../../../tensor/signatures/bind.ts";
import { py, snakeCase } from "../../module/repr.ts";
import { warnOnce } from "../../warnings.ts";
import { beforeStep, beginSchedules, Optimizer, require } from "../optimizer.ts";
import { type ParamGroup } from "../groups.ts";

/** A schedule's state as PyTorch saves it: names in snake_case, everything but the optimizer and functions. */
export type SchedulerStateDict = Record<string, unknown>;

/** One number for all groups of parameters, or one for each. */
export type PerGroup = number | readonly number[];

/** Names in state dicts that are not the field's name in snake_case. */
const SAVED_NAMES: Readonly<Record<string, string>> = {
  stepCount: "_step_count",
  isInitial: "_is_initial",
  lastLr: "_last_lr",
  annealStrategy: "_anneal_func_type",
  phases: "_schedule_phases",
  starts: "_milestones",
  strategy: "_anneal_strategy",
  tMax: "T_max",
  t0: "T_0",
  tI: "T_i",
  tMult: "T_mult",
  tCur: "T_cur",
};

const EPOCH_WARNING =
  "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use `scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form is used instead of the new chainable form, where available. Please open an issue if you are unable to replicate your use case: https://github.com/pytorch/pytorch/issues/new/choose.";

const ORDER_WARNING =
  "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in PyTorch skipping the first value of the learning rate schedule. See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate";

/** Options by name, with the optimizer among them. */
export type WithOptimizer<O> = O & { optimizer: Optimizer };

/** The optimizer of a schedule's arguments, by position or as `optimizer` among the named ones, and the other arguments. */
export function ofOptimizer(args: readonly unknown[]): [optimizer: Optimizer, ...rest: unknown[]] {
  const [first, ...rest] = args;
  if (rest.length > 0 || !isNamed(first) || !("optimizer" in first)) return [first as Optimizer, ...rest];
  const { optimizer, ...named } = first;
  return Object.keys(named).length === 0 ? [optimizer as Optimizer] : [optimizer as Optimizer, named];
}

export function warnEpoch(): void {
  warnOnce(EPOCH_WARNING);
}

/**
 * Base class of all schedules: sets the learning rate of every group of an optimizer. A subclass defines {@link getLr}.
 * JavaScript sets its fields after `super(optimizer, lastEpoch)`, so the initial step comes with the first use of the
 * schedule or step of the optimizer; `start` makes it at once.
 *
 * ```ts
 * class WarmUp extends torch.optim.lrScheduler.LRScheduler {
 *   steps: number;
 *   constructor(optimizer: torch.optim.Optimizer, steps: number, lastEpoch = -1) {
 *     super(optimizer, lastEpoch);
 *     this.steps = steps;
 *   }
 *   override getLr(): number[] {
 *     return this.baseLrs.map((lr) => lr * Math.min(1, (this.lastEpoch + 1) / this.steps));
 *   }
 * }
 * ```
 */
export abstract class LRScheduler {
  readonly optimizer: Optimizer;
  /** The rates the schedule started from, by group. */
  baseLrs: number[] = [];
  /** How often the schedule was stepped, −1 before the initial step. */
  lastEpoch = -1;
  /** @internal */
  stepCount = 0;
  protected isInitial = false;
  protected lastLr: number[] = [];

  /** Whether the initial step is still to come. */
  private isWaiting = false;

  /** @param lastEpoch the epoch to continue from; −1 begins; null where the subclass makes the initial step */
  constructor(optimizer: Optimizer, lastEpoch: number | null = -1) {
    if (!(optimizer instanceof Optimizer)) {
      throw new TensorError("value", `${typeName(optimizer)} is not an Optimizer`);
    }
    this.optimizer = optimizer;
    // Schedules that were made before are complete by now, and make their initial steps first.
    beginSchedules();
    if (lastEpoch === null) return;
    this.lastEpoch = lastEpoch;
    this.isWaiting = true;
    beforeStep(() => this.begin());
  }

  /** Makes the initial step unless that was made. */
  private begin(): void {
    if (this.isWaiting) this.start(this.lastEpoch);
  }

  /**
   * Starts the schedule, or with a `lastEpoch` continues one.
   * @throws TensorError when it continues with an optimizer that had no schedule
   */
  protected start(lastEpoch: number): void {
    this.isWaiting = false;
    const groups = this.optimizer.paramGroups;
    if (lastEpoch === -1) for (const group of groups) group.initialLr ??= group.lr;
    this.baseLrs = groups.map((group, i) => {
      require(group.initialLr !==
        undefined, `param 'initial_lr' is not specified in param_groups[${i}] when resuming scheduler with last_epoch >= 0.\nThis typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)`);
      return group.initialLr!;
    });
    this.lastEpoch = lastEpoch;
    this.initialStep();
  }

  /** @internal */
  initialStep(): void {
    this.stepCount = 0;
    this.isInitial = true;
    this.step();
    this.isInitial = false;
  }

  /** The rates of the epoch {@link lastEpoch}, from those of the epoch before. */
  abstract getLr(): number[];

  /** The rates of the epoch {@link lastEpoch}, from the base rates alone. */
  protected closedFormLr(): number[] {
    return this.getLr();
  }

  /** The rates as they are, by group. */
  protected rates(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr);
  }

  /** The rates as they are times a factor. */
  protected scaled(factor: number): number[] {
    return this.rates().map((lr) => lr * factor);
  }

  /** The rates set last, by group. */
  getLastLr(): number[] {
    this.begin();
    return [...this.lastLr];
  }

  /**
   * Sets the rates of the next epoch. Comes after `optimizer.step()`.
   * @param epoch goes to this epoch instead (deprecated by PyTorch)
   */
  step(epoch?: number): void {
    this.begin();
    if (this.stepCount === 1 && !this.optimizer.stepped) warnOnce(ORDER_WARNING);
    this.stepCount++;
    if (epoch !== undefined) warnEpoch();
    this.updateLr(epoch);
  }

  /** @internal */
  updateLr(epoch?: number): void {
    this.lastEpoch = epoch ?? this.lastEpoch + 1;
    this.setRates(epoch === undefined ? this.getLr() : this.closedFormLr());
  }

  protected setRates(rates: readonly number[]): void {
    const groups = this.optimizer.paramGroups;
    require(groups.length ===
      rates.length, `${this.constructor.name} has ${rates.length} learning rates, but the optimizer has ${groups.length} parameter groups`);
    groups.forEach((group, i) => (group.lr = rates[i]!));
    this.lastLr = this.rates();
  }

  /** Everything needed to continue, in PyTorch's structure. */
  stateDict(): SchedulerStateDict {
    this.begin();
    const { _last_lr, ...state } = this.ownState();
    return { ...state, _get_lr_called_within_step: false, _last_lr };
  }

  /** Fields that are values, by PyTorch's names. */
  protected ownState(): SchedulerStateDict {
    return Object.fromEntries(
      this.savedFields().map(([field, value]) => [savedName(field), structuredClone(value)]),
    );
  }

  /** Continues from a state of {@link stateDict}, copied. */
  loadStateDict(state: SchedulerStateDict): void {
    this.begin();
    for (const [field] of this.savedFields()) {
      const value = state[savedName(field)];
      if (value !== undefined) Object.assign(this, { [field]: structuredClone(value) });
    }
  }

  /** A schedule's own fields before those that all have, as PyTorch saves them. */
  private savedFields(): [field: string, value: unknown][] {
    const { baseLrs, lastEpoch, stepCount, isInitial, lastLr, ...own } = this;
    return Object.entries({ ...own, baseLrs, lastEpoch, stepCount, isInitial, lastLr }).filter(
      ([field, value]) =>
        field !== "optimizer" &&
        field !== "isWaiting" &&
        value !== undefined &&
        !holds(value, (x) => typeof x === "function" || x instanceof LRScheduler),
    );
  }
}

const savedName = (field: string): string => SAVED_NAMES[field] ?? snakeCase(field);

function holds(value: unknown, test: (x: unknown) => boolean): boolean {
  return Array.isArray(value) ? value.some(test) : test(value);
}

export function typeName(x: unknown): string {
  return typeof x === "object" && x !== null ? x.constructor.name : typeof x;
}

/**
 * One number for each group.
 * @throws TensorError for a list of another length
 */
export function perGroup(name: string, { paramGroups }: Optimizer, value: PerGroup): number[] {
  if (typeof value === "number") return paramGroups.map(() => value);
  require(value.length ===
    paramGroups.length, `${name} must have the same length as optimizer.param_groups. ${name} has ${value.length} values, param_groups has ${paramGroups.length}.`);
  return [...value];
}

type WithMomentum = ParamGroup & { momentum?: number; betas?: readonly number[] };

/**
 * Whether the momentum that a schedule cycles is the first of `betas`.
 * @throws TensorError when the optimizer has neither `momentum` nor `betas`
 */
export function usesBeta1({ defaults }: Optimizer): boolean {
  require("momentum" in defaults ||
    "betas" in defaults, "optimizer must support momentum or beta1 with `cycle_momentum` option enabled");
  return "betas" in defaults;
}

export function setMomentum(group: ParamGroup, value: number): void {
  const options: WithMomentum = group;
  if (options.betas === undefined) options.momentum = value;
  else options.betas = [value, ...options.betas.slice(1)];
}

/** Every momentum at its largest, and the bounds kept in the groups. */
export function startMomenta(
  { paramGroups }: Optimizer,
  base: readonly number[],
  max: readonly number[],
): void {
  paramGroups.forEach((group, i) => {
    setMomentum(group, max[i]!);
    group.maxMomentum = max[i]!;
    group.baseMomentum = base[i]!;
  });
}

/** Python's `bisect.bisect_right`: how many of the sorted values are at most x. */
export function countUpTo(sorted: readonly number[], x: number): number {
  return sorted.filter((value) => value <= x).length;
}

/** An integer of at least `low`, or an error that names it. */
export function requireInteger(value: number, low: number, expected: string): void {
  require(Number.isInteger(value) && value >= low, `Expected ${expected}, but got ${py(value)}`);
}
