import { internal, TensorError } from "../../../tensor/core/errors.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Call } from "../../arguments.ts";
import { require, type Optimizer } from "../optimizer.ts";
import {
  LRScheduler,
  warnEpoch,
  type PerGroup,
  type SchedulerStateDict,
  ofOptimizer,
  type WithOptimizer,
} from "./base.ts";

export interface ReduceLROnPlateauOptions {
  /** Whether the metric should fall ("min", default) or rise. */
  mode?: "min" | "max";
  /** 0.1 by default. */
  factor?: number;
  /** Epochs without improvement that are tolerated; 10 by default. */
  patience?: number;
  /** Smallest change that counts as an improvement; 1e-4 by default. */
  threshold?: number;
  /** Whether the threshold is a fraction of the best metric ("rel", default) or a difference ("abs"). */
  thresholdMode?: "rel" | "abs";
  /** Epochs after a reduction that don't count as epochs without improvement; 0 by default. */
  cooldown?: number;
  /** Smallest rate; 0 by default. */
  minLr?: PerGroup;
  /** Smaller changes of the rate are skipped; 1e-8 by default. */
  eps?: number;
}

/**
 * Multiplies the rate by a factor when a metric has stopped improving: `scheduler.step(validationLoss)`.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.ReduceLROnPlateau(optimizer, "min", 0.5, 0);
 * optimizer.step();
 * scheduler.step(0.9);
 * scheduler.getLastLr(); // [1]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
 */
export class ReduceLROnPlateau extends LRScheduler {
  factor: number;
  defaultMinLr: number | null;
  minLrs: number[];
  patience: number;
  cooldown: number;
  eps: number;
  mode: "min" | "max";
  threshold: number;
  thresholdMode: "rel" | "abs";
  /** The worst possible metric. */
  modeWorse: number;
  best: number;
  cooldownCounter = 0;
  numBadEpochs = 0;

  constructor(optimizer: Optimizer, options?: ReduceLROnPlateauOptions);
  constructor(optimizer: Optimizer, mode: "min" | "max", options?: Omit<ReduceLROnPlateauOptions, "mode">);
  constructor(
    optimizer: Optimizer,
    ...options: Call<
      ReduceLROnPlateauOptions,
      "mode factor patience threshold thresholdMode cooldown minLr eps"
    >
  );
  constructor(named: WithOptimizer<ReduceLROnPlateauOptions>);
  constructor(...args: readonly unknown[]) {
    const [optimizer, ...rest] = ofOptimizer(args);
    super(optimizer, null);
    const options = bind<ReduceLROnPlateauOptions>("ReduceLROnPlateau", rest, {
      mode: "min",
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: "rel",
      cooldown: 0,
      minLr: 0,
      eps: 1e-8,
    });
    const { mode, factor, minLr, thresholdMode } = options;
    require(factor < 1, "Factor should be < 1.0.");
    const groups = optimizer.paramGroups;
    if (typeof minLr === "number") {
      this.defaultMinLr = minLr;
      this.minLrs = groups.map(() => minLr);
    } else {
      require(minLr.length === groups.length, `expected ${groups.length} min_lrs, got ${minLr.length}`);
      this.defaultMinLr = null;
      this.minLrs = [...minLr];
    }
    require(mode === "min" || mode === "max", `mode ${mode} is unknown!`);
    require(thresholdMode === "rel" ||
      thresholdMode === "abs", `threshold mode ${thresholdMode} is unknown!`);
    this.factor = factor;
    this.patience = options.patience;
    this.cooldown = options.cooldown;
    this.eps = options.eps;
    this.mode = mode;
    this.threshold = options.threshold;
    this.thresholdMode = thresholdMode;
    this.modeWorse = mode === "min" ? Infinity : -Infinity;
    this.best = this.modeWorse;
    this.lastEpoch = 0;
    this.lastLr = this.rates();
  }

  /** Whether epochs without improvement don't count at the moment. */
  get inCooldown(): boolean {
    return this.cooldownCounter > 0;
  }

  getLr(): number[] {
    return internal("ReduceLROnPlateau has no rates by epoch");
  }

  /**
   * Takes the metric of an epoch: a number, or a tensor of one element, which is computed.
   * @throws TensorError without a metric, or when the optimizer has new groups that `minLr` has no value for
   */
  override step(metrics?: number | Tensor, epoch?: number): void {
    if (metrics === undefined) {
      throw new TensorError(
        "value",
        "ReduceLROnPlateau.step() missing 1 required positional argument: 'metrics'",
        "pass what is watched: scheduler.step(validationLoss)",
      );
    }
    const current = typeof metrics === "number" ? metrics : valuesOf(metrics.value)[0]!;
    if (epoch !== undefined) warnEpoch();
    this.lastEpoch = epoch ?? this.lastEpoch + 1;
    if (this.isBetter(current)) {
      this.best = current;
      this.numBadEpochs = 0;
    } else {
      this.numBadEpochs++;
    }
    if (this.inCooldown) {
      this.cooldownCounter--;
      this.numBadEpochs = 0;
    }
    if (this.numBadEpochs > this.patience) {
      this.reduce();
      this.cooldownCounter = this.cooldown;
      this.numBadEpochs = 0;
    }
    this.lastLr = this.rates();
  }

  private isBetter(metric: number): boolean {
    const { mode, threshold, best } = this;
    const relative = this.thresholdMode === "rel";
    if (mode === "min") return metric < (relative ? best * (1 - threshold) : best - threshold);
    return metric > (relative ? best * (threshold + 1) : best + threshold);
  }

  private reduce(): void {
    const groups = this.optimizer.paramGroups;
    if (groups.length !== this.minLrs.length) {
      const { defaultMinLr } = this;
      require(defaultMinLr !==
        null, `The number of param groups in the \`optimizer\` (${groups.length}) differs from when \`ReduceLROnPlateau\` was initialized (${this.minLrs.length}), usually due to a new param group being added to the optimizer. Please modify the \`min_lrs\` field to match the length of the \`optimizer\` param groups.`);
      this.minLrs = groups.map(() => defaultMinLr!);
    }
    groups.forEach((group, i) => {
      const lr = Math.max(group.lr * this.factor, this.minLrs[i]!);
      if (group.lr - lr > this.eps) group.lr = lr;
    });
  }

  override stateDict(): SchedulerStateDict {
    const { base_lrs: _, _step_count: __, _is_initial: ___, ...state } = this.ownState();
    return state;
  }
}
