import { TensorError } from "../../../tensor/core/errors.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import { py, snakeCase } from "../../module/repr.ts";
import { require, type Optimizer } from "../optimizer.ts";
import { camelCase } from "../groups.ts";
import {
  LRScheduler,
  perGroup,
  requireInteger,
  setMomentum,
  startMomenta,
  usesBeta1,
  type PerGroup,
  type SchedulerStateDict,
  ofOptimizer,
  type WithOptimizer,
} from "./base.ts";

type LrBound = "initialLr" | "maxLr" | "minLr";
type MomentumBound = "baseMomentum" | "maxMomentum";

/** A part of the cycle, up to a step: which bounds of a group the rate and the momentum go between. */
interface Phase {
  readonly endStep: number;
  readonly lr: readonly [start: LrBound, end: LrBound];
  readonly momentum: readonly [start: MomentumBound, end: MomentumBound];
}

export interface OneCycleLROptions {
  /** Largest rate. */
  maxLr: PerGroup;
  /** Steps of the whole cycle; or give `epochs` and `stepsPerEpoch`. */
  totalSteps?: number | null;
  epochs?: number | null;
  stepsPerEpoch?: number | null;
  /** The part of the cycle in which the rate grows; 0.3 by default. */
  pctStart?: number;
  /** "cos" by default. */
  annealStrategy?: "cos" | "linear";
  /** Cycle the momentum (or the first of `betas`) the other way round; true by default. */
  cycleMomentum?: boolean;
  /** 0.85 by default. */
  baseMomentum?: PerGroup;
  /** 0.95 by default. */
  maxMomentum?: PerGroup;
  /** The first rate is maxLr / divFactor; 25 by default. */
  divFactor?: number;
  /** The last rate is the first / finalDivFactor; 1e4 by default. */
  finalDivFactor?: number;
  /** Back to the first rate before going to the last. */
  threePhase?: boolean;
  lastEpoch?: number;
}

/**
 * The 1cycle policy (Smith and Topin 2018, https://arxiv.org/abs/1708.07120): the rate grows from maxLr / divFactor to
 * maxLr, and falls far below where it began. Is stepped after every batch.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 0.1, momentum: 0.9 });
 * const scheduler = new optim.lrScheduler.OneCycleLR(optimizer, 0.5, { totalSteps: 100 });
 * format(scheduler.getLastLr()[0]!, ".2f"); // "0.02"
 * ```
 * @throws TensorError when stepped more often than `totalSteps`
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
 */
export class OneCycleLR extends LRScheduler {
  totalSteps: number;
  annealStrategy: "cos" | "linear";
  cycleMomentum: boolean;
  useBeta1?: boolean;
  private phases: readonly Phase[];

  constructor(optimizer: Optimizer, options: OneCycleLROptions);
  constructor(optimizer: Optimizer, maxLr: PerGroup, options?: Omit<OneCycleLROptions, "maxLr">);
  constructor(
    optimizer: Optimizer,
    ...options: Call<
      OneCycleLROptions,
      "maxLr totalSteps epochs stepsPerEpoch pctStart annealStrategy cycleMomentum baseMomentum maxMomentum divFactor finalDivFactor threePhase lastEpoch"
    >
  );
  constructor(named: WithOptimizer<OneCycleLROptions>);
  constructor(...args: readonly unknown[]) {
    const [optimizer, ...rest] = ofOptimizer(args);
    super(optimizer, null);
    const options = bind<OneCycleLROptions>("OneCycleLR", rest, {
      maxLr: REQUIRED,
      totalSteps: null,
      epochs: null,
      stepsPerEpoch: null,
      pctStart: 0.3,
      annealStrategy: "cos",
      cycleMomentum: true,
      baseMomentum: 0.85,
      maxMomentum: 0.95,
      divFactor: 25,
      finalDivFactor: 1e4,
      threePhase: false,
      lastEpoch: -1,
    });
    const { pctStart, annealStrategy, divFactor, finalDivFactor, lastEpoch } = options;
    this.totalSteps = stepsOf(options);
    this.phases = phasesOf(this.totalSteps, pctStart, options.threePhase);
    require(pctStart >= 0 &&
      pctStart <= 1, `Expected float between 0 and 1 pct_start, but got ${py(pctStart)}`);
    require(annealStrategy === "cos" ||
      annealStrategy ===
        "linear", `anneal_strategy must be one of 'cos' or 'linear', instead got ${annealStrategy}`);
    this.annealStrategy = annealStrategy;
    const maxLrs = perGroup("max_lr", optimizer, options.maxLr);
    if (lastEpoch === -1) {
      optimizer.paramGroups.forEach((group, i) => {
        group.initialLr = maxLrs[i]! / divFactor;
        group.maxLr = maxLrs[i]!;
        group.minLr = group.initialLr / finalDivFactor;
      });
    }
    this.cycleMomentum = options.cycleMomentum;
    if (this.cycleMomentum) {
      this.useBeta1 = usesBeta1(optimizer);
      const max = perGroup("max_momentum", optimizer, options.maxMomentum);
      const base = perGroup("base_momentum", optimizer, options.baseMomentum);
      if (lastEpoch === -1) startMomenta(optimizer, base, max);
    }
    this.start(lastEpoch);
  }

  private anneal(start: number, end: number, part: number): number {
    if (this.annealStrategy === "linear") return (end - start) * part + start;
    return end + ((start - end) / 2) * (Math.cos(Math.PI * part) + 1);
  }

  getLr(): number[] {
    const { lastEpoch: step, totalSteps, phases } = this;
    require(step <=
      totalSteps, `Tried to step ${step} times. The specified number of total steps is ${totalSteps}`);
    const at = phases.findIndex((p, i) => step <= p.endStep || i === phases.length - 1);
    const phase = phases[at]!;
    const start = at === 0 ? 0 : phases[at - 1]!.endStep;
    const part = (step - start) / (phase.endStep - start);
    return this.optimizer.paramGroups.map((group) => {
      if (this.cycleMomentum) {
        const [from, to] = phase.momentum;
        setMomentum(group, this.anneal(group[from]!, group[to]!, part));
      }
      const [from, to] = phase.lr;
      return this.anneal(group[from]!, group[to]!, part);
    });
  }

  override stateDict(): SchedulerStateDict {
    const phases = this.phases.map(({ endStep, lr, momentum }) => ({
      end_step: endStep,
      start_lr: snakeCase(lr[0]),
      end_lr: snakeCase(lr[1]),
      start_momentum: snakeCase(momentum[0]),
      end_momentum: snakeCase(momentum[1]),
    }));
    return { ...super.stateDict(), _schedule_phases: phases };
  }

  override loadStateDict(state: SchedulerStateDict): void {
    const { _schedule_phases: saved, ...others } = state;
    super.loadStateDict(others);
    if (saved === undefined) return;
    this.phases = (saved as Record<string, unknown>[]).map((phase) => {
      const bound = (name: string): string => camelCase(phase[name] as string);
      return {
        endStep: phase["end_step"] as number,
        lr: [bound("start_lr") as LrBound, bound("end_lr") as LrBound],
        momentum: [bound("start_momentum") as MomentumBound, bound("end_momentum") as MomentumBound],
      };
    });
  }
}

function stepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleLROptions): number {
  if (typeof totalSteps === "number") {
    requireInteger(totalSteps, 1, "positive integer total_steps");
    return totalSteps;
  }
  if (typeof epochs !== "number" || typeof stepsPerEpoch !== "number") {
    throw new TensorError("value", "You must define either total_steps OR (epochs AND steps_per_epoch)");
  }
  requireInteger(epochs, 1, "positive integer epochs");
  requireInteger(stepsPerEpoch, 1, "positive integer steps_per_epoch");
  return epochs * stepsPerEpoch;
}

function phasesOf(steps: number, pctStart: number, threePhase: boolean): Phase[] {
  const up: Phase = {
    endStep: pctStart * steps - 1,
    lr: ["initialLr", "maxLr"],
    momentum: ["maxMomentum", "baseMomentum"],
  };
  const end = steps - 1;
  if (!threePhase) {
    return [up, { endStep: end, lr: ["maxLr", "minLr"], momentum: ["baseMomentum", "maxMomentum"] }];
  }
  const down: Phase = {
    endStep: 2 * pctStart * steps - 2,
    lr: ["maxLr", "initialLr"],
    momentum: ["baseMomentum", "maxMomentum"],
  };
  return [up, down, { endStep: end, lr: ["initialLr", "minLr"], momentum: ["maxMomentum", "maxMomentum"] }];
}
