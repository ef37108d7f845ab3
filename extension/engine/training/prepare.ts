import { Dataset, randomSplit, Subset } from "../../nn/data/dataset.ts";
import { IterableDataset } from "../../nn/data/iterable.ts";
import { DataLoader } from "../../nn/data/loader.ts";
import type {
  DataSource,
  Experiment,
  ExperimentOptions,
  Optimizers,
  Splits,
} from "../../nn/experiment/experiment.ts";
import { CrossEntropyLoss } from "../../nn/modules/loss/loss.ts";
import { Module } from "../../nn/module/module.ts";
import { demandNoCircle } from "../../nn/module/moduleMembers.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { manualSeed } from "../../tensor/functions/creation/random.ts";
import { placed } from "../host/userErrors.ts";
import { isOptimizer } from "../reporting/settings.ts";
import { Batches, datasetOf, isDataSource } from "./batches.ts";
import type { Measured } from "../evaluation/evaluator.ts";
import { measuresOf } from "./metrics.ts";
import { Schedules } from "./schedules.ts";

/** An experiment with everything made that its options describe. */
export interface Prepared extends Measured {
  experiment: Experiment;
  seed: number;
  optimizers: Optimizers;
  schedules: Schedules;
  train: Batches;
  validation: Batches | undefined;
  test: Batches | undefined;
}

/**
 * Makes an experiment's model, optimizer and data, in this order, with the random numbers of `seed`: the order of
 * PyTorch's tutorials, which `ExperimentOptions.seed` promises.
 * @throws whatever the experiment's functions throw; TensorError when they give something else than they should
 */
export async function prepare(experiment: Experiment, seed: number): Promise<Prepared> {
  try {
    return await prepared(experiment, seed);
  } catch (error) {
    throw placed(error, experiment.site);
  }
}

async function prepared(experiment: Experiment, seed: number): Promise<Prepared> {
  const { options } = experiment;
  manualSeed(seed);
  const { model, optimizers } = makeModel(options);
  const { train, validation, test } = await splits(options);
  const { batchSize, overfitBatches } = options;
  const inOrder = (source: DataSource | undefined): Batches | undefined =>
    source === undefined ? undefined : new Batches(source, { batchSize, shuffle: false });
  for (const name of ["batchSize", "shuffle"] as const)
    if (train instanceof DataLoader && options[name] !== undefined)
      throw new TensorError("value", `experiment(): ${name} has no effect on a loader, which has its own`);
  const stream = datasetOf(train) instanceof IterableDataset;
  const shuffle = options.shuffle ?? (batchSize !== undefined && !stream);
  return {
    experiment,
    seed,
    model,
    optimizers,
    schedules: new Schedules(options, optimizers, validation !== undefined && options.limitValBatches !== 0),
    loss: options.loss,
    validationStep: options.validationStep,
    measures: measuresOf(experiment, options.loss instanceof CrossEntropyLoss),
    classes: options.classes ?? classesOf(train),
    // The same few batches in every epoch, as in Lightning.
    train: new Batches(train, { batchSize, shuffle: shuffle && overfitBatches === undefined }),
    validation: inOrder(validation),
    test: inOrder(test),
  };
}

/** Makes an experiment's model, then its optimizers. @throws TensorError when its functions give something else */
export function makeModel(options: ExperimentOptions): { model: Module; optimizers: Optimizers } {
  const model: unknown = options.model();
  if (!(model instanceof Module))
    throw new TensorError("value", `experiment(): expected model() to give a module, got ${typeof model}`);
  demandNoCircle(model);
  const optimizers = options.optimizer(model.parameters(), model);
  demandOptimizers(optimizers);
  return { model, optimizers };
}

/** @throws TensorError for what can't step */
function demandOptimizers(given: unknown): void {
  const isOne = (value: unknown): boolean => value instanceof Object && isOptimizer(value as Optimizers);
  const several = typeof given === "object" && given !== null ? Object.values(given) : [];
  if (isOne(given) || (several.length > 0 && several.every(isOne))) return;
  throw new TensorError(
    "value",
    `experiment(): expected optimizer() to give an optimizer, or several by name, got ${given === null ? "null" : typeof given}`,
    "return it: optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 })",
  );
}

async function splits({ data, validation }: ExperimentOptions): Promise<Splits> {
  const given = typeof data === "function" ? await data() : data;
  const parts = asSplits(given);
  if (validation === undefined) return parts;
  if (parts.validation !== undefined)
    throw new TensorError(
      "value",
      "experiment(): the data has a validation set already, so validation is one too many",
    );
  if (typeof validation !== "number") return { ...parts, validation };
  if (!(parts.train instanceof Dataset))
    throw new TensorError(
      "value",
      "experiment(): only a data set can be split; a stream or a loader needs { train, validation }",
    );
  const [train, held] = randomSplit(parts.train, [1 - validation, validation]);
  parts.train.fit?.(train!.indices);
  return { ...parts, train: train!, validation: held! };
}

/** The names that a set has for its classes, also when only a part of it is used. */
function classesOf(source: DataSource): readonly string[] | undefined {
  const dataset = datasetOf(source);
  if (dataset instanceof Subset) return classesOf(dataset.dataset);
  const classes: unknown = Reflect.get(dataset, "classes");
  return Array.isArray(classes) ? (classes as readonly string[]) : undefined;
}

/** @throws TensorError when an experiment's data is neither a data set nor several by name */
export function asSplits(given: unknown): Splits {
  if (isDataSource(given)) return { train: given };
  const parts = given as Partial<Splits> | null | undefined;
  for (const name of ["train", "validation", "test"] as const) {
    const part: unknown = parts?.[name];
    if (isDataSource(part) || (part === undefined && name !== "train")) continue;
    throw new TensorError(
      "value",
      parts?.train === undefined
        ? "experiment(): expected data to be a data set, or { train, validation, test }"
        : `experiment(): data.${name} is no data set`,
    );
  }
  return parts as Splits;
}
