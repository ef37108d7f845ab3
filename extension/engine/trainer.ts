import type { EvaluationResult, Progress } from "../protocol/engine.ts";
import type { Batch, Callbacks, Optimizers, StepResult, TrainContext } from "../nn/experiment.ts";
import type { Optimizer } from "../nn/optim/optimizer.ts";
import { TensorError } from "../tensor/errors.ts";
import { keep } from "../tensor/runtime.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { RunControl, StopReason } from "./control.ts";
import { batchLength, evaluate, forward, inputAndTarget } from "./evaluator.ts";
import { Means } from "./means.ts";
import { toNumber } from "./metrics.ts";
import type { Prepared } from "./prepare.ts";
import type { Reporter } from "./reporter.ts";
import { isOptimizer } from "./settings.ts";
import { Speed } from "./speed.ts";

/** Most step rows that a run writes; longer runs write means of several steps. */
const MAX_STEP_ROWS = 20_000;

/** Where a training is, for checkpoints and records. */
export interface TrainingState {
  /** Epochs completed. */
  epoch: number;
  /** Optimizer steps done. */
  step: number;
  /** The newest value of every metric. */
  metrics: Readonly<Record<string, number>>;
}

export interface TrainerHooks {
  reporter: Reporter;
  control: RunControl;
  /** Between two steps, as often as the event loop is served. */
  onYield(state: TrainingState): void;
  /** After every epoch, validated. */
  onEpoch(state: TrainingState): void;
}

/** Trains a prepared experiment: the loop of a PyTorch script, interruptible between any two steps. */
export class Trainer {
  readonly #prepared: Prepared;
  readonly #hooks: TrainerHooks;
  readonly #epochs: number;
  readonly #speed: Speed;
  readonly #stride: number;
  readonly #started = performance.now();
  /** Means of the epoch so far, and of the steps since the last row. */
  #epochMeans = new Means();
  readonly #stepMeans = new Means();
  #epoch = 0;
  #completed = 0;
  #step = 0;
  #stepInEpoch = 0;
  #samples = 0;
  #metrics: Record<string, number> = {};
  #stopReason: string | undefined;
  #warnedOfNaN = false;

  constructor(prepared: Prepared, epochs: number, hooks: TrainerHooks) {
    this.#prepared = prepared;
    this.#hooks = hooks;
    this.#epochs = epochs;
    const total = epochs * prepared.train.length;
    this.#speed = new Speed(total);
    this.#stride = Math.ceil(total / MAX_STEP_ROWS);
  }

  get state(): TrainingState {
    return { epoch: this.#completed, step: this.#step, metrics: this.#metrics };
  }

  /** Trains to the end. Answers why it ended before, or undefined when all epochs are done. */
  async run(): Promise<StopReason | undefined> {
    const { experiment, model } = this.#prepared;
    const { callbacks = {}, trainStep } = experiment.options;
    // Only the user's own code can ask for gradients after a step.
    keep.gradients = trainStep !== undefined || callbacks.onStepEnd !== undefined;
    model.train();
    await this.#call(callbacks, "onTrainStart");
    while (this.#epoch < this.#epochs && !this.#ending) {
      this.#epoch++;
      if (!(await this.#runEpoch(callbacks))) break;
    }
    await this.#call(callbacks, "onTrainEnd");
    const { reporter, control } = this.#hooks;
    if (this.#stopReason !== undefined) {
      reporter.log("info", `Ended after epoch ${this.#epoch} by a callback: ${this.#stopReason}`);
      return "callback";
    }
    return this.#completed < this.#epochs ? control.stopping : undefined;
  }

  get #ending(): boolean {
    return this.#stopReason !== undefined || this.#hooks.control.stopping !== undefined;
  }

  /** True when the epoch was completed. */
  async #runEpoch(callbacks: Callbacks): Promise<boolean> {
    const { train } = this.#prepared;
    this.#epochMeans = new Means();
    this.#stepInEpoch = 0;
    await this.#call(callbacks, "onEpochStart");
    for (const batch of train.epoch()) {
      const values = await this.#runStep(batch);
      this.#account(values, batchLength(batch));
      if (callbacks.onStepEnd !== undefined) await this.#call(callbacks, "onStepEnd");
      if (this.#hooks.control.due) await this.#yield();
      if (this.#ending && this.#stepInEpoch < train.length) return false;
    }
    await this.#validate();
    this.#completed = this.#epoch;
    const values = { ...this.#metrics };
    this.#hooks.reporter.row({
      kind: "epoch",
      step: this.#step,
      epoch: this.#epoch,
      time: this.#time,
      values,
    });
    this.#report();
    this.#hooks.onEpoch(this.state);
    this.#hooks.reporter.flushIfDue();
    await this.#call(callbacks, "onEpochEnd");
    return true;
  }

  async #runStep(batch: Batch): Promise<Record<string, number>> {
    const { experiment, model, optimizers, loss, measures } = this.#prepared;
    const { trainStep } = experiment.options;
    if (trainStep !== undefined) {
      const step = this.#step + 1;
      const needed = loss ?? missingLoss;
      return numbers(
        await trainStep({ model, batch, loss: needed, optimizer: optimizers, epoch: this.#epoch, step }),
      );
    }
    const optimizer = single(optimizers);
    const { input, target } = inputAndTarget(batch);
    optimizer.zeroGrad();
    const output = forward(model, input);
    const value = (loss ?? missingLoss)(output, target);
    value.backward();
    optimizer.step();
    const values: Record<string, number> = { loss: toNumber(value, "loss") };
    for (const [name, measure] of measures) values[name] = measure(output, target);
    return values;
  }

  #account(values: Record<string, number>, samples: number): void {
    this.#step++;
    this.#stepInEpoch++;
    this.#samples += samples;
    this.#epochMeans.add(values, samples);
    this.#stepMeans.add(values, samples);
    this.#metrics = values;
    if (!this.#warnedOfNaN) this.#watchForNaN(values);
    if (this.#step % this.#stride !== 0) return;
    const row = this.#stepMeans.take();
    this.#hooks.reporter.row({
      kind: "step",
      step: this.#step,
      epoch: this.#epoch,
      time: this.#time,
      values: row,
    });
  }

  #watchForNaN(values: Readonly<Record<string, number>>): void {
    const bad = Object.entries(values).find(([, value]) => !Number.isFinite(value));
    if (bad === undefined) return;
    this.#warnedOfNaN = true;
    const [name, value] = bad;
    this.#hooks.reporter.log(
      "warning",
      `The ${name} is ${Number.isNaN(value) ? "NaN" : "infinite"} in step ${this.#step} (epoch ${this.#epoch}). The training goes on; a smaller learning rate, or clipped gradients, often help.`,
    );
  }

  /** Measures the validation set, when there is one, and makes the epoch's metrics of it all. */
  async #validate(): Promise<void> {
    this.#metrics = this.#epochMeans.get();
    const { validation, optimizers } = this.#prepared;
    if (validation !== undefined) {
      const result = await evaluate(this.#prepared, validation.epoch(), () => this.#tick());
      if (result !== undefined) Object.assign(this.#metrics, prefixed(result));
    }
    const rate = learningRate(optimizers);
    if (rate !== undefined) this.#metrics["lr"] = rate;
  }

  async #tick(): Promise<boolean> {
    if (this.#hooks.control.due) await this.#yield();
    return this.#hooks.control.stopping === undefined;
  }

  async #yield(): Promise<void> {
    this.#report();
    this.#hooks.onYield(this.state);
    this.#hooks.reporter.flushIfDue();
    await this.#hooks.control.yield();
  }

  get #time(): number {
    return (performance.now() - this.#started) / 1000 - this.#hooks.control.pausedSeconds;
  }

  #report(): void {
    const progress: Progress = {
      epoch: this.#epoch,
      epochs: this.#epochs,
      stepInEpoch: this.#stepInEpoch,
      stepsPerEpoch: this.#prepared.train.length,
      ...this.#speed.measure(this.#time, this.#samples, this.#step),
      metrics: this.#completed === this.#epoch ? this.#metrics : this.#epochMeans.get(),
    };
    this.#hooks.reporter.progress(progress);
  }

  async #call(callbacks: Callbacks, name: keyof Callbacks): Promise<void> {
    const callback = callbacks[name];
    if (callback === undefined) return;
    const { model, optimizers } = this.#prepared;
    const context: TrainContext = {
      model,
      optimizer: optimizers,
      epoch: this.#epoch,
      epochs: this.#epochs,
      step: this.#step,
      metrics: this.#metrics,
      stop: (reason = `stop() in ${name}`) => {
        this.#stopReason ??= reason;
      },
    };
    await callback(context);
  }
}

function missingLoss(): Tensor {
  throw new TensorError("value", "experiment(): the trainStep calls loss, but the experiment has none");
}

/** The one optimizer of an experiment without a step of its own. */
function single(optimizers: Optimizers): Optimizer {
  if (isOptimizer(optimizers)) return optimizers;
  throw new TensorError(
    "value",
    "experiment(): several optimizers need a trainStep, which says when each of them steps",
  );
}

/** The rate of the first parameter group, where there is one optimizer. */
function learningRate(optimizers: Optimizers): number | undefined {
  return isOptimizer(optimizers) ? optimizers.paramGroups[0]?.lr : undefined;
}

function numbers(result: StepResult): Record<string, number> {
  if (typeof result === "object" && result !== null && Object.getPrototypeOf(result) === Object.prototype) {
    const values: Record<string, number> = {};
    for (const [name, value] of Object.entries(result))
      values[name] = toNumber(value, `trainStep's "${name}"`);
    return values;
  }
  return { loss: toNumber(result, "trainStep's result") };
}

function prefixed({ metrics }: EvaluationResult): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`val_${name}`, value]));
}
