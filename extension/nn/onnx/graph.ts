import { TensorError } from "../../tensor/core/errors.ts";
import { cat } from "../../tensor/functions/shape/shape.ts";
import { narrow } from "../../tensor/functions/shape/parts.ts";
import type { OnnxGraph, OnnxSize, OnnxValue } from "../../tensor/lowering/onnx.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import type { Module } from "../module/module.ts";
import { Draft } from "./draft.ts";
import { written, type Axis } from "./dynamic.ts";
import { recordModel, withTensors, type ModelArguments, type Named, type Recording } from "./recording.ts";

/** Options of `torch.onnx.export`; their names are PyTorch's. */
export interface OnnxOptions {
  /** Names of the graph's inputs, in the order of the tensors in `args`. */
  inputNames?: readonly string[];
  /** Names of the graph's outputs. */
  outputNames?: readonly string[];
  /**
   * By input, the dimension whose size may vary, and a name for it: `{ input: { 0: "batch" } }`. Only one size may
   * vary; several inputs may have it.
   */
  dynamicAxes?: Readonly<Record<string, Readonly<Record<number, string>>>>;
}

/**
 * A model's graph as ONNX has it, recorded by calling it once, or twice where a size is free.
 * @throws TensorError for what can't be exported, naming op and module
 */
export function onnxGraph(model: Module, args: ModelArguments, options: OnnxOptions = {}): OnnxGraph {
  const { inputNames, outputNames, dynamicAxes = {} } = options;
  const list = args instanceof Tensor ? [args] : args;
  const recording = recordModel(model, list, inputNames, outputNames);
  const axes = axesOf(recording, dynamicAxes);
  const first = new Draft(recording);
  if (axes === undefined)
    return assemble(model, recording, recording, {
      ...written(first, undefined, undefined),
      values: described(first.results, first.results, undefined),
    });
  const dims = new Map(axes.inputs.map(({ index, dim }) => [index, dim]));
  let index = 0;
  const longer = withTensors(list, (tensor) => {
    const dim = dims.get(index++);
    return dim === undefined ? tensor : cat([tensor, narrow(tensor, dim, 0, 1)], dim);
  }) as readonly unknown[];
  const other = recordModel(model, longer, inputNames, outputNames);
  const larger = new Draft(other);
  const graph = written(first, larger, axes);
  const values = described(first.results, larger.results, axes.name).filter((_value, i) =>
    multiples(first.results[i]!, larger.results[i]!, axes.size),
  );
  return assemble(model, recording, other, { ...graph, values }, axes.name);
}

interface Axes extends Axis {
  readonly name: string;
  readonly inputs: readonly { readonly index: number; readonly dim: number }[];
}

function axesOf({ inputs }: Recording, given: NonNullable<OnnxOptions["dynamicAxes"]>): Axes | undefined {
  const found = Object.entries(given).flatMap(([input, dims]) =>
    Object.entries(dims).map(([dim, name]) => ({ input, dim: Number(dim), name })),
  );
  const [first] = found;
  if (first === undefined) return undefined;
  const places = found.map(({ input, dim, name }) => {
    const index = inputs.findIndex((one) => one.name === input);
    const size = inputs[index]?.value.shape[dim];
    if (size === undefined)
      throw new TensorError(
        "value",
        index < 0
          ? `torch.onnx.export(): dynamicAxes names ${input}, but the inputs are ${inputs.map((one) => one.name).join(", ")}`
          : `torch.onnx.export(): dynamicAxes names dimension ${dim} of ${input}, which has ${inputs[index]!.value.shape.length} dimensions`,
      );
    if (name !== first.name)
      throw new TensorError(
        "unsupported",
        `torch.onnx.export(): one size can be free, not both ${first.name} and ${name}`,
      );
    return { index, dim, size };
  });
  const { size } = places[0]!;
  if (places.some((place) => place.size !== size))
    throw new TensorError("value", `torch.onnx.export(): the inputs differ in ${first.name}`);
  return { input: first.input, dim: first.dim, size, name: first.name, inputs: places };
}

function assemble(
  model: Module,
  { inputs, outputs }: Recording,
  other: Recording,
  graph: Pick<OnnxGraph, "nodes" | "initializers" | "values">,
  axis?: string,
): OnnxGraph {
  // A rule may return what it was given: an input or a weight.
  const given = new Set(graph.nodes.flatMap((node) => node.outputs));
  const values = new Map(graph.values.filter(({ name }) => given.has(name)).map((one) => [one.name, one]));
  return {
    name: model.constructor.name,
    inputs: described(inputs, other.inputs, axis),
    outputs: described(outputs, other.outputs, axis),
    ...graph,
    values: [...values.values()],
  };
}

/** Whether each size that follows the free one is a multiple of it, so that a name says it exactly. */
const multiples = (one: Named, twin: Named, size: number): boolean =>
  one.name === twin.name &&
  one.value.shape.every((extent, d) => {
    const factor = twin.value.shape[d]! - extent;
    return factor === 0 || extent === factor * size;
  });

/**
 * Returns the names, types and sizes of a graph's inputs or outputs.
 * @param twins the same values where the free dimension is larger by 1
 * @param axis name of the free dimension
 */
export function described(
  values: readonly Named[],
  twins: readonly Named[],
  axis: string | undefined,
): OnnxValue[] {
  return values.map(({ name, value: { dtype, shape } }, i) => ({
    name,
    dtype,
    shape: shape.map((size, d): OnnxSize => {
      const factor = twins[i]!.value.shape[d]! - size;
      if (factor === 0 || axis === undefined) return size;
      return factor === 1 ? axis : `${factor}*${axis}`;
    }),
  }));
}
