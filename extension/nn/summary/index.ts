import { COLUMN_NAMES, ROW_SETTINGS, type TableOptions } from "../../protocol/summary.ts";
import type { DType } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { rand } from "../../tensor/functions/creation/random.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, type Signature } from "../arguments.ts";
import { withMode } from "../module/modes.ts";
import type { Module } from "../module/module.ts";
import { print } from "../print.ts";
import { snakeCase } from "../module/repr.ts";
import { CallRecorder } from "./recorder.ts";
import { DEFAULTS, ModelStatistics } from "./statistics.ts";
import { OF_CALLS, type ColumnName, type RowSetting } from "./table.ts";

export type { LayerInfo } from "./layerInfo.ts";
export type { ModelStatistics } from "./statistics.ts";
export type { ColumnName, RowSetting } from "./table.ts";

type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;

/** Shape of an input with its batch, or shapes of several. */
export type InputSize = Shape | readonly Shape[];

/** Options of {@link summary}: how it calls a model, and what it shows. */
export interface SummaryOptions {
  /** Shape of the input with its batch, `[32, 10]`; several for several arguments. */
  inputSize?: InputSize | null;
  /** The input itself: a tensor, or a list of `forward`'s arguments. Only shapes and types matter. */
  inputData?: Tensor | readonly unknown[] | null;
  /** Position at which shapes without a batch get one of size 1. Default: shapes include their batch. */
  batchDim?: number | null;
  /** Types of the inputs of `inputSize`. Default: float32. */
  dtypes?: readonly DType[] | null;
  /** Default: `["output_size", "num_params"]`; without an input, `["num_params"]`. */
  colNames?: readonly (ColumnName | Camel<ColumnName>)[] | null;
  /** Default 25. */
  colWidth?: number;
  /** Modules deeper than this have no row of their own. Default 3. */
  depth?: number;
  /** Default: `["depth"]`. */
  rowSettings?: readonly (RowSetting | Camel<RowSetting>)[];
  /** 0: returned, not printed; 1: printed; 2: with every weight. Default 1. */
  verbose?: 0 | 1 | 2;
  /** How the model is called. Default "eval". */
  mode?: "train" | "eval";
  /** Counts as torchinfo does, mistakes included. Default false. */
  torchinfo?: boolean;
}

/**
 * torchinfo's summary of a model: its layers with the shapes that pass between them, parameters, multiply-adds and
 * memory. The model is called, but nothing is computed and no weight is allocated.
 *
 * ```ts
 * const model = new nn.Sequential(new nn.Linear(10, 5), new nn.ReLU(), new nn.Linear(5, 2));
 * summary(model, { inputSize: [32, 10] });
 * ```
 *
 * Multiply-adds are those of weights, biases and matrix products, for the whole batch. Where torchinfo (1.8) miscounts,
 * this doesn't: a linear or normalising layer of a sequence counts at all its steps, attention counts its products, an
 * embedding none; a parameter that two modules share counts once. `{ torchinfo: true }` gives torchinfo's numbers.
 *
 * `inputSize` draws its input from torch's random numbers, as torchinfo does.
 *
 * @throws TensorError for options that don't fit together; and what `forward` throws
 */
export function summary(model: Module, options?: SummaryOptions): ModelStatistics;
export function summary(
  model: Module,
  inputSize: InputSize,
  options?: Omit<SummaryOptions, "inputSize">,
): ModelStatistics;
export function summary(model: Module, ...args: unknown[]): ModelStatistics {
  const given = bind<SummaryOptions>("summary", args, SIGNATURE);
  const input = inputOf(given);
  const colNames = chosen("colNames", COLUMN_NAMES, given.colNames ?? DEFAULTS.colNames);
  check(given);
  const options: TableOptions = {
    ...given,
    colNames,
    rowSettings: chosen("rowSettings", ROW_SETTINGS, given.rowSettings),
  };
  const recorder = new CallRecorder(model, given.batchDim ?? undefined);
  if (input !== null) call(recorder, input, given.mode);
  const result = new ModelStatistics(recorder, options);
  if (given.verbose > 0) print(result);
  return result;
}

const SIGNATURE: Signature<SummaryOptions> = {
  inputSize: null,
  inputData: null,
  batchDim: null,
  colNames: null,
  colWidth: DEFAULTS.colWidth,
  depth: DEFAULTS.depth,
  dtypes: null,
  mode: "eval",
  rowSettings: DEFAULTS.rowSettings,
  verbose: 1,
  torchinfo: false,
};

type Given = ReturnType<typeof bind<SummaryOptions>>;

/** Names of columns or settings, each as torchinfo writes it. */
function chosen<T extends string>(option: string, known: readonly T[], names: readonly string[]): T[] {
  return names.map((name) => {
    const found = known.find((one) => one === snakeCase(name));
    if (found !== undefined) return found;
    throw new TensorError(
      "value",
      `summary(): expected ${option} to be of ${known.join(", ")}, got "${name}"`,
    );
  });
}

function check({ inputSize, inputData, colNames, colWidth, verbose, mode }: Given): void {
  const fail = (message: string): never => {
    throw new TensorError("value", message);
  };
  if (colWidth <= 0) fail(`Column width must be greater than 0: colWidth=${colWidth}`);
  if (![0, 1, 2].includes(verbose)) fail("Verbose must be either 0 (quiet), 1 (default), or 2 (verbose).");
  if (mode !== "train" && mode !== "eval") fail(`Specified model mode not recognized: ${String(mode)}`);
  if (inputSize !== null && inputData !== null)
    fail("Only one of (inputData, inputSize) should be specified.");
  const shown = (colNames ?? []).filter((name) => OF_CALLS.some((one) => one === snakeCase(name)));
  if (inputSize === null && inputData === null && shown.length > 0)
    fail(`You must pass inputData or inputSize in order to use columns: ${shown.join(", ")}`);
}

/** Returns the arguments of `forward`; null if it is not called. */
function inputOf({ inputSize, inputData, batchDim, dtypes }: Given): readonly unknown[] | null {
  if (inputData !== null) return isList(inputData) ? inputData : [inputData];
  if (inputSize === null) return null;
  if (inputSize.length === 0 || inputSize.flat().some((size) => size <= 0))
    throw new TensorError("value", "Input_data is invalid, or negative size found in input_data.");
  return (isShape(inputSize) ? [inputSize] : inputSize).map((size, i) =>
    rand(batchDim === null ? size : size.toSpliced(batchDim, 0, 1)).to(dtypes?.[i] ?? "float32"),
  );
}

const isList = (x: unknown): x is readonly unknown[] => Array.isArray(x);
const isShape = (x: InputSize): x is Shape => typeof x[0] === "number";

/** Calls the model as `mode` says, and leaves every module in the mode in which it was. */
function call(recorder: CallRecorder, input: readonly unknown[], mode: "train" | "eval"): void {
  const { model } = recorder;
  const forward = model as unknown as (...input: readonly unknown[]) => unknown;
  withMode(model, mode, () => recorder.recordSync(() => noGrad(() => forward(...input))));
}
