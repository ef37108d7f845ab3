import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { comparisonBytes, comparisonSteps } from "../../formats/comparison.ts";
import { statisticsSteps } from "../../formats/statistics.ts";
import { windowOfSource } from "../../formats/tensorWindow.ts";
import type { SourceTensor, TensorSource } from "../../formats/sourceTensor.ts";
import { isOnnx, openOnnx } from "../../formats/onnx/onnxFile.ts";
import { onnxTensors, openTensors } from "../../formats/tensorSource.ts";
import type { TensorComparison, TensorFile } from "../../protocol/tensorFile.ts";
import type {
  TensorFileEngineEvents,
  TensorFileEngineMethods,
} from "../../protocol/tensors/tensorFileEngine.ts";
import type { OnnxFile } from "../../protocol/tensors/onnxFile.ts";
import { TensorWindow } from "../../protocol/tensorValues.ts";
import { OnnxView } from "../files/onnxView.ts";
import { connectParent, hello } from "../host/ipc.ts";
import { EngineError } from "../../protocol/errors.ts";

/** Milliseconds between two progress events, and between two checks for cancellation. */
const INTERVAL = 100;

const open = new Map<string, TensorSource>();
/** Views of open models. */
const views = new Map<string, OnnxView>();
/** Number of the last cancelled call; all before it are cancelled too. */
let cancelled = 0;
let calls = 0;

const Path = v.string();
const Index = v.pipe(v.number(), v.integer(), v.minValue(0));

const methods: TensorFileEngineMethods = {
  open: async (path) => fileOf(source(v.parse(Path, path), true)),
  openModel: async (path): Promise<OnnxFile> => {
    const tensors = fileOf(source(v.parse(Path, path), true));
    const view = views.get(path);
    if (view === undefined) throw failure(`${path} is no ONNX model: its name doesn't end with .onnx.`);
    return { tensors, model: view.model };
  },
  node: async (path, id) => {
    source(v.parse(Path, path));
    return views.get(path)?.node(v.parse(v.string(), id));
  },
  statistics: async (path, index) => {
    const tensor = tensorAt(path, index);
    // Read twice: for the range, then for the histogram.
    return inSteps(statisticsSteps(tensor), 2 * tensor.byteLength);
  },
  window: async (path, index, window) => {
    try {
      return windowOfSource(tensorAt(path, index), v.parse(TensorWindow, window));
    } catch (error) {
      throw failure(messageOf(error));
    }
  },
  compare: async (path, otherPath): Promise<TensorComparison> => {
    const [a, b] = [source(v.parse(Path, path)), source(v.parse(Path, otherPath), true)];
    const { changes, same } = await inSteps(comparisonSteps(a, b), comparisonBytes(a, b));
    return {
      changes: changes.map((one) => structuredClone(one) as TensorComparison["changes"][number]),
      same,
    };
  },
  cancel: async () => {
    cancelled = calls;
  },
};

function tensorAt(path: unknown, index: unknown): SourceTensor {
  const tensor = source(v.parse(Path, path)).tensors[v.parse(Index, index)];
  if (tensor === undefined) throw failure(`${String(path)} has no tensor of number ${String(index)}.`);
  return tensor;
}

/** An open file; with `reopen`, its current content. */
function source(path: string, reopen = false): TensorSource {
  const known = open.get(path);
  if (known !== undefined && !reopen) return known;
  known?.close();
  open.delete(path);
  views.delete(path);
  try {
    const opened = isOnnx(path) ? openModel(path) : openTensors(path);
    open.set(path, opened);
    return opened;
  } catch (error) {
    throw failure(messageOf(error));
  }
}

/** Opens a model and makes its view, which takes a tenth as long. */
function openModel(path: string): TensorSource {
  const file = openOnnx(path);
  try {
    views.set(path, new OnnxView(file));
    return onnxTensors(file);
  } catch (error) {
    file.close();
    throw error;
  }
}

function fileOf({ file, format, fileBytes, metadata, tensors }: TensorSource): TensorFile {
  return {
    file,
    format,
    bytes: fileBytes,
    metadata: [...metadata],
    tensors: tensors.map(({ name, dtype, shape, byteLength }) => ({
      name,
      dtype,
      shape: [...shape],
      bytes: byteLength,
    })),
  };
}

/** Runs all steps; each yields the bytes it has read. */
async function inSteps<T>(steps: Generator<number, T>, total: number): Promise<T> {
  const call = ++calls;
  let done = 0;
  let told = performance.now();
  try {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      done += step.value;
      if (performance.now() - told < INTERVAL) continue;
      told = performance.now();
      parent.send("progress", Math.min(1, done / Math.max(1, total)));
      await setImmediate();
      if (call <= cancelled) throw new EngineError({ code: "cancelled", message: "Cancelled." });
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw failure(messageOf(error));
  }
}

function failure(message: string): EngineError {
  return new EngineError({ code: "file", message });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const parent = connectParent<TensorFileEngineEvents>(methods);
process.on("disconnect", () => process.exit(0));
parent.send("hello", hello("tensorFile"));
