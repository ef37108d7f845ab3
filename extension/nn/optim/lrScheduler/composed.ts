// Schedules made of schedules: one after the other, or all at once.
import { TensorError } from "../../../tensor/core/errors.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import { require, type Optimizer } from "../optimizer.ts";
import { countUpTo, LRScheduler, type SchedulerStateDict, ofOptimizer, type WithOptimizer } from "./base.ts";
import { ReduceLROnPlateau } from "./plateau.ts";

/** @throws TensorError for schedules of another optimizer, and for those that want a metric */
function check(name: string, optimizer: Optimizer, schedulers: readonly LRScheduler[]): void {
  schedulers.forEach((scheduler, i) => {
    if (!(scheduler instanceof LRScheduler)) {
      throw new TensorError("value", `${name} at index ${i} should have \`optimizer\` as its attribute.`);
    }
    require(!(
      scheduler instanceof ReduceLROnPlateau
    ), `${name} does not support \`ReduceLROnPlateau\` scheduler as it requires additional kwargs to be specified when calling \`step\`, but got one at index ${i} in the given schedulers sequence.`);
    require(scheduler.optimizer ===
      optimizer, `${name} expects all schedulers to belong to the same optimizer, but got scheduler ${scheduler.constructor.name} at index ${i} has ${scheduler.optimizer.toString()}, which is different from ${optimizer.constructor.name}.`);
  });
}

abstract class Composed extends LRScheduler {
  /** @internal */
  readonly schedulers: readonly LRScheduler[];

  constructor(optimizer: Optimizer, schedulers: readonly LRScheduler[]) {
    super(optimizer, null);
    this.schedulers = [...schedulers];
  }

  getLr(): number[] {
    throw new TensorError(
      "value",
      `${this.constructor.name} can't begin at a milestone: it is made of schedules, and has no rates of its own`,
    );
  }

  override stateDict(): SchedulerStateDict {
    const { base_lrs: _, _step_count: __, _is_initial: ___, ...state } = this.ownState();
    return { ...state, _schedulers: this.schedulers.map((s) => s.stateDict()) };
  }

  override loadStateDict(state: SchedulerStateDict): void {
    const saved = state["_schedulers"] as readonly SchedulerStateDict[];
    require(saved.length ===
      this.schedulers
        .length, `loaded state dict has ${saved.length} schedulers, ${this.constructor.name} has ${this.schedulers.length}`);
    super.loadStateDict(state);
    this.schedulers.forEach((scheduler, i) => scheduler.loadStateDict(saved[i]!));
  }
}

export interface SequentialLROptions {
  schedulers: readonly LRScheduler[];
  /** Epochs at which the next schedule begins: one fewer than schedules. */
  milestones: readonly number[];
  lastEpoch?: number;
}

/**
 * One schedule after the other.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const { SequentialLR, ConstantLR, ExponentialLR } = optim.lrScheduler;
 * const parts = [new ConstantLR(optimizer, 0.5, 3), new ExponentialLR(optimizer, 0.5)];
 * const scheduler = new SequentialLR(optimizer, parts, [3]);
 * scheduler.getLastLr(); // [0.5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.SequentialLR.html
 */
export class SequentialLR extends Composed {
  private starts: readonly number[];

  constructor(optimizer: Optimizer, options: SequentialLROptions);
  constructor(
    optimizer: Optimizer,
    schedulers: readonly LRScheduler[],
    options: Omit<SequentialLROptions, "schedulers">,
  );
  constructor(optimizer: Optimizer, ...options: Call<SequentialLROptions, "schedulers milestones lastEpoch">);
  constructor(named: WithOptimizer<SequentialLROptions>);
  constructor(...args: readonly unknown[]) {
    const [optimizer, ...rest] = ofOptimizer(args);
    const { schedulers, milestones, lastEpoch } = bind<SequentialLROptions>("SequentialLR", rest, {
      schedulers: REQUIRED,
      milestones: REQUIRED,
      lastEpoch: -1,
    });
    require(schedulers.length > 0, "SequentialLR expects at least one scheduler, but got no scheduler.");
    check("SequentialLR", optimizer, schedulers);
    require(milestones.length ===
      schedulers.length -
        1, `Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got number of schedulers ${schedulers.length} and the number of milestones to be equal to ${milestones.length}`);
    super(optimizer, schedulers);
    this.starts = [...milestones];
    this.lastEpoch = lastEpoch + 1;
    // Every schedule made its initial step: undo them all, and make the first one's again.
    for (const group of optimizer.paramGroups) group.lr = group.initialLr!;
    undo(this);
    const first = this.schedulers[countUpTo(this.starts, 0)]!;
    first.initialStep();
    this.lastLr = first.getLastLr();
  }

  override step(): void {
    this.lastEpoch++;
    const at = countUpTo(this.starts, this.lastEpoch);
    const scheduler = this.schedulers[at]!;
    if (at > 0 && this.starts[at - 1] === this.lastEpoch) scheduler.updateLr(0);
    else scheduler.step();
    this.lastLr = scheduler.getLastLr();
  }
}

function undo(scheduler: LRScheduler): void {
  if (scheduler instanceof Composed) for (const part of scheduler.schedulers) undo(part);
  else scheduler.lastEpoch--;
}

interface ChainedOptions {
  /** The optimizer of the first schedule by default. */
  optimizer?: Optimizer | null;
}

/**
 * All schedules at once: each multiplies the rate by its own factor.
 *
 * ```ts
 * const optimizer = new optim.SGD(new nn.Linear(3, 1).parameters(), { lr: 1 });
 * const { ChainedScheduler, ConstantLR, ExponentialLR } = optim.lrScheduler;
 * const scheduler = new ChainedScheduler([new ConstantLR(optimizer, 0.5, 3), new ExponentialLR(optimizer, 0.5)]);
 * optimizer.step();
 * scheduler.step();
 * scheduler.getLastLr(); // [0.25]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ChainedScheduler.html
 */
export class ChainedScheduler extends Composed {
  constructor(schedulers: readonly LRScheduler[], optimizer?: Optimizer | ChainedOptions | null);
  constructor(named: ChainedOptions & { schedulers: readonly LRScheduler[] });
  constructor(...args: unknown[]) {
    const { schedulers, optimizer: given } = bind<
      Required<ChainedOptions> & { schedulers: readonly LRScheduler[] }
    >("ChainedScheduler", args, { schedulers: REQUIRED, optimizer: null });
    const first = schedulers[0];
    if (first === undefined) {
      throw new TensorError(
        "value",
        "ChainedScheduler expects at least one scheduler to be chained, but got no scheduler.",
      );
    }
    const optimizer = given ?? first.optimizer;
    check("ChainedScheduler", optimizer, schedulers);
    super(optimizer, schedulers);
    this.lastLr = this.rates();
  }

  override step(): void {
    for (const scheduler of this.schedulers) scheduler.step();
    this.lastLr = this.rates();
  }

  override stateDict(): SchedulerStateDict {
    const { last_epoch: _, ...state } = super.stateDict();
    return state;
  }
}
