import fs from "node:fs";
import { loadExecutor } from "../executors/index.ts";
import { encodeOnnx } from "../formats/onnx.ts";
import { writeAtomic } from "../formats/writeAtomic.ts";
import { onnxGraph } from "../nn/onnx/graph.ts";
import type { ExportFormat, ExportRequest, ExportResult } from "../protocol/engine.ts";
import type { UserError } from "../protocol/errors.ts";
import { expand, unsqueeze } from "../tensor/functions/shape.ts";
import type { OnnxGraph, OnnxValue } from "../tensor/onnx.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { inputsAndTarget } from "./evaluator.ts";
import { findExperiment } from "./exports.ts";
import { describeFileError } from "./files.ts";
import { library } from "./library.ts";
import { loadLimit } from "./loadLimit.ts";
import { prepare } from "./prepare.ts";
import { EngineError } from "./userErrors.ts";
import { loadUserModule } from "./userModule.ts";
import type { Watchdog } from "./watchdog.ts";
import { randomSeed, readWeights } from "./weights.ts";

const ENCODERS: Record<ExportFormat, (graph: OnnxGraph) => Uint8Array> = {
  onnx: encodeOnnx,
};

/** The size that is free unless the request says otherwise. */
const BATCH = "batch";

/**
 * Writes an experiment's model with the weights of a checkpoint, for inputs like its data's.
 * @param tell what is being done
 * @param failed told when the file's code hangs, as the last word
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
  const { experiment } = findExperiment(module, exportName);
  tell("Making the model and its data …");
  const { model, train } = await prepare(
    experiment,
    seed ?? weights.seed ?? experiment.options.seed ?? randomSeed(),
  );
  model.loadStateDict(weights.tensors);
  tell("Recording the model …");
  const { inputs } = inputsAndTarget(train.sample());
  // Two, as many layers do otherwise for one.
  const samples = inputs.map((x): Tensor => expand(unsqueeze(x, 0), [batch ?? 2, ...x.shape]));
  const names = samples.map((_, i) => (i === 0 ? "input" : `input_${i + 1}`));
  const graph = onnxGraph(model, samples, {
    inputNames: names,
    outputNames: ["output"],
    ...(batch === undefined
      ? { dynamicAxes: Object.fromEntries(names.map((name) => [name, { 0: BATCH }])) }
      : {}),
  });
  tell("Writing the file …");
  const bytes = ENCODERS[format](graph);
  try {
    writeAtomic(out, [bytes]);
  } catch (error) {
    throw new EngineError({
      code: "export",
      message: `${out} can't be written: ${describeFileError(error)}.`,
    });
  }
  const describe = ({ name, dtype, shape }: OnnxValue): ExportResult["inputs"][number] => ({
    name,
    dtype,
    shape: [...shape],
  });
  return {
    out,
    bytes: fs.statSync(out).size,
    inputs: graph.inputs.map(describe),
    outputs: graph.outputs.map(describe),
  };
}
