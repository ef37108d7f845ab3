// Cosine annealing (Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983).
import { REQUIRED } from "../../arguments.ts";
import { py } from "../../module/repr.ts";
import { require } from "../optimizer.ts";
import { requireInteger } from "./base.ts";
import { builtIn } from "./builtIn.ts";

export interface CosineAnnealingLROptions {
  /** Epochs from the base rate to the smallest. */
  tMax: number;
  /** Smallest rate; 0 by default. */
  etaMin?: number;
  lastEpoch?: number;
}

/**
 * lr = etaMin + (base − etaMin)(1 + cos(π · epoch / tMax)) / 2.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.CosineAnnealingLR(optimizer, 1);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html
 */
export class CosineAnnealingLR extends builtIn<
  [tMax: number, etaMin?: number, lastEpoch?: number],
  CosineAnnealingLROptions,
  "tMax etaMin lastEpoch"
>() {
  /** @internal */
  static override readonly signature = { tMax: REQUIRED, etaMin: 0, lastEpoch: -1 };
  declare tMax: number;
  declare etaMin: number;

  getLr(): number[] {
    const { lastEpoch, tMax, etaMin, baseLrs } = this;
    if (this.isInitial) return this.rates();
    if (this.stepCount === 1 && lastEpoch > 0) return this.closedFormLr();
    if ((lastEpoch - 1 - tMax) % (2 * tMax) === 0) {
      // The rate was at its smallest: the recursion would divide by 0.
      return this.rates().map((lr, i) => lr + ((baseLrs[i]! - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2);
    }
    const factor =
      (1 + Math.cos((Math.PI * lastEpoch) / tMax)) / (1 + Math.cos((Math.PI * (lastEpoch - 1)) / tMax));
    return this.rates().map((lr) => factor * (lr - etaMin) + etaMin);
  }

  protected override closedFormLr(): number[] {
    const { lastEpoch, tMax, etaMin } = this;
    return this.baseLrs.map(
      (lr) => etaMin + ((lr - etaMin) * (1 + Math.cos((Math.PI * lastEpoch) / tMax))) / 2,
    );
  }
}

export interface CosineAnnealingWarmRestartsOptions {
  /** Epochs until the first restart. */
  t0: number;
  /** How many times longer each period is than the one before; 1 by default. */
  tMult?: number;
  /** Smallest rate; 0 by default. */
  etaMin?: number;
  lastEpoch?: number;
}

/**
 * lr = etaMin + (base − etaMin)(1 + cos(π · tCur / tI)) / 2, tCur epochs after the last restart, of tI in between.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.CosineAnnealingWarmRestarts(optimizer, 1);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [1]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html
 */
export class CosineAnnealingWarmRestarts extends builtIn<
  [t0: number, tMult?: number, etaMin?: number, lastEpoch?: number],
  CosineAnnealingWarmRestartsOptions,
  "t0 tMult etaMin lastEpoch"
>() {
  /** @internal */
  static override readonly signature = { t0: REQUIRED, tMult: 1, etaMin: 0, lastEpoch: -1 };
  declare t0: number;
  declare tI: number;
  declare tMult: number;
  declare etaMin: number;
  declare tCur: number;

  protected override prepare(lastEpoch: number): void {
    requireInteger(this.t0, 1, "positive integer T_0");
    requireInteger(this.tMult, 1, "integer T_mult >= 1");
    this.tI = this.t0;
    this.tCur = lastEpoch;
  }

  getLr(): number[] {
    const { etaMin, tCur, tI } = this;
    return this.baseLrs.map((lr) => etaMin + ((lr - etaMin) * (1 + Math.cos((Math.PI * tCur) / tI))) / 2);
  }

  /**
   * Sets the rates of the next epoch.
   * @param epoch goes to this epoch instead, which may be a fraction: `step(epoch + i / batches)`
   */
  override step(epoch?: number): void {
    let at = epoch;
    if (at === undefined && this.lastEpoch < 0) at = 0;
    if (at === undefined) {
      at = this.lastEpoch + 1;
      this.tCur++;
      if (this.tCur >= this.tI) {
        this.tCur %= this.tI;
        this.tI *= this.tMult;
      }
    } else {
      require(at >= 0, `Expected non-negative epoch, but got ${py(at)}`);
      this.goTo(at);
    }
    this.lastEpoch = Math.floor(at);
    this.setRates(this.getLr());
  }

  private goTo(epoch: number): void {
    const { t0, tMult } = this;
    if (epoch < t0) {
      this.tI = t0;
      this.tCur = epoch;
    } else if (tMult === 1) {
      this.tCur = epoch % t0;
    } else {
      const restarts = Math.trunc(Math.log((epoch / t0) * (tMult - 1) + 1) / Math.log(tMult));
      this.tCur = epoch - (t0 * (tMult ** restarts - 1)) / (tMult - 1);
      this.tI = t0 * tMult ** restarts;
    }
  }
}
