/** The diagram of an ONNX graph: boxes of nodes and modules, and edges with the shapes of values. */
import { clipped } from "../../protocol/text/clip.ts";
import { isParameter } from "../../formats/onnx/dataTypes.ts";
import type { ModelGraph, ModelNode, ModelType } from "../../formats/onnx/graphProto.ts";
import type { ModelTensor } from "../../formats/onnx/tensorProto.ts";
import type { FlowEdge, FlowGraph, FlowNode } from "../../protocol/flow.ts";
import type { OnnxBox } from "../../protocol/tensors/onnxFile.ts";
import { type GroupBox, isAlias, isConstant, type NodeBox, type TreeBox, treeOf } from "./onnxTree.ts";

/** Boxes that are sent to the view; modules that exceed it are drawn without their nodes. */
const MAX_BOXES = 20_000;
const MAX_EDGES = 60_000;
/** Characters of the ids of boxes, and of those that edges name. */
const MAX_CHARACTERS = 5_000_000;
/** Inputs and outputs above which they are one box, such as the caches of a language model. */
const MOST_ENDS = 16;
const LONGEST_DETAIL = 300;
const LONGEST_NAME = 200;

/** A diagram with what its boxes show. */
export interface OnnxFlow {
  flow: FlowGraph;
  boxes: OnnxBox[];
  /** Index of the node by the id of its box. */
  nodes: ReadonlyMap<string, number>;
}

/** Elements of a tensor that are parameters. */
export const parametersIn = ({ type, elements, problem }: ModelTensor): number =>
  isParameter(type.name) && (problem === undefined || Number.isSafeInteger(elements)) ? elements : 0;

export function onnxFlow(graph: ModelGraph): OnnxFlow {
  return new FlowWriter(graph).write();
}

/** Tensors by the names of the values that they are: initializers, constants, and other names of these. */
export function constantsOf({ initializers, nodes }: ModelGraph): Map<string, ModelTensor> {
  const found = new Map(initializers.map((tensor) => [tensor.name, tensor]));
  for (const node of nodes) {
    const [output] = node.outputs;
    if (output === undefined) continue;
    const tensor = isConstant(node)
      ? node.attributes[0]?.tensors[0]
      : isAlias(node, found)
        ? found.get(node.inputs[0]!)
        : undefined;
    if (tensor !== undefined) found.set(output, tensor);
  }
  return found;
}

const shapeOf = (type: ModelType | undefined): string =>
  type?.shape === undefined ? "" : `[${type.shape.join(", ")}]`;

class FlowWriter {
  readonly #graph: ModelGraph;
  readonly #constants: ReadonlyMap<string, ModelTensor>;
  readonly #nodes: FlowNode[] = [];
  readonly #boxes: OnnxBox[] = [];
  readonly #edges = new Map<string, FlowEdge>();
  /** Id of the visible box of a node, by its index. */
  readonly #owners = new Map<number, string>();
  readonly #indices = new Map<string, number>();
  readonly #paths = new Set<string>();
  #characters = 0;

  constructor(graph: ModelGraph) {
    this.#graph = graph;
    this.#constants = constantsOf(graph);
  }

  write(): OnnxFlow {
    const { inputs, outputs, nodes, types } = this.#graph;
    const sources = new Map<string, string>();
    const starts = this.#ends("input", inputs);
    inputs.forEach(({ name }, i) => sources.set(name, starts[i]!));
    this.#level(treeOf(this.#graph, this.#constants));
    for (const [index, { outputs }] of nodes.entries()) {
      const owner = this.#owners.get(index);
      if (owner !== undefined) for (const name of outputs) if (name !== "") sources.set(name, owner);
    }
    for (const [index, node] of nodes.entries()) {
      const owner = this.#owners.get(index);
      if (owner !== undefined)
        for (const name of namesRead(node)) this.#edge(sources.get(name), owner, shapeOf(types.get(name)));
    }
    const ends = this.#ends("output", outputs);
    outputs.forEach(({ name, type }, i) => this.#edge(sources.get(name), ends[i], shapeOf(type)));
    return {
      flow: { nodes: this.#nodes, edges: [...this.#edges.values()] },
      boxes: this.#boxes,
      nodes: this.#indices,
    };
  }

  /** Boxes of inputs or outputs; returns the id of each. */
  #ends(kind: "input" | "output", values: ModelGraph["inputs"]): string[] {
    if (values.length > MOST_ENDS) {
      const id = `~${kind}s`;
      this.#nodes.push({ id, kind, path: "", name: `${values.length.toLocaleString("en-US")} ${kind}s` });
      return values.map(() => id);
    }
    return values.map(({ name, type }, i) => {
      const id = `~${kind} ${i + 1}`;
      const shape = shapeOf(type);
      this.#nodes.push({
        id,
        kind,
        path: "",
        name: clipped(name, LONGEST_NAME),
        ...(shape === "" ? {} : { shape }),
      });
      return id;
    });
  }

  /** Adds boxes level by level, so that the outer ones are there when the limit is reached. */
  #level(top: readonly TreeBox[]): void {
    let level: { box: TreeBox; parent: GroupBox | undefined }[] = top.map((box) => ({
      box,
      parent: undefined,
    }));
    let count = level.length;
    let characters = 0;
    while (level.length > 0) {
      const next: typeof level = [];
      for (const { box, parent } of level) {
        if (box.kind === "node") {
          this.#addNode(box, parent);
          continue;
        }
        const length = box.children.reduce((sum, { id }) => sum + id.length, 0);
        const drawn = count + box.children.length <= MAX_BOXES && characters + length <= MAX_CHARACTERS;
        if (drawn) {
          characters += length;
          count += box.children.length;
          next.push(...box.children.map((child) => ({ box: child, parent: box })));
        } else for (const index of indicesIn(box)) this.#owners.set(index, box.id);
        this.#addGroup(box, parent, !drawn);
      }
      level = next;
    }
  }

  #addNode(box: NodeBox, parent: GroupBox | undefined): void {
    const { id, index, module } = box;
    const node = this.#graph.nodes[index]!;
    const weights = this.#weightsOf(node);
    const parameters = weights.reduce((sum, tensor) => sum + parametersIn(tensor), 0);
    const shape = shapeOf(this.#graph.types.get(node.outputs[0] ?? ""));
    const path = this.#unique(clipped(node.name || node.op, LONGEST_NAME), id);
    const isModule = module !== undefined || parameters > 0;
    this.#owners.set(index, id);
    this.#indices.set(id, index);
    this.#nodes.push({
      id,
      kind: isModule ? "module" : "op",
      path,
      name: clipped(module ?? node.op, LONGEST_NAME),
      // Of an op, only for the search.
      className: isModule ? (module === undefined ? "" : node.op) : path,
      ...(parent === undefined ? {} : { parent: parent.id }),
      ...(shape === "" ? {} : { shape }),
    });
    if (!isModule) return;
    const shapes = weights.map(({ type, shape }) => `${type.name}[${shape.join(", ")}]`);
    const settings = node.attributes.map(({ name, text }) => `${name}=${text}`);
    this.#boxes.push({
      path,
      className: module === undefined ? "" : node.op,
      detail: clipped([...settings, ...shapes].join(" "), LONGEST_DETAIL),
      parameters,
      nodes: 1,
    });
  }

  #addGroup(box: GroupBox, parent: GroupBox | undefined, isCut: boolean): void {
    const path = this.#unique(clipped(box.path || box.name, LONGEST_NAME), box.id);
    const weights = new Set<ModelTensor>();
    let nodes = 0;
    for (const index of indicesIn(box)) {
      nodes++;
      for (const tensor of this.#weightsOf(this.#graph.nodes[index]!)) weights.add(tensor);
    }
    const parameters = [...weights].reduce((sum, tensor) => sum + parametersIn(tensor), 0);
    this.#nodes.push({
      id: box.id,
      kind: "module",
      path,
      name: clipped(box.name, LONGEST_NAME),
      className: box.className,
      ...(parent === undefined ? {} : { parent: parent.id }),
    });
    this.#boxes.push({
      path,
      className: box.className,
      detail: isCut ? `${nodes} nodes` : "",
      parameters,
      nodes,
      ...(isCut ? { cut: true } : {}),
    });
  }

  #weightsOf({ inputs }: ModelNode): ModelTensor[] {
    const weights: ModelTensor[] = [];
    for (const name of inputs) {
      const tensor = this.#constants.get(name);
      if (tensor !== undefined) weights.push(tensor);
    }
    return weights;
  }

  #unique(path: string, id: string): string {
    const unique = this.#paths.has(path) ? `${path} (${id})` : path;
    this.#paths.add(unique);
    return unique;
  }

  #edge(from: string | undefined, to: string | undefined, shape: string): void {
    if (from === undefined || to === undefined || from === to || this.#edges.size >= MAX_EDGES) return;
    const key = `${from}>${to}`;
    if (this.#edges.has(key)) return;
    this.#characters += key.length;
    if (this.#characters <= MAX_CHARACTERS)
      this.#edges.set(key, { from, to, shape: clipped(shape, LONGEST_NAME) });
  }
}

function* indicesIn(box: TreeBox): Generator<number> {
  if (box.kind === "node") yield box.index;
  else for (const child of box.children) yield* indicesIn(child);
}

/** Values that a node reads, also from inside its subgraphs. */
function* namesRead({ inputs, attributes }: ModelNode): Generator<string> {
  for (const name of inputs) if (name !== "") yield name;
  for (const { graphs } of attributes)
    for (const graph of graphs) {
      const own = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
      for (const node of graph.nodes) for (const name of node.outputs) own.add(name);
      for (const node of graph.nodes) for (const name of namesRead(node)) if (!own.has(name)) yield name;
      for (const { name } of graph.outputs) if (!own.has(name)) yield name;
    }
}
