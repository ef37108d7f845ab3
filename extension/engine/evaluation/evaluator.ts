import type { EvaluationResult } from "../../protocol/engine.ts";
import type { Batch, ExperimentOptions, Loss } from "../../nn/experiment/experiment.ts";
import { withMode } from "../../nn/module/modes.ts";
import type { Module } from "../../nn/module/module.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { located, type NamedData } from "../files/dataErrors.ts";
import { decisions } from "./decisions.ts";
import { Means } from "../training/means.ts";
import { missingLoss, numbers } from "../training/stepResult.ts";
import { Measurement, toNumber, type Measure } from "../training/metrics.ts";
import { namingCalls } from "../training/userCall.ts";

/** A model, and how to measure it. */
export interface Measured {
  model: Module;
  loss: Loss | undefined;
  measures: ReadonlyMap<string, Measure>;
  classes: readonly string[] | undefined;
  /** Measures a batch in place of forward, loss and measures. */
  validationStep?: ExperimentOptions["validationStep"] | undefined;
}

/** Splits a batch: the last tensor is the target, all others are inputs; a single one is its own target. */
export function inputsAndTarget(batch: Batch): { inputs: readonly Tensor[]; target: Tensor } {
  const target = batch.at(-1);
  if (target === undefined) throw new TensorError("value", "the data set's samples have no tensors");
  return { inputs: batch.length === 1 ? batch : batch.slice(0, -1), target };
}

/** Samples in a batch: the length of its first dimension. */
export function batchLength(batch: Batch): number {
  return batch[0]?.shape[0] ?? 0;
}

/** For errors of a model that has only been called by a trainStep. */
const STEP_HINT =
  "without a validationStep, the model is called with all tensors of a batch but the last: if your trainStep calls it otherwise, write a validationStep that does the same";

/**
 * Runs a model on a batch's inputs.
 * @param hint Advice in errors of the model
 */
export function forward(model: Module, inputs: readonly Tensor[], hint?: string): Tensor {
  let output: unknown;
  try {
    output = (model as unknown as (...inputs: readonly Tensor[]) => unknown)(...inputs);
  } catch (error) {
    if (hint !== undefined && error instanceof Error) Object.assign(error, { hint });
    throw error;
  }
  if (output instanceof Tensor) return output;
  throw new TensorError(
    "value",
    `${model.constructor.name}.forward(): expected a tensor, got ${Array.isArray(output) ? "several values" : typeof output}`,
    "a model that gives something else needs a trainStep and, for its validation and evaluation, a validationStep",
  );
}

/** Data of an evaluation, and its callbacks. */
export interface Evaluation {
  batches: Iterable<Batch>;
  /** Names the batches in errors. */
  data: NamedData;
  /** Called after every batch; false ends the evaluation without a result. */
  tick: () => Promise<boolean>;
  /** Sees every batch with its output. */
  observe?: (batch: Batch, output: Tensor, target: Tensor) => void;
}

/** Runs the model over batches in evaluation mode, and measures it. */
export async function evaluate(
  measured: Measured,
  evaluation: Evaluation,
): Promise<EvaluationResult | undefined> {
  return withMode(measured.model, "eval", () => measure(measured, evaluation));
}

async function measure(
  { model, loss, measures, classes, validationStep }: Measured,
  { batches, data, tick, observe }: Evaluation,
): Promise<EvaluationResult | undefined> {
  const losses = new Means();
  const measurement = new Measurement(measures);
  const confusion = new Confusion(loss);
  let samples = 0;
  for (const [batch, place] of located(batches, data)) {
    const length = batchLength(batch);
    samples += length;
    const measureBatch = (): void => {
      if (validationStep !== undefined) {
        const given = noGrad(() => validationStep({ model, batch, loss: loss ?? missingLoss }));
        losses.add(numbers(given, "validationStep"), length);
        return;
      }
      const { inputs, target } = inputsAndTarget(batch);
      const output = noGrad(() => forward(model, inputs, loss === undefined ? STEP_HINT : undefined));
      if (loss !== undefined) {
        const value = noGrad(() => loss(output, target));
        losses.add({ loss: toNumber(value, "loss") }, length);
      }
      measurement.add(output, target);
      confusion.add(output, target);
      observe?.(batch, output, target);
    };
    await namingCalls(() => place.run(measureBatch));
    if (!(await tick())) return undefined;
  }
  const matrix = confusion.get(classes?.length);
  return {
    samples,
    metrics: { ...losses.get(), ...measurement.get() },
    ...(matrix === undefined ? {} : { confusion: matrix }),
    ...(matrix === undefined || classes === undefined ? {} : { classes: [...classes] }),
  };
}

/** Counts actual against predicted classes, as long as the batches are a classification. */
class Confusion {
  readonly #loss: Loss | undefined;
  #counts: number[][] | undefined;
  #failed = false;

  constructor(loss: Loss | undefined) {
    this.#loss = loss;
  }

  add(output: Tensor, target: Tensor): void {
    const found = this.#failed ? undefined : decisions(output, target, this.#loss);
    if (found === undefined) {
      this.#failed = true;
      return;
    }
    const { classes, predicted, actual } = found;
    this.#counts ??= Array.from({ length: classes }, () => Array.from({ length: classes }, () => 0));
    const counts = this.#counts;
    predicted.forEach((predictedClass, n) => {
      const row = counts[actual[n]!];
      if (row !== undefined) row[predictedClass]!++;
    });
  }

  /** Rows: actual, columns: predicted; undefined when this is no classification, or of another number of classes. */
  get(names: number | undefined): number[][] | undefined {
    if (this.#failed || this.#counts === undefined) return undefined;
    return names === undefined || names === this.#counts.length ? this.#counts : undefined;
  }
}
