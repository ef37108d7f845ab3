// PyTorch's torch.optim.swa_utils: stochastic weight averaging (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407).
import { bind, REQUIRED, type Call } from "../arguments.ts";
import { py } from "../module/repr.ts";
import { LRScheduler, perGroup, type PerGroup, ofOptimizer, type WithOptimizer } from "./lrScheduler/base.ts";
import { require, type Optimizer } from "./optimizer.ts";

export {
  AveragedModel,
  getEmaAvgFn,
  getEmaMultiAvgFn,
  getSwaAvgFn,
  getSwaMultiAvgFn,
  updateBn,
  type AverageFunction,
  type AveragedModelOptions,
  type MultiAverageFunction,
} from "./averagedModel.ts";

export interface SWALROptions {
  /** The rate at which weights are averaged. */
  swaLr: PerGroup;
  /** Epochs until the rate is there; 10 by default. */
  annealEpochs?: number;
  /** "cos" by default. */
  annealStrategy?: "cos" | "linear";
  lastEpoch?: number;
}

/**
 * Anneals the current rate to `swaLr`, and stays there.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.swaUtils.SWALR(optimizer, 0.05);
 * optimizer.step();
 * scheduler.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.SWALR.html
 */
export class SWALR extends LRScheduler {
  strategy: "cos" | "linear";
  annealEpochs: number;

  constructor(optimizer: Optimizer, options: SWALROptions);
  constructor(optimizer: Optimizer, swaLr: PerGroup, options?: Omit<SWALROptions, "swaLr">);
  constructor(
    optimizer: Optimizer,
    ...options: Call<SWALROptions, "swaLr annealEpochs annealStrategy lastEpoch">
  );
  constructor(named: WithOptimizer<SWALROptions>);
  constructor(...args: readonly unknown[]) {
    const [optimizer, ...rest] = ofOptimizer(args);
    super(optimizer, null);
    const { swaLr, annealEpochs, annealStrategy, lastEpoch } = bind<SWALROptions>("SWALR", rest, {
      swaLr: REQUIRED,
      annealEpochs: 10,
      annealStrategy: "cos",
      lastEpoch: -1,
    });
    const rates = perGroup("swa_lr", optimizer, swaLr);
    optimizer.paramGroups.forEach((group, i) => (group.swaLr = rates[i]!));
    require(annealStrategy === "cos" ||
      annealStrategy ===
        "linear", `anneal_strategy must be one of 'cos' or 'linear', instead got ${annealStrategy}`);
    require(Number.isInteger(annealEpochs) &&
      annealEpochs >= 0, `anneal_epochs must be equal or greater than 0, got ${py(annealEpochs)}`);
    this.strategy = annealStrategy;
    this.annealEpochs = annealEpochs;
    this.start(lastEpoch);
  }

  /** How much of the way to `swaLr` is done after some steps. */
  private done(steps: number): number {
    const part = Math.max(0, Math.min(1, steps / Math.max(1, this.annealEpochs)));
    return this.strategy === "linear" ? part : (1 - Math.cos(Math.PI * part)) / 2;
  }

  getLr(): number[] {
    const step = this.annealEpochs === 0 ? Math.max(1, this.stepCount - 1) : this.stepCount - 1;
    const before = this.done(step - 1);
    const now = this.done(step);
    return this.optimizer.paramGroups.map(({ lr, swaLr }) => {
      const start = before === 1 ? swaLr! : (lr - before * swaLr!) / (1 - before);
      return swaLr! * now + start * (1 - now);
    });
  }
}
