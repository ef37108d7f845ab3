import { loadExecutor } from "../../executors/index.ts";
import { isNumber } from "../../nn/data/columns.ts";
import { predictedClasses } from "../../nn/metrics/index.ts";
import type { Batch } from "../../nn/experiment/experiment.ts";
import type { PredictRequest, Prediction } from "../../protocol/engine.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import type { Module } from "../../nn/module/module.ts";
import { tensorsIn } from "../../nn/onnx/recording.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { toHostArray } from "../../tensor/core/dtype.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { formatShape, numel } from "../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { located } from "../files/dataErrors.ts";
import { heldOut } from "./subject.ts";
import { batchLength, inputsAndTarget } from "./evaluator.ts";
import { findExperiment } from "../host/exports.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { isClassification } from "../training/metrics.ts";
import { prepare, type Prepared } from "../training/prepare.ts";
import { namingCalls } from "../training/userCall.ts";
import { loadUserModule } from "../host/userModule.ts";
import type { Watchdog } from "../host/watchdog.ts";
import { experimentOf, randomSeed, readWeights } from "../resume/startingWeights.ts";

/**
 * Predictions of an experiment's model for rows or for held-out samples.
 * @param fail Called when the file's code hangs, as the last message
 */
export async function predict(
  request: PredictRequest,
  watchdog: Watchdog,
  fail: (error: UserError) => void,
): Promise<Prediction[]> {
  await loadExecutor(request.device);
  const weights = readWeights(request.checkpoint);
  const { file, exportName, rows, table } = request;
  const module = await watchdog.guard(loadLimit(file, fail), () => loadUserModule(file, { library }));
  const experiment = experimentOf(findExperiment(module, exportName).experiment, weights);
  const seed = request.seed ?? weights.seed ?? experiment.options.seed ?? randomSeed();
  const prepared = await prepare(experiment, seed);
  prepared.model.loadStateDict(weights.tensors);
  prepared.model.eval();
  const given = table === undefined ? undefined : ofTable(prepared, table);
  if (given !== undefined) return namingCalls(() => predictBatch(prepared, given, false));
  if (rows !== undefined) {
    const batch = ofRows(prepared, rows);
    return namingCalls(() => predictBatch(prepared, batch, false));
  }
  if (table !== undefined) throw unmapped(table);
  return predictHeldOut(prepared, request.count ?? 10);
}

type Table = NonNullable<PredictRequest["table"]>;

/** Rows of a table as one batch, by the columns that the training data have; undefined where they have others. */
function ofTable({ train }: Prepared, { names, rows }: Table): Batch | undefined {
  const { inputs } = inputsAndTarget(train.sample());
  const [input] = inputs;
  if (input === undefined || inputs.length > 1) return undefined;
  const encoded: number[] = [];
  for (const [i, row] of rows.entries()) {
    const cells = new Map(names.map((name, column) => [name, row[column] ?? ""]));
    let values: readonly number[] | undefined;
    try {
      values = train.encodeCells(cells);
    } catch (error) {
      if (!(error instanceof TensorError)) throw error;
      throw new EngineError({ code: "value", message: `Row ${i + 1}: ${error.message}.` });
    }
    if (values === undefined) return undefined;
    for (const value of values) encoded.push(value);
  }
  return [fromHost(toHostArray(encoded, input.dtype), [rows.length, ...input.shape], input.dtype)];
}

/** Texts that are no numbers, in columns that the training data don't have. */
function unmapped({ names, rows }: Table): EngineError {
  const row = rows.findIndex((cells) => cells.some((cell) => !isNumber(cell)));
  const column = rows[row]?.findIndex((cell) => !isNumber(cell)) ?? 0;
  return new EngineError({
    code: "value",
    message: `Row ${row + 1}: expected a number in column ${names[column] ?? column + 1}, got "${rows[row]?.[column] ?? ""}".`,
    hint: "Texts are taken where the first line names the columns of the table that the model was trained on by data.csv.",
  });
}

/** Predicts the first samples of the data that the model was not trained on. */
async function predictHeldOut(prepared: Prepared, count: number): Promise<Prediction[]> {
  const { held, split } = heldOut(prepared);
  const predictions: Prediction[] = [];
  for (const [batch, place] of located(held.inOrder(), { set: split, train: prepared.train })) {
    const left = count - predictions.length;
    const wanted = batchLength(batch) > left ? batch.map((tensor) => firstRows(tensor, left)) : batch;
    predictions.push(...(await namingCalls(() => place.run(() => predictBatch(prepared, wanted, true)))));
    if (predictions.length >= count) break;
  }
  return predictions;
}

function firstRows(tensor: Tensor, count: number): Tensor {
  const [, ...rest] = tensor.shape;
  const values = valuesOf(tensor.value).slice(0, count * numel(rest));
  return fromHost(values, [count, ...rest], tensor.dtype);
}

/** Rows as one batch of samples like those of the training data. */
function ofRows({ train }: Prepared, rows: readonly number[][]): Batch {
  const { inputs } = inputsAndTarget(train.sample());
  const sizes = inputs.map(({ shape }) => numel(shape));
  const length = sizes.reduce((sum, size) => sum + size, 0);
  const bad = rows.findIndex((row) => row.length !== length);
  if (bad >= 0)
    throw new EngineError({
      code: "shape",
      message: `Row ${bad + 1} has ${rows[bad]!.length} values, expected ${length}: ${shapesText(inputs)}.`,
    });
  // Only a set of one input can have scaled it.
  const encoded = inputs.length === 1 ? rows.map((row) => train.encodeRow(row)) : rows;
  let start = 0;
  return inputs.map(({ shape, dtype }, i) => {
    const [from, to] = [start, (start += sizes[i]!)];
    const values = encoded.flatMap((row) => row.slice(from, to));
    return fromHost(toHostArray(values, dtype), [rows.length, ...shape], dtype);
  });
}

function shapesText(inputs: readonly Tensor[]): string {
  const shapes = inputs.map(({ shape }) => formatShape(shape)).join(", ");
  return inputs.length === 1
    ? `a sample's shape is ${shapes}`
    : `a sample's inputs are ${shapes}, one after the other`;
}

/** @param known Whether the last tensor of the batch is the target */
function predictBatch({ model, classes }: Prepared, batch: Batch, known: boolean): Prediction[] {
  const { inputs, target } = known ? inputsAndTarget(batch) : { inputs: batch, target: batch.at(-1)! };
  const given: unknown = noGrad(() => (model as unknown as (...inputs: Batch) => unknown)(...inputs));
  if (!(given instanceof Tensor)) return several(model, given, batchLength(batch));
  const output = given;
  const values = valuesOf(output.value);
  // Rows have no target: they are a classification if the classes have names.
  const labels =
    (known && isClassification(output, target)) ||
    (!known && classes?.length === output.shape[1] && output.ndim === 2)
      ? predictedClasses(output)
      : undefined;
  const width = values.length / Math.max(batchLength(batch), 1);
  const targets = known ? valuesOf(target.value) : undefined;
  const targetWidth = targets === undefined ? 0 : targets.length / Math.max(batchLength(batch), 1);
  return Array.from({ length: batchLength(batch) }, (_, n) => {
    const label = labels?.[n];
    const className = label === undefined ? undefined : classes?.[label];
    return {
      output: Array.from(values.slice(n * width, (n + 1) * width), (x) => (Number.isFinite(x) ? x : null)),
      ...(label === undefined ? {} : { label }),
      ...(className === undefined ? {} : { className }),
      ...(targets === undefined
        ? {}
        : { target: Array.from(targets.slice(n * targetWidth, (n + 1) * targetWidth)) }),
    };
  });
}

/** Of a model with several outputs: all numbers of a sample, output after output. */
function several(model: Module, given: unknown, samples: number): Prediction[] {
  const outputs = tensorsIn(given).map(({ tensor }) => tensor);
  if (outputs.length === 0 || outputs.some(({ shape }) => shape[0] !== samples))
    throw new TensorError(
      "value",
      `${model.constructor.name}.forward(): expected outputs with a row for each of the ${samples} samples`,
    );
  return Array.from({ length: samples }, (_, n) => ({
    output: outputs.flatMap(({ value, shape }) => {
      const width = numel(shape.slice(1));
      const values = valuesOf(value).slice(n * width, (n + 1) * width);
      return Array.from(values, (x) => (Number.isFinite(x) ? x : null));
    }),
  }));
}
