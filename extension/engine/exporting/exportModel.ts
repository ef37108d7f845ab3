import { closeSync, lstatSync, readSync } from "node:fs";
import { basename } from "node:path";
import { loadExecutor } from "../../executors/index.ts";
import { encodeOnnx } from "../../formats/onnx/onnxWriter.ts";
import { writeAtomic } from "../../files/writeAtomic.ts";
import { writeModelFolder, type NamedFile } from "../../formats/writeModelFolder.ts";
import type { Module } from "../../nn/module/module.ts";
import { onnxGraph } from "../../nn/onnx/graph.ts";
import type { ExportFormat, ExportRequest, ExportResult } from "../../protocol/engine.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { expand, unsqueeze } from "../../tensor/functions/shape/shape.ts";
import type { OnnxValue } from "../../tensor/lowering/onnx.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { inputsAndTarget } from "../evaluation/evaluator.ts";
import { findExperiment } from "../host/exports.ts";
import { describeFileError } from "../../files/fileError.ts";
import { openRegularSync } from "../../files/regular.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { prepare } from "../training/prepare.ts";
import { loadUserModule } from "../host/userModule.ts";
import type { Watchdog } from "../host/watchdog.ts";
import { experimentOf, randomSeed, readWeights } from "../resume/startingWeights.ts";
import { graphModel } from "./graphModel.ts";
import { graphModelFiles } from "./graphModelFiles.ts";
import { encodeTypeScript, TYPESCRIPT_HEADER } from "./typescript.ts";

/** Name of the batch dimension, which has any size unless the request says otherwise. */
const BATCH = "batch";

/** A model, and the arguments it is recorded with. */
interface Subject {
  readonly model: Module;
  /** Arguments for a batch of a size. */
  readonly samples: (size: number) => readonly Tensor[];
  readonly inputNames: readonly string[];
  /** The size of its batch; any when undefined. */
  readonly batch: number | undefined;
  /** Files that the model comes from, for people. */
  readonly source: string;
}

/** A model in a format: one file's content, or a folder's files. */
interface Exported {
  readonly content: Uint8Array | readonly NamedFile[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

const OUTPUT_NAMES = ["output"];
/** Batch size of the recording if any size is allowed: not 1, for which many layers behave differently. */
const SOME = 2;

function onnx({ model, samples, inputNames, batch }: Subject): Exported {
  const dynamicAxes = Object.fromEntries(inputNames.map((name) => [name, { 0: BATCH }]));
  const graph = onnxGraph(model, samples(batch ?? SOME), {
    inputNames,
    outputNames: OUTPUT_NAMES,
    ...(batch === undefined ? { dynamicAxes } : {}),
  });
  return { ...graph, content: encodeOnnx(graph) };
}

function tfjs({ model, samples, inputNames, batch }: Subject): Exported {
  const names = { inputs: inputNames, outputs: OUTPUT_NAMES };
  const graph = graphModel(model, samples, batch ?? SOME, names, batch === undefined ? BATCH : undefined);
  return {
    content: graphModelFiles(graph),
    inputs: graph.inputs.map(({ value }) => value),
    outputs: graph.outputs.map(({ value }) => value),
  };
}

function typescript({ model, samples, inputNames, batch, source }: Subject): Exported {
  const graph = onnxGraph(model, samples(batch ?? 1), { inputNames, outputNames: OUTPUT_NAMES });
  return { ...graph, content: Buffer.from(encodeTypeScript(graph, source)) };
}

const FORMATS: Record<ExportFormat, (subject: Subject) => Exported> = { onnx, tfjs, typescript };

/**
 * Writes an experiment's model with the weights of a checkpoint, for inputs like its data's.
 * @param tell called with the current activity
 * @param failed called when the file's code hangs, as the last message
 */
export async function exportModel(
  { file, exportName, device, seed, checkpoint, format, out, batch }: ExportRequest,
  watchdog: Watchdog,
  { tell, failed }: { tell: (text: string) => void; failed: (error: UserError) => void },
): Promise<ExportResult> {
  tell("Reading the weights …");
  await loadExecutor(device);
  const weights = readWeights(checkpoint);
  const module = await watchdog.guard(loadLimit(file, failed), () => loadUserModule(file, { library }));
  const experiment = experimentOf(findExperiment(module, exportName).experiment, weights);
  tell("Making the model and its data …");
  const { model, train } = await prepare(
    experiment,
    seed ?? weights.seed ?? experiment.options.seed ?? randomSeed(),
  );
  model.loadStateDict(weights.tensors);
  tell("Recording the model …");
  const { inputs } = inputsAndTarget(train.sample());
  const { content, ...graph } = FORMATS[format]({
    model,
    samples: (size) => inputs.map((x) => expand(unsqueeze(x, 0), [size, ...x.shape])),
    inputNames: inputs.map((_, i) => (i === 0 ? "input" : `input_${i + 1}`)),
    batch,
    source: `${basename(file)} and its weights in ${basename(checkpoint)}`,
  });
  tell("Writing the file …");
  const bytes = write(out, content, format);
  const describe = ({ name, dtype, shape }: OnnxValue): ExportResult["inputs"][number] => ({
    name,
    dtype,
    shape: [...shape],
  });
  return {
    out,
    bytes,
    inputs: graph.inputs.map(describe),
    outputs: graph.outputs.map(describe),
  };
}

/** @returns bytes in all */
function write(out: string, content: Exported["content"], format: ExportFormat): number {
  if (format === "typescript") keepOthers(out);
  try {
    if (!(content instanceof Uint8Array)) return writeModelFolder(out, content);
    writeAtomic(out, [content]);
    return content.length;
  } catch (error) {
    throw new EngineError({
      code: "export",
      message: `${out} can't be written: ${describeFileError(error)}.`,
    });
  }
}

/** Refuses to overwrite a .ts file of the user's own. @throws EngineError */
function keepOthers(out: string): void {
  if (!isThere(out) || beginsWith(out, TYPESCRIPT_HEADER)) return;
  throw new EngineError({
    code: "export",
    message: `${out} is there already and was not written by Layerwise.`,
    hint: "Move it, or write to another file: --out FILE on the command line.",
  });
}

/** Whether a path exists, also as a dangling link. */
const isThere = (file: string): boolean => lstatSync(file, { throwIfNoEntry: false }) !== undefined;

/** Whether a regular file begins with a text; false for a pipe, a device or a link. */
function beginsWith(file: string, text: string): boolean {
  const bytes = Buffer.alloc(Buffer.byteLength(text));
  let descriptor: number;
  try {
    descriptor = openRegularSync(file);
  } catch {
    return false;
  }
  try {
    readSync(descriptor, bytes);
    return bytes.toString("utf8") === text;
  } finally {
    closeSync(descriptor);
  }
}
