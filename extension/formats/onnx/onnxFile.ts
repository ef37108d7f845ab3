/** An open ONNX file: its model, and its tensors as those of other formats. */
import { openSource } from "../byteSource.ts";
import { inParts, type SourceTensor } from "../sourceTensor.ts";
import { ExternalFiles } from "./externalData.ts";
import type { ModelGraph } from "./graphProto.ts";
import { type Fail, OnnxError, quote } from "./onnxError.ts";
import { type OnnxModel, readModel } from "./onnxModel.ts";
import type { ModelTensor } from "./tensorProto.ts";
import { elementReader, type ReadElements } from "./tensorValues.ts";

export interface OnnxFile {
  readonly file: string;
  readonly fileBytes: number;
  readonly model: OnnxModel;
  /** Tensors with elements that can be read: initializers, constants, and those of subgraphs, with unique names. */
  readonly tensors: readonly SourceTensor[];
  /** Of each tensor of the model, its index among {@link tensors}; undefined if its elements can't be read. */
  readonly places: ReadonlyMap<ModelTensor, number | undefined>;
  close(): void;
}

/** Whether a file is an ONNX model by its name; the format has no mark of its own. */
export const isOnnx = (path: string): boolean => /\.onnx$/i.test(path);

/**
 * Opens an ONNX file, or one in memory.
 * @throws OnnxError for a damaged or hostile file; FileError, the file system's error
 */
export function openOnnx(path: string, content?: Uint8Array): OnnxFile {
  const source = openSource(content ?? path, path);
  const external = new ExternalFiles(path);
  const close = (): void => {
    source.close();
    external.close();
  };
  const fail: Fail = (detail) => {
    throw new OnnxError(detail, source);
  };
  try {
    const model = readModel(source, fail);
    const places = new Map<ModelTensor, number | undefined>();
    const tensors: SourceTensor[] = [];
    const times = new Map<string, number>();
    eachTensor(model.graph, "", (wanted, tensor) => {
      const name = uniqueName(wanted || "unnamed", times);
      const { shape, byteLength, type } = tensor;
      places.set(tensor, type.stored === undefined ? undefined : tensors.length);
      if (type.stored === undefined) return;
      // Made when it is used first: a model may have hundreds of thousands of tensors.
      let reader: ReadElements | undefined;
      const read: ReadElements = (from, to) => {
        reader ??= elementReader(tensor, source, external, (detail) =>
          fail(`tensor ${quote(name)}: ${detail}`),
        );
        return reader(from, to);
      };
      tensors.push({
        name,
        dtype: type.stored,
        shape,
        byteLength,
        read,
        parts: () => allParts(byteLength, read),
        finish: noChecksums,
      });
    });
    return { file: path, fileBytes: source.fileBytes, model, tensors, places, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The format has none. */
function* noChecksums(): Generator<never> {}

/** At least one part, so that a tensor whose elements can't be read says so. */
function* allParts(length: number, read: SourceTensor["read"]): Generator<Uint8Array> {
  if (length === 0) yield read(0, 0);
  yield* inParts(length, read);
}

/** A name with a number if others have it. */
function uniqueName(wanted: string, times: Map<string, number>): string {
  const before = times.get(wanted) ?? 0;
  times.set(wanted, before + 1);
  return before > 0 ? `${wanted} (${before + 1})` : wanted;
}

/** Characters of the name of the node that a subgraph is in, before the names of all tensors inside. */
const LONGEST_PREFIX = 100;

/** Visits tensors with the names of the values that they are. Those of subgraphs and attributes have the node's name before theirs. */
function eachTensor(
  { initializers, nodes }: ModelGraph,
  prefix: string,
  visit: (name: string, tensor: ModelTensor) => void,
): void {
  for (const tensor of initializers) visit(prefix + tensor.name, tensor);
  for (const [i, node] of nodes.entries())
    for (const { name, tensors, graphs } of node.attributes) {
      if (tensors.length === 0 && graphs.length === 0) continue;
      const place = `${prefix}${node.name || `${node.op} ${i}`}.${name}`.slice(0, LONGEST_PREFIX);
      const constant = node.op === "Constant" && node.outputs[0] !== undefined;
      for (const tensor of tensors) visit(constant ? prefix + node.outputs[0] : place, tensor);
      for (const inner of graphs) eachTensor(inner, `${place}/`, visit);
    }
}
