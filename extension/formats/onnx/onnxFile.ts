/** An open ONNX file: its model, and its tensors as those of other formats. */
import { openSource } from "../byteSource.ts";
import { inParts, type SourceTensor } from "../sourceTensor.ts";
import { ExternalFiles } from "./externalData.ts";
import type { ModelGraph } from "./graphProto.ts";
import { type Fail, OnnxError, quote } from "./onnxError.ts";
import { type OnnxModel, readModel } from "./onnxModel.ts";
import type { ModelTensor } from "./tensorProto.ts";
import { elementReader } from "./tensorValues.ts";

export interface OnnxFile {
  readonly file: string;
  readonly fileBytes: number;
  readonly model: OnnxModel;
  /** Tensors with elements that can be read: initializers, constants, and those of subgraphs, with unique names. */
  readonly tensors: readonly SourceTensor[];
  /** Name among {@link tensors} of each tensor of the model. */
  readonly names: ReadonlyMap<ModelTensor, string>;
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
    const names = new Map<ModelTensor, string>();
    const tensors: SourceTensor[] = [];
    for (const [name, tensor] of uniquelyNamed(model.graph)) {
      names.set(tensor, name);
      const { shape, byteLength, type } = tensor;
      if (type.stored === undefined) continue;
      const read = elementReader(tensor, source, external, (detail) =>
        fail(`tensor ${quote(name)}: ${detail}`),
      );
      tensors.push({
        name,
        dtype: type.stored,
        shape,
        byteLength,
        read,
        parts: () => allParts(byteLength, read),
        // The format has no checksums.
        finish: function* () {},
      });
    }
    return { file: path, fileBytes: source.fileBytes, model, tensors, names, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** At least one part, so that a tensor whose elements can't be read says so. */
function* allParts(length: number, read: SourceTensor["read"]): Generator<Uint8Array> {
  if (length === 0) yield read(0, 0);
  yield* inParts(length, read);
}

/** Tensors with the names of the values that they are. */
function* uniquelyNamed(graph: ModelGraph): Generator<[string, ModelTensor]> {
  const times = new Map<string, number>();
  for (const [wanted, tensor] of tensorsOf(graph, "")) {
    let name = wanted || "unnamed";
    const before = times.get(name) ?? 0;
    times.set(name, before + 1);
    if (before > 0) name = `${name} (${before + 1})`;
    yield [name, tensor];
  }
}

/** Characters of the name of the node that a subgraph is in, before the names of all tensors inside. */
const LONGEST_PREFIX = 100;

/** Those of subgraphs and attributes have the node's name before theirs. */
function* tensorsOf({ initializers, nodes }: ModelGraph, prefix: string): Generator<[string, ModelTensor]> {
  for (const tensor of initializers) yield [prefix + tensor.name, tensor];
  for (const [i, node] of nodes.entries())
    for (const { name, tensors, graphs } of node.attributes) {
      if (tensors.length === 0 && graphs.length === 0) continue;
      const place = `${prefix}${node.name || `${node.op} ${i}`}.${name}`.slice(0, LONGEST_PREFIX);
      const constant = node.op === "Constant" && node.outputs[0] !== undefined;
      for (const tensor of tensors) yield [constant ? prefix + node.outputs[0] : place, tensor];
      for (const inner of graphs) yield* tensorsOf(inner, `${place}/`);
    }
}
