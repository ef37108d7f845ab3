import type { Hello } from "../engine.ts";
import type { OnnxFile, OnnxNodeDetails } from "./onnxFile.ts";
import type { TensorComparison, TensorFile } from "../tensorFile.ts";
import type { TensorStatistics, TensorValues, TensorWindow } from "../tensorValues.ts";

/** Methods of the engine that reads a file of tensors. It runs no code of it and holds only a part of it in memory. */
export interface TensorFileEngineMethods {
  open(file: string): Promise<TensorFile>;
  /** Opens an ONNX model. */
  openModel(file: string): Promise<OnnxFile>;
  /** Details of a node, by its box's id in the diagram; undefined for other boxes. */
  node(file: string, id: string): Promise<OnnxNodeDetails | undefined>;
  /** Of a tensor by its place in the file; undefined for types that are no real numbers. */
  statistics(file: string, index: number): Promise<TensorStatistics | undefined>;
  /** A part of a tensor's values. */
  window(file: string, index: number, window: TensorWindow): Promise<TensorValues>;
  compare(file: string, other: string): Promise<TensorComparison>;
  /** Cancels the current call, which fails with the code "cancelled". */
  cancel(): Promise<void>;
}

export interface TensorFileEngineEvents {
  hello(hello: Hello): void;
  /** Share done of the current call, 0 to 1. */
  progress(share: number): void;
}
