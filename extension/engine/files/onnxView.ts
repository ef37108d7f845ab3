/** The view of a file in the editor of ONNX models. */
import { clipped } from "../../protocol/text/clip.ts";
import { type ModelGraph, type ModelNode, typeText } from "../../formats/onnx/graphProto.ts";
import type { OnnxFile } from "../../formats/onnx/onnxFile.ts";
import type { ModelTensor } from "../../formats/onnx/tensorProto.ts";
import type { OnnxModelView, OnnxNodeDetails, OnnxValue } from "../../protocol/tensors/onnxFile.ts";
import { elements, hasNumbers } from "../../formats/tensorData.ts";
import { isConstant } from "./onnxTree.ts";
import { constantsOf, onnxFlow, type OnnxFlow, parametersIn } from "./onnxFlow.ts";

/** Inputs, outputs, attributes and ops that are listed. */
const MOST_LISTED = 200;
const LONGEST_NAME = 300;
/** Elements of a constant that are shown in place. */
const MOST_ELEMENTS = 16;

const short = (text: string): string => clipped(text, LONGEST_NAME);

/** The view of an open model. */
export class OnnxView {
  readonly model: OnnxModelView;
  readonly #graph: ModelGraph;
  readonly #flow: OnnxFlow;
  readonly #constants: ReadonlyMap<string, ModelTensor>;
  /** Texts of constants that are attributes of numbers or texts, by the names of their values. */
  readonly #texts = new Map<string, string>();
  readonly #tensors: OnnxFile["tensors"];
  readonly #places: OnnxFile["places"];

  constructor({ model, tensors, places }: OnnxFile) {
    const { graph } = model;
    this.#tensors = tensors;
    this.#graph = graph;
    this.#flow = onnxFlow(graph);
    this.#constants = constantsOf(graph);
    this.#places = places;
    let parameters = 0;
    for (const tensor of places.keys()) parameters += parametersIn(tensor);
    for (const node of graph.nodes) {
      const [output] = node.outputs;
      const text = isConstant(node) ? node.attributes[0]?.text : undefined;
      if (output !== undefined && text !== undefined) this.#texts.set(output, short(text));
    }
    const listed = (values: ModelGraph["inputs"]): OnnxValue[] =>
      values
        .slice(0, MOST_LISTED)
        .map(({ name, type }) => ({ name: short(name), type: short(typeText(type)) }));
    const { inputs, outputs } = graph;
    this.model = {
      irVersion: model.irVersion,
      producer: [model.producer, model.producerVersion].filter((one) => one !== "").join(" "),
      description: model.description || graph.description,
      opsets: [...model.opsets],
      functions: model.functions
        .slice(0, MOST_LISTED)
        .map(({ name, domain }) => (domain === "" ? name : `${domain}.${name}`)),
      name: graph.name,
      inputs: listed(inputs),
      outputs: listed(outputs),
      unlisted: Math.max(0, inputs.length - MOST_LISTED) + Math.max(0, outputs.length - MOST_LISTED),
      nodes: graph.nodes.length,
      parameters,
      flow: this.#flow.flow,
      boxes: this.#flow.boxes,
    };
  }

  /** Details of a node by the id of its box; undefined for other boxes. */
  node(id: string): OnnxNodeDetails | undefined {
    const index = this.#flow.nodes.get(id);
    if (index === undefined) return undefined;
    const node = this.#graph.nodes[index]!;
    const { name, op, domain, description, attributes } = node;
    const value = (named: string): OnnxValue => this.#value(named);
    return {
      name: short(name),
      op: short(op),
      domain: short(domain),
      description,
      attributes: attributes
        .filter(({ graphs }) => graphs.length === 0)
        .slice(0, MOST_LISTED)
        .map((one) => this.#attribute(one)),
      inputs: node.inputs.slice(0, MOST_LISTED).map(value),
      outputs: node.outputs.slice(0, MOST_LISTED).map(value),
      subgraphs: attributes
        .flatMap(({ name, graphs }) => graphs.map((graph) => ({ name: short(name), ...opsOf(graph) })))
        .slice(0, MOST_LISTED),
    };
  }

  #attribute({
    name,
    text,
    tensors: [tensor],
  }: ModelNode["attributes"][number]): OnnxNodeDetails["attributes"][number] {
    const place = tensor && this.#places.get(tensor);
    const shown = tensor === undefined ? text : tensorText(tensor);
    return { name: short(name), text: shown, ...(place === undefined ? {} : { tensor: place }) };
  }

  #value(name: string): OnnxValue {
    const tensor = this.#constants.get(name);
    const value = tensor === undefined ? this.#texts.get(name) : this.#valueOf(tensor);
    const place = tensor && this.#places.get(tensor);
    const type = this.#graph.types.get(name);
    return {
      name: short(name),
      type: tensor !== undefined ? tensorText(tensor) : type === undefined ? "" : short(typeText(type)),
      ...(value === undefined ? {} : { value }),
      ...(place === undefined ? {} : { tensor: place }),
    };
  }

  /** The elements of a small tensor: sizes, axes, a factor. */
  #valueOf(tensor: ModelTensor): string | undefined {
    const place = this.#places.get(tensor);
    const source = place === undefined ? undefined : this.#tensors[place];
    if (source === undefined || tensor.elements > MOST_ELEMENTS || !hasNumbers(source.dtype))
      return undefined;
    try {
      const { name, dtype, shape } = source;
      const values = elements({ name, dtype, shape, data: source.read(0, source.byteLength) });
      const texts = Array.from(values as Iterable<number | bigint>, (one) =>
        dtype === "BOOL"
          ? String(one !== 0)
          : typeof one === "number"
            ? String(Number(one.toPrecision(7)))
            : String(one),
      );
      return shape.length === 0 ? texts[0] : `[${texts.join(", ")}]`;
    } catch {
      // The tensor's own table says what is wrong.
      return undefined;
    }
  }
}

const tensorText = ({ type, shape }: ModelTensor): string => `${type.name}[${shape.join(", ")}]`;

/** Counts the ops of a graph, subgraphs included, the most frequent first. */
function opsOf(graph: ModelGraph): Pick<OnnxNodeDetails["subgraphs"][number], "nodes" | "ops"> {
  const counts = new Map<string, number>();
  let nodes = 0;
  const visit = ({ nodes: inside }: ModelGraph): void => {
    for (const { op, attributes } of inside) {
      nodes++;
      counts.set(op, (counts.get(op) ?? 0) + 1);
      for (const { graphs } of attributes) graphs.forEach(visit);
    }
  };
  visit(graph);
  const ops = [...counts].sort(([, a], [, b]) => b - a).slice(0, MOST_LISTED);
  return { nodes, ops: ops.map(([op, times]) => [short(op), times]) };
}
