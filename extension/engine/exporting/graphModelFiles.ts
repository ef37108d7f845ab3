import { createHash } from "node:crypto";
import type { GraphAttribute, GraphNode } from "../../executors/tensorflow/graph/graphDef.ts";
import type { NamedFile } from "../../formats/writeModelFolder.ts";
import type { DType, HostArray } from "../../tensor/core/dtype.ts";
import { internal } from "../../tensor/core/errors.ts";
import type { TfType } from "../../tensor/lowering/lowering.ts";
import type { OnnxValue } from "../../tensor/lowering/onnx.ts";

/** A graph for TensorFlow.js, and the names of its inputs and outputs. */
export interface GraphModel {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly NamedNode[];
  readonly outputs: readonly NamedNode[];
}

export interface NamedNode {
  readonly node: string;
  /** Sizes that are free have a name. */
  readonly value: OnnxValue;
}

/** Names of data types in graphs, as in TensorFlow, and in TensorFlow.js's lists of weights. */
const TYPES: Record<DType, { readonly proto: string; readonly weight: string }> = {
  float32: { proto: "DT_FLOAT", weight: "float32" },
  int64: { proto: "DT_INT32", weight: "int32" },
  bool: { proto: "DT_BOOL", weight: "bool" },
  complex64: { proto: "DT_COMPLEX64", weight: "complex64" },
};

/** Bytes of a file of weights, as TensorFlow's converter has them: browsers keep files of this size. */
const SHARD = 4 * 2 ** 20;

/**
 * The files of a TensorFlow.js GraphModel: weights, then the `model.json` that names them. Files of weights are named
 * by a hash of their content, so that those of another model are never taken for its own.
 */
export function graphModelFiles({ nodes, inputs, outputs }: GraphModel): NamedFile[] {
  const weights = nodes.flatMap(({ name, attributes: { value } }) =>
    value?.kind === "tensor" ? [{ name, ...value }] : [],
  );
  const shards = sharded(weights.map(({ data }) => bytesOf(data)));
  const hash = createHash("sha256");
  for (const chunk of shards.flat()) hash.update(chunk);
  const stem = `weights-${hash.digest("hex").slice(0, 12)}`;
  const files = shards.map((chunks, i) => ({
    name: `${stem}-${i + 1}of${shards.length}.bin`,
    chunks,
  }));
  const model = {
    format: "graph-model",
    generatedBy: "Layerwise",
    convertedBy: null,
    signature: { inputs: signature(inputs), outputs: signature(outputs) },
    modelTopology: { node: nodes.map(nodeJson), versions: { producer: 1395 } },
    weightsManifest: [
      {
        paths: files.map(({ name }) => name),
        weights: weights.map(({ name, shape, dtype }) => ({ name, shape, dtype: TYPES[dtype].weight })),
      },
    ],
  };
  return [...files, { name: "model.json", chunks: [Buffer.from(JSON.stringify(model))] }];
}

const bytesOf = (data: HostArray): Uint8Array =>
  data instanceof Float64Array
    ? internal("a constant of 64-bit numbers")
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Bytes one after the other, cut into files. */
function sharded(parts: readonly Uint8Array[]): Uint8Array[][] {
  const shards: Uint8Array[][] = [];
  let free = 0;
  for (const part of parts)
    for (let at = 0; at < part.length;) {
      if (free === 0) {
        shards.push([]);
        free = SHARD;
      }
      const piece = part.subarray(at, at + free);
      shards.at(-1)!.push(piece);
      at += piece.length;
      free -= piece.length;
    }
  return shards;
}

function signature(values: readonly NamedNode[]): object {
  return Object.fromEntries(
    values.map(({ node, value: { name, dtype, shape } }) => [
      name,
      {
        name: `${node}:0`,
        dtype: TYPES[dtype].proto,
        tensorShape: shapeJson(shape.map((size) => (typeof size === "number" ? size : -1))),
      },
    ]),
  );
}

const nodeJson = ({ name, op, inputs, attributes }: GraphNode): object => ({
  name,
  op,
  ...(inputs.length === 0 ? {} : { input: inputs }),
  attr: Object.fromEntries(
    Object.entries(attributes).flatMap(([key, value]) =>
      // Weights are beside the graph.
      value.kind === "tensor" ? [] : [[key, attributeJson(value)]],
    ),
  ),
});

function typeJson(type: TfType): string {
  if (type === "long") return "DT_INT64";
  return type === "double" ? "DT_DOUBLE" : TYPES[type].proto;
}

/** An AttrValue in protobuf's JSON: 64-bit integers as texts, texts as base64. */
function attributeJson(a: Exclude<GraphAttribute, { kind: "tensor" }>): object {
  switch (a.kind) {
    case "type":
      return { type: typeJson(a.value) };
    case "int":
      return { i: String(a.value) };
    case "float":
      return { f: a.value };
    case "bool":
      return { b: a.value };
    case "string":
      return { s: Buffer.from(a.value).toString("base64") };
    case "shape":
      return { shape: shapeJson(a.value) };
    case "ints":
      return { list: { i: a.value.map(String) } };
    case "floats":
      return { list: { f: a.value } };
  }
}

const shapeJson = (shape: readonly number[]): object => ({
  dim: shape.map((size) => ({ size: String(size) })),
});
