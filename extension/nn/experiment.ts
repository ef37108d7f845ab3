import { TensorError } from "../tensor/errors.ts";
import { scope } from "../tensor/scope.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import type { Dataset } from "./data/dataset.ts";
import type { Module } from "./module.ts";
import type { Optimizer } from "./optim/optimizer.ts";

/** One optimizer, or several by name: `{ generator, discriminator }`. */
export type Optimizers = Optimizer | Readonly<Record<string, Optimizer>>;

/** A data set, split already or not. */
export interface Splits {
  train: Dataset;
  /** Measured after every epoch; decides which weights are the best. */
  validation?: Dataset;
  /** For `evaluate`; never seen in training. */
  test?: Dataset;
}

type MaybePromise<T> = T | Promise<T>;

/** A loss: a module such as `new nn.CrossEntropyLoss()`, or a function. The result is a scalar. */
export type Loss = (output: Tensor, target: Tensor) => Tensor;

/** A number that says how good an output is: the mean over the batch. */
export type Metric = (output: Tensor, target: Tensor) => number | Tensor;

/** Metrics known by name. `accuracy`: how many of the classes [N] are the largest of the outputs [N, C]. */
export type BuiltInMetric = "accuracy";

/** The tensors of one batch, in the order of the data set: `[input, target]`. */
export type Batch = readonly Tensor[];

/** What a training step of the user's own is given. */
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

/** What a step of the user's own gives back: its loss, or several values by name, which become curves. */
export type StepResult = number | Tensor | Readonly<Record<string, number | Tensor>>;

/** What callbacks see and can do. */
export interface TrainContext<M extends Module = Module, O extends Optimizers = Optimizers> {
  readonly model: M;
  readonly optimizer: O;
  /** The epoch under way or just over, counted from 1; 0 before the first. */
  readonly epoch: number;
  readonly epochs: number;
  /** Optimizer steps done. */
  readonly step: number;
  /** Newest values: `loss` of the step in `onStepEnd`; means of the epoch, with `val_…`, in `onEpochEnd`. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Ends the training after this step; in `onEpochEnd`, after this epoch. The run counts as finished. */
  stop(reason?: string): void;
}

/** Functions called while training. Each may be async. */
export interface Callbacks<M extends Module = Module, O extends Optimizers = Optimizers> {
  onTrainStart?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onEpochStart?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onStepEnd?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onEpochEnd?: (context: TrainContext<M, O>) => MaybePromise<void>;
  onTrainEnd?: (context: TrainContext<M, O>) => MaybePromise<void>;
}

/** What {@link experiment} is given. */
export interface ExperimentOptions<M extends Module = Module, O extends Optimizers = Optimizers> {
  /**
   * Seed of all random numbers. Without one, each run takes another and notes it. Random numbers are used in the order
   * of a PyTorch script: `torch.manualSeed(seed)`, then `model()`, `optimizer(…)`, `data()`, the split of
   * `validation`, and in each epoch the order of the samples, then what `forward` draws. What the file's top level
   * draws comes before the seed.
   */
  seed?: number;
  /** Makes the model. */
  model: () => M;
  /**
   * The data set, or a function that makes it: the function runs after the seed is set, and only in a run. A sample is
   * `[input, target]`; one of a single tensor is its own target (an autoencoder).
   */
  data: Dataset | Splits | (() => MaybePromise<Dataset | Splits>);
  /** Needed unless `trainStep` is there and doesn't use it. */
  loss?: Loss;
  /** Makes the optimizer of the model's parameters, or several: `(_, model) => ({ a: …, b: … })`. */
  optimizer: (parameters: Parameter[], model: M) => O;
  /** Passes over the training data. */
  epochs: number;
  /** Samples in a step. Without it, the whole data set is one batch, as in PyTorch's first tutorials. */
  batchSize?: number;
  /** Whether each epoch has its own order of samples. Default: true when there is a `batchSize`. */
  shuffle?: boolean;
  /** What to hold out of `data` for measuring: a fraction (0.2), drawn by `data.randomSplit`, or a data set. */
  validation?: number | Dataset;
  /** Measured beside the loss. Default: accuracy, when the loss is `nn.CrossEntropyLoss`. */
  metrics?: readonly BuiltInMetric[] | Readonly<Record<string, Metric | BuiltInMetric>>;
  /**
   * One step of your own, in place of forward, loss, backward and `optimizer.step()`: for GANs, several optimizers,
   * clipping, accumulation.
   */
  trainStep?: (step: TrainStep<M, O>) => MaybePromise<StepResult>;
  callbacks?: Callbacks<M, O>;
  /** Names of the classes, in the order of their numbers. */
  classes?: readonly string[];
  /** Every how many epochs the command line prints a line. Default: ten lines a run. */
  logEvery?: number;
}

/** A model with its data and all that training it takes. Made by {@link experiment}; run by the engine. */
export class Experiment {
  readonly options: Readonly<ExperimentOptions>;
  /** @internal The stack of the call that made it, where stacks are kept: the preview shows it. */
  readonly site = scope.sites ? new Error("site") : undefined;

  /** @internal */
  constructor(options: ExperimentOptions) {
    this.options = options;
  }
}

/**
 * Defines what is trained, on what and how. Export it, and "Train" in the editor or `layerwise train FILE` runs it:
 *
 * ```ts
 * export default experiment({
 *   seed: 0,
 *   model: () => new SimpleNN(10, 5, 2),
 *   data: () => new data.TensorDataset(torch.randn(100, 10), torch.randint(0, 2, [100])),
 *   loss: new nn.CrossEntropyLoss(),
 *   optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
 *   epochs: 100,
 * });
 * ```
 *
 * Nothing is built or computed here. The default step is PyTorch's loop: `optimizer.zeroGrad()`, forward, loss,
 * `loss.backward()`, `optimizer.step()`.
 *
 * @throws TensorError naming the option that is missing or wrong
 */
export function experiment<M extends Module, O extends Optimizers>(
  options: ExperimentOptions<M, O>,
): Experiment {
  for (const name of ["model", "optimizer"] as const) expectFunction(name, options[name]);
  if (options.trainStep !== undefined) expectFunction("trainStep", options.trainStep);
  else if (options.loss === undefined)
    fail("loss", "a loss such as new nn.CrossEntropyLoss(), or a trainStep");
  if (options.loss !== undefined) expectFunction("loss", options.loss);
  if (options.data === undefined || options.data === null)
    fail("data", "a data set, or a function that makes one");
  expectNumber("epochs", options.epochs, 1);
  if (options.seed !== undefined && !Number.isInteger(options.seed))
    fail("seed", "a whole number", options.seed);
  if (options.batchSize !== undefined) expectNumber("batchSize", options.batchSize, 1);
  if (options.logEvery !== undefined) expectNumber("logEvery", options.logEvery, 1);
  const { validation } = options;
  if (typeof validation === "number" && !(validation > 0 && validation < 1))
    fail("validation", "a fraction between 0 and 1, or a data set", validation);
  const known = new Set<string>(OPTIONS);
  const unknown = Object.keys(options).find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new TensorError(
      "value",
      `experiment() got an unexpected option '${unknown}'`,
      `options are ${OPTIONS.join(", ")}`,
    );
  // The functions that take the model and its optimizers are only ever given those that the options' own made.
  return new Experiment(options as unknown as ExperimentOptions);
}

const OPTIONS = [
  "seed",
  "model",
  "data",
  "loss",
  "optimizer",
  "epochs",
  "batchSize",
  "shuffle",
  "validation",
  "metrics",
  "trainStep",
  "callbacks",
  "classes",
  "logEvery",
] as const satisfies readonly (keyof ExperimentOptions)[];

function expectFunction(name: string, value: unknown): void {
  if (typeof value !== "function") fail(name, "a function", value);
}

function expectNumber(name: string, value: unknown, least: number): void {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least)
    fail(name, `a whole number of at least ${least}`, value);
}

function fail(name: string, expected: string, value?: unknown): never {
  throw new TensorError("value", `experiment(): expected ${name} to be ${expected}, got ${describe(value)}`);
}

function describe(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  return typeof value === "object" && value !== null ? value.constructor.name : String(value);
}
