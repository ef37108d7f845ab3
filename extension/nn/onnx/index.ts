// PyTorch's torch.onnx: `export * as onnx from "./onnx/index.ts"`.
import { access } from "../files.ts";
import type { Module } from "../module/module.ts";
import { onnxGraph, type OnnxOptions } from "./graph.ts";
import type { ModelArguments } from "./recording.ts";

export type { OnnxOptions } from "./graph.ts";
export type { ModelArguments } from "./recording.ts";

/**
 * Writes a model to an ONNX file (opset 17), as it computes in evaluation mode:
 *
 * ```ts
 * torch.onnx.export(model, torch.zeros(1, 784), "model.onnx", { dynamicAxes: { input: { 0: "batch" } } });
 * ```
 *
 * The export records one run of `forward`: a condition on values is decided once, for `args`. Weights have the names of
 * the state dict.
 * @param args what `forward` takes: a tensor, or a list; their sizes are the graph's, but for `dynamicAxes`
 * @param file relative to the working directory, or absolute; it is replaced as a whole
 * @throws TensorError for an op that ONNX doesn't have, naming op and module; the file system's error
 */
function exportModel(model: Module, args: ModelArguments, file: string, options: OnnxOptions = {}): void {
  access("torch.onnx.export").writeOnnx(file, onnxGraph(model, args, options));
}

export { exportModel as export };
