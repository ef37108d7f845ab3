// Schedules that multiply the rate: at certain epochs, at every epoch, or by the user's function.
import { TensorError } from "../../../tensor/core/errors.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import { require, type Optimizer } from "../optimizer.ts";
import { builtIn } from "./builtIn.ts";
import {
  countUpTo,
  LRScheduler,
  typeName,
  type SchedulerStateDict,
  ofOptimizer,
  type WithOptimizer,
} from "./base.ts";

export interface StepLROptions {
  /** Epochs between two decays. */
  stepSize: number;
  /** 0.1 by default. */
  gamma?: number;
  /** Continues after this epoch; −1, a new schedule, by default. */
  lastEpoch?: number;
}

/**
 * Multiplies the rate by gamma every `stepSize` epochs.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.StepLR(optimizer, 1, 0.5);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html
 */
export class StepLR extends builtIn<
  [stepSize: number, gamma?: number, lastEpoch?: number],
  StepLROptions,
  "stepSize gamma lastEpoch"
>() {
  /** @internal */
  static override readonly signature = { stepSize: REQUIRED, gamma: 0.1, lastEpoch: -1 };
  declare stepSize: number;
  declare gamma: number;

  getLr(): number[] {
    if (this.lastEpoch === 0 || this.lastEpoch % this.stepSize !== 0) return this.rates();
    return this.scaled(this.gamma);
  }

  protected override closedFormLr(): number[] {
    return this.baseLrs.map((lr) => lr * this.gamma ** Math.floor(this.lastEpoch / this.stepSize));
  }
}

export interface MultiStepLROptions {
  /** Epochs of the decays. */
  milestones: readonly number[];
  /** 0.1 by default. */
  gamma?: number;
  lastEpoch?: number;
}

/**
 * Multiplies the rate by gamma at every milestone; a milestone given twice counts twice.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.MultiStepLR(optimizer, [1, 5], 0.5);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html
 */
export class MultiStepLR extends LRScheduler {
  /** How often each epoch was given. */
  milestones: Record<number, number> = {};
  gamma: number;

  constructor(optimizer: Optimizer, options: MultiStepLROptions);
  constructor(
    optimizer: Optimizer,
    milestones: readonly number[],
    options?: Omit<MultiStepLROptions, "milestones">,
  );
  constructor(optimizer: Optimizer, ...options: Call<MultiStepLROptions, "milestones gamma lastEpoch">);
  constructor(named: WithOptimizer<MultiStepLROptions>);
  constructor(...args: readonly unknown[]) {
    const [optimizer, ...rest] = ofOptimizer(args);
    super(optimizer, null);
    const { milestones, gamma, lastEpoch } = bind<MultiStepLROptions>("MultiStepLR", rest, {
      milestones: REQUIRED,
      gamma: 0.1,
      lastEpoch: -1,
    });
    for (const epoch of milestones) this.milestones[epoch] = (this.milestones[epoch] ?? 0) + 1;
    this.gamma = gamma;
    this.start(lastEpoch);
  }

  getLr(): number[] {
    const times = this.milestones[this.lastEpoch];
    return times === undefined ? this.rates() : this.scaled(this.gamma ** times);
  }

  protected override closedFormLr(): number[] {
    const epochs = Object.entries(this.milestones).flatMap(([epoch, times]) =>
      Array.from({ length: times }, () => Number(epoch)),
    );
    return this.baseLrs.map((lr) => lr * this.gamma ** countUpTo(epochs, this.lastEpoch));
  }
}

export interface ExponentialLROptions {
  gamma: number;
  lastEpoch?: number;
}

/**
 * Multiplies the rate by gamma every epoch.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.ExponentialLR(optimizer, 0.5);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html
 */
export class ExponentialLR extends builtIn<
  [gamma: number, lastEpoch?: number],
  ExponentialLROptions,
  "gamma lastEpoch"
>() {
  /** @internal */
  static override readonly signature = { gamma: REQUIRED, lastEpoch: -1 };
  declare gamma: number;

  getLr(): number[] {
    return this.isInitial ? this.rates() : this.scaled(this.gamma);
  }

  protected override closedFormLr(): number[] {
    return this.baseLrs.map((lr) => lr * this.gamma ** this.lastEpoch);
  }
}

/** A factor by epoch. */
export type LRLambda = (epoch: number) => number;

export interface LambdaLROptions {
  /** One function for all groups, or one for each. */
  lrLambda: LRLambda | readonly LRLambda[];
  lastEpoch?: number;
}

/** Base class of schedules by the user's functions. Functions are not saved. */
abstract class ByFunction extends LRScheduler {
  lrLambdas: LRLambda[];

  constructor(optimizer: Optimizer, options: LambdaLROptions);
  constructor(
    optimizer: Optimizer,
    lrLambda: LambdaLROptions["lrLambda"],
    options?: Omit<LambdaLROptions, "lrLambda">,
  );
  constructor(optimizer: Optimizer, ...options: Call<LambdaLROptions, "lrLambda lastEpoch">);
  constructor(named: WithOptimizer<LambdaLROptions>);
  constructor(...args: readonly unknown[]) {
    const [optimizer, ...rest] = ofOptimizer(args);
    super(optimizer, null);
    const { lrLambda, lastEpoch } = bind<LambdaLROptions>(new.target.name, rest, {
      lrLambda: REQUIRED,
      lastEpoch: -1,
    });
    const groups = optimizer.paramGroups.length;
    const functions =
      typeof lrLambda === "function" ? optimizer.paramGroups.map(() => lrLambda) : [...lrLambda];
    require(functions.length === groups, `Expected ${groups} lr_lambdas, but got ${functions.length}`);
    for (const f of functions) {
      if (typeof f !== "function") {
        throw new TensorError("value", `lr_lambda should be a function, but got ${typeName(f)}`);
      }
    }
    this.lrLambdas = functions;
    this.start(lastEpoch);
  }

  override stateDict(): SchedulerStateDict {
    return { ...super.stateDict(), lr_lambdas: this.lrLambdas.map(() => null) };
  }
}

/**
 * The base rate times a function of the epoch.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.LambdaLR(optimizer, (epoch) => 1 / (1 + epoch));
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html
 */
export class LambdaLR extends ByFunction {
  getLr(): number[] {
    return this.baseLrs.map((lr, i) => lr * this.lrLambdas[i]!(this.lastEpoch));
  }
}

/**
 * Multiplies the rate by a function of the epoch, every epoch.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.MultiplicativeLR(optimizer, () => 0.25);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.25]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiplicativeLR.html
 */
export class MultiplicativeLR extends ByFunction {
  getLr(): number[] {
    if (this.isInitial) return this.rates();
    return this.rates().map((lr, i) => lr * this.lrLambdas[i]!(this.lastEpoch));
  }
}
