import type { Parameter, Tensor } from "../../tensor/core/tensor.ts";
import type { DataLoader } from "../data/loader.ts";
import type { Dataset } from "../data/dataset.ts";
import type { IterableDataset } from "../data/iterable.ts";
import type { Metric } from "../metrics/metric.ts";
import type { Module } from "../module/module.ts";
import type { LRScheduler } from "../optim/lrScheduler/base.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { SearchSpace, SettingsOf } from "./searchSpace.ts";

/** One optimizer, or several by name: `{ generator, discriminator }`. */
export type Optimizers = Optimizer | Readonly<Record<string, Optimizer>>;

/** Where batches come from: a data set, or a loader with its own way of making batches of one. */
export type DataSource = Dataset | IterableDataset | DataLoader<unknown, unknown>;

/** A data set, split already or not. */
export interface Splits {
  train: DataSource;
  /** Measured after every epoch; decides which weights are the best. */
  validation?: DataSource;
  /** For `evaluate`; never seen in training. */
  test?: DataSource;
}

export type MaybePromise<T> = T | Promise<T>;

/** A loss: a module such as `new nn.CrossEntropyLoss()`, or a function. The result is a scalar. */
export type Loss = (output: Tensor, target: Tensor) => Tensor;

/** A number that says how good an output is: the mean over the batch. */
export type MetricFunction = (output: Tensor, target: Tensor) => number | Tensor;

/**
 * Metrics known by name, exact over the whole set: `accuracy`, `top5` (any number), `precision`, `recall` and `f1`
 * (means over the classes), `mae`, `mse`, `rmse`, `r2`. More, and other averages: `metrics.*`.
 */
export type BuiltInMetric =
  | "accuracy"
  | `top${number}`
  | "precision"
  | "recall"
  | "f1"
  | "mae"
  | "mse"
  | "rmse"
  | "r2";

/** The tensors of one batch, in the order of the data set: `[input, target]`, or several inputs and the target. */
export type Batch = readonly Tensor[];

/** Argument of {@link ExperimentOptions.validationStep}. */
export interface ValidationStep<M extends Module> {
  model: M;
  batch: Batch;
  /** The experiment's loss; a call throws when it has none. */
  loss: Loss;
}

/** Argument of {@link ExperimentOptions.trainStep}. */
export interface TrainStep<M extends Module, O extends Optimizers> {
  model: M;
  batch: Batch;
  /** The experiment's loss; a call throws when it has none. */
  loss: Loss;
  optimizer: O;
  /** Counted from 1. */
  epoch: number;
  /** Optimizer steps of the run, counted from 1. */
  step: number;
}

/** Result of a `trainStep` or `validationStep`: its loss, or several values by name, which become curves. */
export type StepResult = number | Tensor | Readonly<Record<string, number | Tensor>>;

/** State of the training, for callbacks, which can also end it. */
export interface TrainContext<M extends Module = Module, O extends Optimizers = Optimizers> {
  readonly model: M;
  readonly optimizer: O;
  /** The epoch under way or just over, counted from 1; 0 before the first. */
  readonly epoch: number;
  readonly epochs: number;
  /** Optimizer steps done. */
  readonly step: number;
  /** The batch under way or just over, counted from 1 in its epoch; 0 before the first. */
  readonly batch: number;
  /** True in the validation before epoch 1. */
  readonly sanityChecking: boolean;
  /** Newest values: `loss` of the step in `onStepEnd`; means of the epoch, with `val_…`, in `onEpochEnd`. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Ends the training after this step; in `onEpochEnd`, after this epoch. The run counts as finished. */
  stop(reason?: string): void;
}

/** A checkpoint that was saved. */
export interface SavedCheckpoint {
  kind: "last" | "best" | "manual" | "final";
  /** Absolute path. */
  file: string;
  epoch: number;
  step: number;
}

/** State of callbacks, for a training that is resumed: saved with it, restored before its next step. */
export interface CallbackState {
  /** Plain data and tensors. */
  stateDict?: () => unknown;
  loadStateDict?: (state: unknown) => void;
}

/**
 * Functions called while training, in the order of Lightning's hooks. Each may be async. With a `trainStep`,
 * `onBeforeBackward`, `onAfterBackward` and `onBeforeOptimizerStep` are not called.
 */
export interface Callbacks<
  M extends Module = Module,
  O extends Optimizers = Optimizers,
> extends CallbackState {
  onSanityCheckStart?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onSanityCheckEnd?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onTrainStart?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onEpochStart?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onBatchStart?: (context: TrainContext<M, O>, batch: Batch) => MaybePromise<void>;
  /** After the loss, before its gradients. */
  onBeforeBackward?: (context: TrainContext<M, O>, loss: Tensor) => MaybePromise<void>;
  onAfterBackward?: (context: TrainContext<M, O>) => MaybePromise<void>;
  /** After the gradients of all accumulated batches, before they are clipped. */
  onBeforeOptimizerStep?: (context: TrainContext<M, O>) => MaybePromise<void>;
  /** After each optimizer step. */
  onStepEnd?: (context: TrainContext<M, O>) => MaybePromise<void>;
  /** After each batch, also one that is only accumulated. */
  onBatchEnd?: (context: TrainContext<M, O>, batch: Batch) => MaybePromise<void>;
  onValidationStart?: (context: TrainContext<M, O>) => MaybePromise<void>;
  /** With the validation's means as `val_…` in the context's metrics. */
  onValidationEnd?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onEpochEnd?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onSaveCheckpoint?: (context: TrainContext<M, O>, checkpoint: SavedCheckpoint) => MaybePromise<void>;
  onTrainEnd?: (context: TrainContext<M, O>) => MaybePromise<void>;
  /** The training failed, and ends with this error. */
  onException?: (context: TrainContext<M, O>, error: unknown) => MaybePromise<void>;
}

/** When to end a training that no longer improves. Lightning's EarlyStopping. */
export interface EarlyStoppingOptions {
  /** Watched value: `val_loss` by default, `loss` without a validation set. */
  monitor?: string;
  /** Checks without improvement after which the training ends; 3 by default. */
  patience?: number;
  /** Smaller changes are no improvement; 0 by default. */
  minDelta?: number;
  /** Whether the value should fall ("min", default) or rise. */
  mode?: "min" | "max";
  /** Ends when the value is NaN or infinite; true by default. */
  checkFinite?: boolean;
  /** Ends when the value is better than this. */
  stoppingThreshold?: number;
  /** Ends when the value is worse than this. */
  divergenceThreshold?: number;
}

/** Which weights are kept. Lightning's ModelCheckpoint. */
export interface CheckpointOptions {
  /** Value by which the best are chosen: `val_loss` by default where there is validation; without it, none are. */
  monitor?: string;
  /** Whether the value should fall ("min", default) or rise. */
  mode?: "min" | "max";
  /** How many of the best are kept; 1 by default, 0 for none, −1 for all. */
  saveTopK?: number;
  /** Whether the newest are kept while it trains; true by default. */
  saveLast?: boolean;
  /** Epochs between two checks; 1 by default. */
  everyNEpochs?: number;
  /**
   * Optimizer steps between two checks, in place of epochs; by a metric of the validation, at the first validation
   * after them.
   */
  everyNTrainSteps?: number;
  /** Training time between two checks, in place of epochs: `{ minutes: 10 }`, as `maxTime`. */
  trainTimeInterval?: MaxTime;
}

/** How a training rolls back to its last saved state when its loss is not finite. */
export interface RollbackOptions {
  /** Learning rates are multiplied by this each time, since the same steps would go wrong again; 0.5 by default. */
  lrFactor?: number;
  /** Maximum number of rollbacks; 3 by default. */
  attempts?: number;
}

/** How each layer is measured while training. Named after `wandb.watch`. */
export interface WatchOptions {
  /**
   * Optimizer steps between two measurements. By default 100, without the measurements that would cost more than 1.5 %
   * of the time so far.
   */
  logFreq?: number;
}

/** A schedule and when it is stepped. */
export interface ScheduleOptions {
  scheduler: LRScheduler;
  /** After every epoch (default), or after every optimizer step. */
  interval?: "epoch" | "step";
  /** Epochs or optimizer steps for each step of the schedule; 1 by default. */
  frequency?: number;
  /** Metric for `ReduceLROnPlateau`: `val_loss` by default, `loss` without a validation set. */
  monitor?: string;
}

type OneOrMany<T> = T | readonly T[] | Readonly<Record<string, T>>;

/** One schedule or several, each alone or with when it is stepped. */
export type Schedule = OneOrMany<LRScheduler | ScheduleOptions>;

/** Objective of a sweep. Named as in Ray Tune. */
export interface ObjectiveOptions {
  /** A metric of the curves: `val_loss` by default, `loss` without a validation set. A trial has its best epoch's value. */
  metric?: string;
  /** Whether smaller ("min") or larger values are better; by default "max" for accuracy, precision, recall, F1 and R². */
  mode?: "min" | "max";
}

/** Parameters of a function that gets the values of hyperparameters: none, in an experiment without `sweep`. */
export type Given<S extends SearchSpace> = keyof S extends never ? [] : [settings: SettingsOf<S>];

/** Options that may depend on hyperparameters: all but those whose functions get them anyway. */
export type Configuration<M extends Module, O extends Optimizers> = Partial<
  Omit<
    ExperimentOptions<M, O>,
    "seed" | "model" | "data" | "optimizer" | "lrScheduler" | "sweep" | "objective" | "configure"
  >
>;

/** Options of {@link experiment}. */
export interface ExperimentOptions<
  M extends Module = Module,
  O extends Optimizers = Optimizers,
  S extends SearchSpace = {},
> {
  /**
   * Seed of all random numbers. Without one, each run draws and records its own. Random numbers are used in the order
   * of a PyTorch script: `torch.manualSeed(seed)`, then `model()`, `optimizer(…)`, `data()`, the split of
   * `validation`, and in each epoch the order of the samples, then what `forward` draws. Draws of the file's top level
   * come before the seed. The validation before epoch 1 leaves no trace in the generator.
   */
  seed?: number;
  /**
   * Hyperparameters and the values that a sweep tries for them: `{ lr: sweep.logUniform(1e-4, 1e-1) }`. `model`, `data`,
   * `optimizer` and `lrScheduler` get their values as `settings`; outside of a sweep these are the defaults, see `sweep`.
   */
  sweep?: S;
  /** Objective of a sweep. */
  objective?: ObjectiveOptions;
  /**
   * Returns options that depend on hyperparameters: `({ batchSize, smoothing }) => ({ batchSize, loss: new
   * nn.CrossEntropyLoss({ labelSmoothing: smoothing }) })`. They replace those of the same name.
   */
  configure?: (settings: SettingsOf<S>) => Configuration<M, O>;
  /** Makes the model: `(settings) => …` in an experiment with `sweep`. */
  model: (...settings: Given<S>) => M;
  /**
   * The data set, or a function that makes it: the function runs after the seed is set, and only in a run. A sample is
   * `[input, target]`, or several inputs of `forward` and then the target; one of a single tensor is its own target
   * (an autoencoder). A `data.DataLoader` makes batches in its own way.
   */
  data: DataSource | Splits | ((...settings: Given<S>) => MaybePromise<DataSource | Splits>);
  /** Needed unless `trainStep` is there and doesn't use it. */
  loss?: Loss;
  /**
   * Makes the optimizer of the model's parameters, or several: `(_, model) => ({ a: …, b: … })`. In an experiment with
   * `sweep`: `(parameters, settings, model) => …`.
   */
  optimizer: (parameters: Parameter[], ...rest: [...settings: Given<S>, model: M]) => O;
  /**
   * Makes the learning rate's schedule: `(optimizer) => new optim.lrScheduler.StepLR(optimizer, 30)`, stepped after
   * every epoch; or `{ scheduler, interval: "step" }` for one that is stepped after every optimizer step. In an
   * experiment with `sweep`: `(optimizer, settings) => …`.
   */
  lrScheduler?: (optimizer: O, ...settings: Given<S>) => Schedule;
  /** Passes over the training data. */
  epochs: number;
  /** Samples in a step. Without it, the whole data set is one batch, as in PyTorch's first tutorials. */
  batchSize?: number;
  /** Whether each epoch has its own order of samples. Default: true when there is a `batchSize`. */
  shuffle?: boolean;
  /** Data held out for validation: a fraction of `data` (0.2), drawn by `data.randomSplit`, or a data set. */
  validation?: number | DataSource;
  /** Measured beside the loss. Default: accuracy, when the loss is `nn.CrossEntropyLoss`. */
  metrics?: readonly BuiltInMetric[] | Readonly<Record<string, MetricFunction | BuiltInMetric | Metric>>;
  /**
   * One step of your own, in place of forward, loss, backward and `optimizer.step()`: for GANs, several optimizers,
   * clipping, accumulation. All of its optimizers' steps are computed together, as one graph.
   */
  trainStep?: (step: TrainStep<M, O>) => MaybePromise<StepResult>;
  /**
   * Measures a batch in a validation or an evaluation, in place of forward, loss and metrics: for models with several
   * outputs or targets. Returns a loss, or values by name; their means over the samples are the results. No gradients
   * are recorded, and the model is in evaluation mode.
   */
  validationStep?: (step: ValidationStep<M>) => StepResult;
  /** Functions called while training, or several sets of them, called in their order. */
  callbacks?: Callbacks<M, O> | readonly Callbacks<M, O>[];
  /** Ends the training when the watched value stops improving; `true` for the defaults. */
  earlyStopping?: boolean | EarlyStoppingOptions;
  /** Which weights are kept; `false` for the final ones only. */
  checkpoints?: boolean | CheckpointOptions;
  /** Ends the training when its loss, or a weight, is NaN or infinite, saying where that came from; true by default. */
  terminateOnNan?: boolean;
  /** Then rolls back to the last saved state and continues with a smaller learning rate, a few times before it ends. */
  rollback?: boolean | RollbackOptions;
  /**
   * Computes every step op by op and checks every value, so that the first that is NaN or infinite is found at once:
   * slow, for debugging.
   */
  detectAnomaly?: boolean;
  /**
   * Checks for probable mistakes: in the data, in the untrained model, and in each layer every few steps (norm of its
   * gradient, how much of its weights a step changes, units that a ReLU never lets through). Figures go to the run's
   * `layers.jsonl`, pictures of layers' outputs to `layer-pictures.jsonl`, problems to `findings.jsonl` and the log.
   * `true` for the defaults.
   */
  watch?: boolean | WatchOptions;
  /** Clips the gradients before each step: to this norm of all together, or to ±this value. */
  gradientClipVal?: number;
  /** "norm" (default) or "value". */
  gradientClipAlgorithm?: "norm" | "value";
  /** Batches whose gradients are added up for one optimizer step, each loss divided by their number; 1 by default. */
  accumulateGradBatches?: number;
  /** Trains and validates on that many first batches (or that fraction of them) only, in the set's order. */
  overfitBatches?: number;
  /** One epoch of that many batches (`true`: one), to see whether everything runs. Keeps no weights. */
  fastDevRun?: boolean | number;
  /** Batches of an epoch: a whole number, or a fraction below 1. All by default. */
  limitTrainBatches?: number;
  /** Batches of a validation: a whole number, or a fraction below 1; 0 for no validation. All by default. */
  limitValBatches?: number;
  /** Batches validated before epoch 1, so that a mistake there shows at once; 2 by default, −1 for all, 0 for none. */
  numSanityValSteps?: number;
  /** Validates within an epoch too: after every that many batches, or after that fraction of an epoch. */
  valCheckInterval?: number;
  /** Validates after every that many epochs; 1 by default. */
  checkValEveryNEpoch?: number;
  /** Ends after that many optimizer steps. */
  maxSteps?: number;
  /** Ends after that time: seconds, `"DD:HH:MM:SS"`, or `{ days, hours, minutes, seconds }`. */
  maxTime?: MaxTime;
  /** Epochs that no callback and no early stopping cuts short. */
  minEpochs?: number;
  /** Optimizer steps that no callback and no early stopping cuts short. */
  minSteps?: number;
  /** Names of the classes, in the order of their numbers. */
  classes?: readonly string[];
  /** Every how many epochs the command line prints a line. Default: ten lines a run. */
  logEvery?: number;
  /** Whether the run's directory gets an event file too: `tensorboard --logdir .layerwise/runs`. Default: false. */
  tensorboard?: boolean;
}

export type MaxTime =
  | number
  | string
  | { readonly days?: number; readonly hours?: number; readonly minutes?: number; readonly seconds?: number };
