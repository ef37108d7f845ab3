// Schedules over a number of epochs: a constant factor, a line, a power.
import { require } from "../optimizer.ts";
import { builtIn } from "./builtIn.ts";

/** @throws TensorError "float division by zero", where a rate would be infinite or no number */
function quotient(a: number, b: number): number {
  require(b !== 0, "float division by zero");
  return a / b;
}

export interface ConstantLROptions {
  /** 1/3 by default. */
  factor?: number;
  /** 5 by default. */
  totalIters?: number;
  lastEpoch?: number;
}

/**
 * The base rate times a factor during the first `totalIters` epochs.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.ConstantLR(optimizer, 0.5, 3);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ConstantLR.html
 */
export class ConstantLR extends builtIn<
  [factor?: number, totalIters?: number, lastEpoch?: number],
  ConstantLROptions,
  "factor totalIters lastEpoch"
>() {
  /** @internal */
  static override readonly signature = { factor: 1 / 3, totalIters: 5, lastEpoch: -1 };
  declare factor: number;
  declare totalIters: number;

  protected override prepare(): void {
    const { factor } = this;
    require(factor <= 1 && factor >= 0, "Constant multiplicative factor expected to be between 0 and 1.");
  }

  getLr(): number[] {
    if (this.lastEpoch === 0) return this.scaled(this.factor);
    return this.lastEpoch === this.totalIters ? this.scaled(quotient(1, this.factor)) : this.rates();
  }

  protected override closedFormLr(): number[] {
    const over = this.lastEpoch >= this.totalIters ? 1 : 0;
    return this.baseLrs.map((lr) => lr * (this.factor + over * (1 - this.factor)));
  }
}

export interface LinearLROptions {
  /** 1/3 by default. */
  startFactor?: number;
  /** 1 by default. */
  endFactor?: number;
  /** 5 by default. */
  totalIters?: number;
  lastEpoch?: number;
}

/**
 * The base rate times a factor that goes from `startFactor` to `endFactor` in `totalIters` epochs: a warm-up.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.LinearLR(optimizer, 0.5, { totalIters: 2 });
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.75]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html
 */
export class LinearLR extends builtIn<
  [startFactor?: number, endFactor?: number, totalIters?: number, lastEpoch?: number],
  LinearLROptions,
  "startFactor endFactor totalIters lastEpoch"
>() {
  /** @internal */
  static override readonly signature = {
    startFactor: 1 / 3,
    endFactor: 1,
    totalIters: 5,
    lastEpoch: -1,
  };
  declare startFactor: number;
  declare endFactor: number;
  declare totalIters: number;

  protected override prepare(): void {
    const { startFactor, endFactor } = this;
    require(startFactor <= 1 &&
      startFactor >
        0, "Starting multiplicative factor expected to be greater than 0 and less or equal to 1.");
    require(endFactor <= 1 && endFactor >= 0, "Ending multiplicative factor expected to be between 0 and 1.");
  }

  getLr(): number[] {
    const { lastEpoch, startFactor, totalIters } = this;
    if (lastEpoch === 0) return this.scaled(startFactor);
    if (this.isInitial || lastEpoch > totalIters) return this.rates();
    const range = this.endFactor - startFactor;
    return this.scaled(1 + range / (totalIters * startFactor + (lastEpoch - 1) * range));
  }

  protected override closedFormLr(): number[] {
    const { lastEpoch, startFactor, endFactor, totalIters } = this;
    const way = quotient((endFactor - startFactor) * Math.min(totalIters, lastEpoch), totalIters);
    const factor = startFactor + way;
    return this.baseLrs.map((lr) => lr * factor);
  }
}

export interface PolynomialLROptions {
  /** 5 by default. */
  totalIters?: number;
  /** 1 by default. */
  power?: number;
  lastEpoch?: number;
}

/**
 * lr = base · (1 − epoch / totalIters)^power, 0 from `totalIters` on.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.PolynomialLR(optimizer, 2);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html
 */
export class PolynomialLR extends builtIn<
  [totalIters?: number, power?: number, lastEpoch?: number],
  PolynomialLROptions,
  "totalIters power lastEpoch"
>() {
  /** @internal */
  static override readonly signature = { totalIters: 5, power: 1, lastEpoch: -1 };
  declare totalIters: number;
  declare power: number;

  getLr(): number[] {
    const { lastEpoch, totalIters, power } = this;
    if (this.isInitial || lastEpoch > totalIters) return this.rates();
    return this.scaled(((1 - lastEpoch / totalIters) / (1 - (lastEpoch - 1) / totalIters)) ** power);
  }

  protected override closedFormLr(): number[] {
    const { lastEpoch, totalIters, power } = this;
    return this.baseLrs.map((lr) => lr * (1 - Math.min(totalIters, lastEpoch) / totalIters) ** power);
  }
}
