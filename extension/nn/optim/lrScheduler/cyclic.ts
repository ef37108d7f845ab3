// Cyclical rates and momenta (Smith 2017, https://arxiv.org/abs/1506.01186).
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import { require, type Optimizer } from "../optimizer.ts";
import {
  LRScheduler,
  perGroup,
  setMomentum,
  startMomenta,
  usesBeta1,
  type PerGroup,
  type SchedulerStateDict,
  ofOptimizer,
  type WithOptimizer,
} from "./base.ts";

export type CyclicMode = "triangular" | "triangular2" | "exp_range";

export interface CyclicLROptions {
  /** Smallest rate. */
  baseLr: PerGroup;
  /** Largest rate of the first cycle. */
  maxLr: PerGroup;
  /** Steps upwards in a cycle; 2000 by default. */
  stepSizeUp?: number;
  /** Steps downwards; as many as upwards by default. */
  stepSizeDown?: number | null;
  /** Scaling of the amplitude: none (default), halved every cycle, or gamma^step. */
  mode?: CyclicMode;
  /** 1 by default. */
  gamma?: number;
  /** The amplitude by the user's function, instead of `mode`. */
  scaleFn?: ((x: number) => number) | null;
  /** Whether `scaleFn` is given the number of the cycle (from 1; default) or of the step. */
  scaleMode?: "cycle" | "iterations";
  /** Cycle the momentum (or the first of `betas`) the other way round; true by default. */
  cycleMomentum?: boolean;
  /** 0.8 by default. */
  baseMomentum?: PerGroup;
  /** 0.9 by default. */
  maxMomentum?: PerGroup;
  lastEpoch?: number;
}

/**
 * Moves the rate up and down between two bounds. Step it after every batch.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const scheduler = new optim.lrScheduler.CyclicLR(optimizer, 0.25, 0.75, 2, { cycleMomentum: false });
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CyclicLR.html
 */
export class CyclicLR extends LRScheduler {
  maxLrs: number[];
  totalSize: number;
  stepRatio: number;
  mode: CyclicMode;
  gamma: number;
  scaleMode: "cycle" | "iterations";
  cycleMomentum: boolean;
  useBeta1?: boolean;
  baseMomentums?: number[];
  maxMomentums?: number[];
  private readonly scaleFn: ((x: number) => number) | null;

  constructor(optimizer: Optimizer, options: CyclicLROptions);
  constructor(
    optimizer: Optimizer,
    baseLr: PerGroup,
    maxLr: PerGroup,
    options?: Omit<CyclicLROptions, "baseLr" | "maxLr">,
  );
  constructor(
    optimizer: Optimizer,
    ...options: Call<
      CyclicLROptions,
      "baseLr maxLr stepSizeUp stepSizeDown mode gamma scaleFn scaleMode cycleMomentum baseMomentum maxMomentum lastEpoch"
    >
  );
  constructor(named: WithOptimizer<CyclicLROptions>);
  constructor(...args: readonly unknown[]) {
    const [optimizer, ...rest] = ofOptimizer(args);
    super(optimizer, null);
    const options = bind<CyclicLROptions>("CyclicLR", rest, {
      baseLr: REQUIRED,
      maxLr: REQUIRED,
      stepSizeUp: 2000,
      stepSizeDown: null,
      mode: "triangular",
      gamma: 1,
      scaleFn: null,
      scaleMode: "cycle",
      cycleMomentum: true,
      baseMomentum: 0.8,
      maxMomentum: 0.9,
      lastEpoch: -1,
    });
    const { mode, scaleFn, stepSizeUp, lastEpoch } = options;
    const groups = optimizer.paramGroups;
    const baseLrs = perGroup("base_lr", optimizer, options.baseLr);
    if (lastEpoch === -1) groups.forEach((group, i) => (group.lr = baseLrs[i]!));
    this.maxLrs = perGroup("max_lr", optimizer, options.maxLr);
    this.totalSize = stepSizeUp + (options.stepSizeDown ?? stepSizeUp);
    this.stepRatio = stepSizeUp / this.totalSize;
    require(scaleFn !== null ||
      ["triangular", "triangular2", "exp_range"].includes(mode), "mode is invalid and scale_fn is None");
    this.mode = mode;
    this.gamma = options.gamma;
    this.scaleFn = scaleFn;
    this.scaleMode = options.scaleMode;
    if (scaleFn === null) this.scaleMode = mode === "exp_range" ? "iterations" : "cycle";
    this.cycleMomentum = options.cycleMomentum;
    if (this.cycleMomentum) {
      this.useBeta1 = usesBeta1(optimizer);
      this.baseMomentums = perGroup("base_momentum", optimizer, options.baseMomentum);
      this.maxMomentums = perGroup("max_momentum", optimizer, options.maxMomentum);
      if (lastEpoch === -1) startMomenta(optimizer, this.baseMomentums, this.maxMomentums);
    }
    this.start(lastEpoch);
    this.baseLrs = baseLrs;
  }

  private scale(x: number): number {
    if (this.scaleFn !== null) return this.scaleFn(x);
    if (this.mode === "triangular") return 1;
    return this.mode === "triangular2" ? 1 / 2 ** (x - 1) : this.gamma ** x;
  }

  getLr(): number[] {
    const { lastEpoch, totalSize, stepRatio, maxLrs } = this;
    const cycle = Math.floor(1 + lastEpoch / totalSize);
    const x = 1 + lastEpoch / totalSize - cycle;
    const height = x <= stepRatio ? x / stepRatio : (x - 1) / (stepRatio - 1);
    const scale = (): number => this.scale(this.scaleMode === "cycle" ? cycle : lastEpoch);
    const rates = this.baseLrs.map((lr, i) => lr + (maxLrs[i]! - lr) * height * scale());
    if (this.cycleMomentum) {
      this.optimizer.paramGroups.forEach((group, i) => {
        const [base, max] = [this.baseMomentums![i]!, this.maxMomentums![i]!];
        setMomentum(group, max - (max - base) * height * scale());
      });
    }
    return rates;
  }

  override stateDict(): SchedulerStateDict {
    const { scale_fn: _, ...state } = super.stateDict();
    return { ...state, _scale_fn_custom: null };
  }
}
