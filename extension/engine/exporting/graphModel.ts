import { GraphBuilder } from "../../executors/tensorflow/graph/graphBuilder.ts";
import { tensorflowBackend } from "../../executors/backend.ts";
import type { GraphAttribute, GraphNode } from "../../executors/tensorflow/graph/graphDef.ts";
import { Lowering, type Call } from "../../executors/nhwc.ts";
import type { Module } from "../../nn/module/module.ts";
import { described } from "../../nn/onnx/graph.ts";
import { recordModel, type Recording } from "../../nn/onnx/recording.ts";
import { allocate, toHostArray, type DType, type HostArray } from "../../tensor/core/dtype.ts";
import { internal, TensorError } from "../../tensor/core/errors.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import { attr, scalar, vector, type TfRef } from "../../tensor/lowering/lowering.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { strides, type Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { forAnySize } from "./anySize.ts";
import type { GraphModel, NamedNode } from "./graphModelFiles.ts";
import { walk } from "./walk.ts";
import { WEB_OPS } from "./webOps.ts";

/**
 * Exports a model for TensorFlow.js, recorded by calling it once, or twice if its batch may be of any size.
 * @param samples arguments for a batch of a size
 * @param axis the name of the first dimension of inputs, which is free then
 * @throws TensorError for what can't be exported, naming op and module
 */
export function graphModel(
  model: Module,
  samples: (batch: number) => readonly Tensor[],
  size: number,
  names: { readonly inputs: readonly string[]; readonly outputs: readonly string[] },
  axis: string | undefined,
): GraphModel {
  const record = (batch: number): Recording =>
    recordModel(model, samples(batch), names.inputs, names.outputs);
  const recording = record(size);
  const other = axis === undefined ? recording : record(size + 1);
  const draft = new GraphModelDraft(recording);
  const nodes =
    axis === undefined
      ? draft.nodes
      : forAnySize(draft.nodes, new GraphModelDraft(other).nodes, { input: draft.inputs[0]!, dim: 0, size });
  const named = (key: "inputs" | "outputs"): NamedNode[] =>
    described(recording[key], other[key], axis).map((value, i) => ({ node: draft[key][i]!, value }));
  return { nodes, inputs: named("inputs"), outputs: named("outputs") };
}

type Constant = Extract<GraphAttribute, { kind: "tensor" }>;

/** A recorded model written with the nodes that TensorFlow.js has, for the sizes that it was recorded with. */
class GraphModelDraft {
  readonly nodes: readonly GraphNode[];
  /** Names of the nodes that are the model's inputs and outputs. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];

  /** @throws TensorError naming an op that can't be exported, and its module */
  constructor(recording: Recording) {
    const b = new WebBuilder();
    const given = new Map<Value, TfRef>();
    for (const { name, value } of recording.inputs) {
      const { shape, dtype } = value;
      const attributes = { dtype: attr.type(dtype), shape: attr.shape(shape) };
      given.set(value, b.node("Placeholder", [], attributes, name));
    }
    const backend = tensorflowBackend(b, (value) => given.get(value) ?? leaf(b, value, recording));
    const lowering = new Lowering<TfRef>({
      ...backend,
      lower: (node, refs) => b.at(node, () => backend.lower(node, refs)),
    });
    for (const node of recording.nodes) lowering.node(node);
    const outputs = recording.outputs.map(({ name, value }) =>
      b.node("Identity", [lowering.plain(value)], { T: attr.type(value.dtype) }, name),
    );
    this.inputs = [...given.values()].map(nameOf);
    this.outputs = outputs.map(nameOf);
    this.nodes = needed(b.graph, this.outputs);
  }
}

/** Attributes that have defaults in TensorFlow, but not in TensorFlow.js. */
const DEFAULTS: Readonly<Record<string, Record<string, GraphAttribute>>> = {
  Conv2D: { dilations: attr.ints([1, 1, 1, 1]) },
};

/** Writes nodes for TensorFlow.js. A transposed constant becomes a constant. */
class WebBuilder extends GraphBuilder {
  readonly portable = true;
  readonly #known = new Map<TfRef, Constant & { readonly name: string }>();
  #recorded: Call | undefined;

  /** Runs `body`, which writes the nodes of an op, under its module's name. */
  at<T>(node: Call, body: () => T): T {
    this.#recorded = node;
    try {
      return this.within(node.module === "" ? node.op.name : node.module.replaceAll(".", "/"), body);
    } finally {
      this.#recorded = undefined;
    }
  }

  override nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, GraphAttribute>,
    outputs: number,
    name?: string,
  ): ReturnType<GraphBuilder["nodes"]> {
    if (!WEB_OPS.has(op)) this.#refuse(op);
    const [first, second] = inputs.map((ref) => this.#known.get(ref));
    if (first !== undefined && second !== undefined && op === "Transpose")
      return [this.tensor(permuted(first, second.data), `${first.name}/transposed`)];
    return super.nodes(op, inputs, { ...DEFAULTS[op], ...attributes }, outputs, name);
  }

  /** Equal constants stay separate: for another batch size they may differ. */
  override constant(
    data: HostArray | readonly number[],
    shape: Shape,
    dtype: DType,
  ): ReturnType<GraphBuilder["constant"]> {
    const values = Array.isArray(data) ? toHostArray(data, dtype) : (data as HostArray);
    return this.tensor({ kind: "tensor", data: values, shape, dtype }, "constant");
  }

  tensor(value: Constant, name: string): ReturnType<GraphBuilder["constant"]> {
    const ref = super.node("Const", [], { dtype: attr.type(value.dtype), value }, name);
    this.#known.set(ref, { ...value, name });
    return ref;
  }

  #refuse(op: string): never {
    const node = this.#recorded ?? internal(`${op} outside of an op`);
    const error = new TensorError(
      "unsupported",
      `${node.op.name} can't be exported: TensorFlow.js has no ${op}`,
    );
    if (node.module !== "") error.module = node.module;
    throw error;
  }
}

const nameOf = (ref: TfRef): string => GraphBuilder.address(ref).replace(/:0$/, "");

function leaf(b: WebBuilder, value: Value, { states }: Recording): TfRef {
  const { producer, shape, dtype } = value;
  const tensor = (name: string): TfRef =>
    b.tensor({ kind: "tensor", data: valuesOf(value), shape, dtype }, name);
  switch (producer.kind) {
    case "scalar":
      return scalar(b, producer.value, dtype);
    case "fill": {
      const one = scalar(b, producer.value, dtype);
      if (shape.length === 0) return one;
      return b.node("Fill", [vector(b, shape), one], { T: attr.type(dtype), index_type: attr.type("int64") });
    }
    case "state":
      return tensor(states.get(producer.storage) ?? "state");
    case "data":
      return tensor("constant");
    case "node":
      if (value.data !== undefined) return tensor("constant");
      return refused(`an output of ${producer.op.name} that only training needs`);
    case "random":
      return refused("random numbers that forward draws");
  }
}

function refused(what: string): never {
  throw new TensorError("unsupported", `${what} can't be exported`);
}

/** Nodes that outputs need, and all placeholders, in the graph's order. */
function needed(graph: readonly GraphNode[], outputs: readonly string[]): GraphNode[] {
  const byName = new Map(graph.map((node) => [node.name, node]));
  const found = new Set(outputs);
  // The loop also visits names that are added to the set meanwhile.
  for (const name of found)
    for (const input of byName.get(name)?.inputs ?? []) found.add(input.replace(/:\d+$/, ""));
  return graph.filter(({ name, op }) => found.has(name) || op === "Placeholder");
}

function permuted({ data, shape, dtype }: Constant, order: ArrayLike<number>): Constant {
  const to = Array.from(order, (d) => shape[d]!);
  const from = strides(shape);
  const steps = Array.from(order, (d) => from[d]!);
  const result = allocate(dtype, data.length);
  walk(to, steps, 0, (i, place) => (result[i] = data[place]!));
  return { kind: "tensor", data: result, shape: to, dtype };
}
