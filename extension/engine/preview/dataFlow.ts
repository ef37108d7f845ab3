import type { Module } from "../../nn/module/module.ts";
import { PackedSequence } from "../../nn/packedSequence.ts";
import type { FlowEdge, FlowGraph, FlowNode } from "../../protocol/flow.ts";
import type { Node, Value } from "../../tensor/recording/graph.ts";
import { axesOf, passAxes, type Axes } from "./axes.ts";
import { scope } from "../../tensor/recording/scope.ts";
import { formatShape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";

/** Ops that only rearrange their input: they have no box. */
const PASSES_THROUGH = new Set([
  "reshape",
  "permute",
  "expand",
  "slice",
  "unstack",
  "cast",
  "identity",
  "shift",
  "flip",
]);

/** Names of ops as users know them, where the op's own name differs. */
const OP_NAMES: Readonly<Record<string, string>> = {
  addBias: "add",
  addChannelBias: "add",
  weigh: "mul",
  fixedBatchNorm: "batchNorm",
  indexSelect: "index",
  gatherLast: "gather",
};

/** How often a module called in a loop is drawn; later calls share one more box, with all between them. */
const DRAWN_CALLS = 8;
/** Most boxes: later ops are not drawn. */
const MOST_BOXES = 4000;

interface Call {
  readonly module: Module;
  /** Its box; none for the model itself. */
  readonly node: FlowNode | undefined;
  readonly input: Value | undefined;
  /** Whether ops and calls in it are parts of the diagram, or all in its own box. */
  readonly isLeaf: boolean;
}

/**
 * Diagram of the first forward pass: boxes for calls of modules and for ops between them, edges for the tensors that
 * pass. Recorded while the graph is built; nothing is computed.
 */
export class DataFlow {
  readonly #paths: ReadonlyMap<Module, string>;
  readonly #nodes = new Map<string, FlowNode>();
  readonly #edges = new Map<string, FlowEdge>();
  /** The box that each value comes from. */
  readonly #owners = new Map<Value, FlowNode>();
  readonly #axes = new Map<Value, Axes>();
  /** The output axes of each module's last call. */
  readonly axes = new Map<Module, readonly (Axes | undefined)[]>();
  readonly #running: Call[] = [];
  readonly #calls = new Map<string, number>();
  /** Boxes of several calls. */
  readonly #shared = new Set<string>();
  /** Modules whose call from outside was drawn. */
  readonly #drawn = new Set<Module>();
  /** Depth of calls in a pass that isn't drawn, since the model is called again. */
  #skipping = 0;

  constructor(model: Module) {
    this.#paths = new Map(model.namedModules().map(([path, module]) => [module, path]));
  }

  async record(body: () => unknown): Promise<void> {
    const handles = [...this.#paths.keys()].flatMap((module) => [
      module.registerForwardPreHook((_, input) => this.#begin(module, input)),
      module.registerForwardHook((_, _input, output) => this.#end(module, output)),
    ]);
    const before = scope.onNode;
    scope.onNode = (node) => {
      before?.(node);
      if (this.#skipping > 0 || this.#running.length === 0) return;
      passAxes(node, this.#axes);
      this.#meet(node);
    };
    try {
      await body();
    } finally {
      scope.onNode = before;
      for (const handle of handles) handle.remove();
      this.#running.length = 0;
      this.#owners.clear();
      this.#axes.clear();
    }
  }

  /** The diagram; undefined when nothing was called. */
  graph(): FlowGraph | undefined {
    if (this.#nodes.size === 0) return undefined;
    const all = { nodes: [...this.#nodes.values()], edges: [...this.#edges.values()] };
    return [...this.#shared].reduce(withLoopIn, chained(all));
  }

  #begin(module: Module, input: readonly unknown[]): void {
    const outer = this.#running.at(-1);
    if (outer === undefined && this.#skipping === 0) {
      if (this.#drawn.has(module)) this.#skipping = 1;
      this.#drawn.add(module);
    } else if (this.#skipping > 0) this.#skipping++;
    if (this.#skipping > 0) return;
    const tensors = tensorsIn(input);
    const called = { module, input: tensors[0]?.value };
    if (outer === undefined) this.#inputs(input);
    if (outer?.isLeaf === true) this.#running.push({ ...called, node: outer.node, isLeaf: true });
    else {
      const path = this.#paths.get(module)!;
      const node = path === "" ? undefined : this.#callNode(module, path, outer?.node);
      const isLeaf = node !== undefined && (module.children().length === 0 || this.#shared.has(node.id));
      if (isLeaf) for (const tensor of tensors) this.#connect(tensor.value, node);
      this.#running.push({ ...called, node, isLeaf });
    }
  }

  #end(module: Module, output: unknown): void {
    if (this.#skipping > 0) {
      this.#skipping--;
      return;
    }
    while (this.#running.length > 0 && this.#running.at(-1)!.module !== module) this.#running.pop();
    const call = this.#running.pop();
    if (call === undefined) return;
    const tensors = tensorsIn(output);
    this.#nameAxes(call, tensors);
    if (call.isLeaf && call.node !== undefined)
      for (const tensor of tensors) this.#owners.set(tensor.value, call.node);
    if (this.#running.length === 0) this.#outputs(module, output);
  }

  #nameAxes({ module, input }: Call, outputs: readonly Tensor[]): void {
    const given = input && this.#axes.get(input);
    for (const [i, { value }] of outputs.entries()) {
      const axes = axesOf(module, given, value.shape, i);
      if (axes !== undefined) this.#axes.set(value, axes);
    }
    this.axes.set(
      module,
      outputs.map(({ value }) => this.#axes.get(value)),
    );
  }

  /**
   * Adds a box for each input of a model. An input that another model has computed, as in a GAN, gets an edge instead.
   */
  #inputs(given: readonly unknown[]): void {
    for (const [name, { value }] of given.flatMap((one) => namedTensorsIn(one, "input"))) {
      if (this.#owners.has(value)) continue;
      const id = this.#unique("~input");
      const shape = formatShape(value.shape);
      this.#owners.set(value, this.#add({ id, kind: "input", path: "", name, shape }));
    }
  }

  #outputs(module: Module, output: unknown): void {
    for (const [name, { value }] of namedTensorsIn(output, "output")) {
      if (!this.#owners.has(value)) continue;
      const shape = formatShape(value.shape);
      const path = this.#paths.get(module)!;
      this.#connect(value, this.#add({ id: this.#unique("~output"), kind: "output", path, name, shape }));
    }
  }

  /** A call's box, within those of the containers around it. */
  #callNode(module: Module, path: string, outer: FlowNode | undefined): FlowNode {
    const above = outer?.path ?? "";
    const inside = above === "" || path.startsWith(`${above}.`);
    let parent = outer;
    if (inside) {
      const names = path.slice(above === "" ? 0 : above.length + 1).split(".");
      // Containers that are never called, such as a ModuleList.
      for (let i = 1; i < names.length; i++) {
        const own = above === "" ? names.slice(0, i).join(".") : `${above}.${names.slice(0, i).join(".")}`;
        const id = idIn(parent, names[i - 1]!);
        parent =
          this.#nodes.get(id) ??
          this.#add({ id, kind: "module", path: own, name: names[i - 1]!, ...childOf(parent) });
      }
    }
    const name = inside ? path.slice(path.lastIndexOf(".") + 1) : path;
    const base = idIn(parent, name);
    const count = (this.#calls.get(base) ?? 0) + 1;
    this.#calls.set(base, count);
    const id = count === 1 ? base : `${base}#${Math.min(count, DRAWN_CALLS + 1)}`;
    if (count > DRAWN_CALLS) this.#shared.add(id);
    return (
      this.#nodes.get(id) ??
      this.#add({ id, kind: "module", path, name, className: module.constructor.name, ...childOf(parent) })
    );
  }

  #meet(node: Node): void {
    const { node: box, isLeaf } = this.#running.at(-1)!;
    if (isLeaf && box !== undefined) {
      for (const value of node.inputs) this.#connect(value, box);
      for (const value of node.outputs) this.#owners.set(value, box);
      return;
    }
    const sources = node.inputs.filter((value) => this.#owners.has(value));
    // Not drawn, as they don't depend on the model's input: masks, positions, casts of weights.
    if (sources.length === 0) return;
    const [first] = sources;
    const passes = PASSES_THROUGH.has(node.op.name) || this.#nodes.size > MOST_BOXES;
    const owner = passes ? this.#owners.get(first!)! : this.#add(this.#opNode(node, box));
    if (!passes) for (const value of sources) this.#connect(value, owner);
    for (const value of node.outputs) this.#owners.set(value, owner);
  }

  #opNode(node: Node, parent: FlowNode | undefined): FlowNode {
    const { name: opName } = node.op;
    const name = OP_NAMES[opName] ?? opName;
    const shape = formatShape(node.outputs[0]!.shape);
    const path = parent?.path ?? "";
    return { id: this.#unique(idIn(parent, `~${name}`)), kind: "op", path, name, shape, ...childOf(parent) };
  }

  #connect(value: Value, to: FlowNode): void {
    const from = this.#owners.get(value);
    if (from === undefined || from === to) return;
    const key = `${from.id}>${to.id}`;
    const shape = formatShape(value.shape);
    if (!this.#edges.has(key)) this.#edges.set(key, { from: from.id, to: to.id, shape });
  }

  #add(node: FlowNode): FlowNode {
    this.#nodes.set(node.id, node);
    return node;
  }

  /** Makes an id unique. The same model gets the same ids, so that a change of the text moves nothing else. */
  #unique(base: string): string {
    const count = (this.#calls.get(base) ?? 0) + 1;
    this.#calls.set(base, count);
    return count === 1 ? base : `${base}#${count}`;
  }
}

/** Ids are paths of boxes: those of a container's second call begin with "name#2". */
const idIn = (parent: FlowNode | undefined, name: string): string =>
  parent === undefined ? name : `${parent.id}/${name}`;

const childOf = (parent: FlowNode | undefined): { parent?: string } =>
  parent === undefined ? {} : { parent: parent.id };

/** Merges each chain of ops in one forward into one box: "mul, tanh, add". */
function chained({ nodes, edges }: FlowGraph): FlowGraph {
  const byId = new Map(nodes.map((node) => [node.id, { ...node }]));
  const incoming = new Map<string, FlowEdge[]>();
  const leaving = new Map<string, number>();
  for (const edge of edges) {
    incoming.set(edge.to, [...(incoming.get(edge.to) ?? []), edge]);
    leaving.set(edge.from, (leaving.get(edge.from) ?? 0) + 1);
  }
  const mergedInto = new Map<string, string>();
  const names = new Map<string, string[]>();
  const rootOf = (id: string): string => mergedInto.get(id) ?? id;
  for (const { id } of nodes) {
    const node = byId.get(id)!;
    const [only, ...more] = incoming.get(id) ?? [];
    if (node.kind !== "op" || only === undefined || more.length > 0) continue;
    const from = byId.get(rootOf(only.from))!;
    if (from.kind !== "op" || from.parent !== node.parent || leaving.get(only.from)! > 1) continue;
    mergedInto.set(id, from.id);
    const all = names.get(from.id) ?? [from.name];
    if (!all.includes(node.name)) all.push(node.name);
    names.set(from.id, all);
    from.name = all.length > 3 ? `${all.slice(0, 3).join(", ")}, …` : all.join(", ");
    from.shape = node.shape;
  }
  return {
    nodes: [...byId.values()].filter(({ id }) => !mergedInto.has(id)),
    edges: edges
      .map((edge) => ({ ...edge, from: rootOf(edge.from), to: rootOf(edge.to) }))
      .filter(({ from, to }) => from !== to),
  };
}

/** Merges what is between the calls that share a box into it: drawn, it would lead back to the box that it comes from. */
function withLoopIn({ nodes, edges }: FlowGraph, shared: string): FlowGraph {
  const reached = (ends: (edge: FlowEdge) => readonly [string, string]): Set<string> => {
    const next = new Map<string, string[]>();
    for (const edge of edges) {
      const [from, to] = ends(edge);
      next.set(from, [...(next.get(from) ?? []), to]);
    }
    const found = new Set([shared]);
    for (const id of found) for (const other of next.get(id) ?? []) found.add(other);
    return found;
  };
  const after = reached(({ from, to }) => [from, to]);
  const merged = new Set([...reached(({ from, to }) => [to, from])].filter((id) => after.has(id)));
  if (merged.size === 1) return { nodes, edges };
  const place = (id: string): string => (merged.has(id) ? shared : id);
  const joined = new Map<string, FlowEdge>();
  for (const { from, to, shape } of edges) {
    const edge = { from: place(from), to: place(to), shape };
    const key = `${edge.from}>${edge.to}`;
    if (edge.from !== edge.to && !joined.has(key)) joined.set(key, edge);
  }
  const isLeft = ({ id }: FlowNode): boolean => id === shared || !merged.has(id);
  const parents = new Set(nodes.map(({ parent }) => parent));
  const left = nodes.filter((node) => isLeft(node) && !parents.has(node.id));
  const isUsed = ({ id }: FlowNode): boolean =>
    left.some((node) => node.id === id || node.id.startsWith(`${id}/`));
  return { nodes: nodes.filter(isUsed), edges: [...joined.values()] };
}

/** All tensors in a module's inputs or outputs. */
const tensorsIn = (value: unknown): Tensor[] => namedTensorsIn(value, "").map(([, tensor]) => tensor);

/** All tensors in a value with their names: keys of objects, and places in lists that have one ("aux.0"). */
function namedTensorsIn(value: unknown, kind: string, path = ""): [name: string, Tensor][] {
  const inner = (key: string | number, one: unknown): [string, Tensor][] =>
    namedTensorsIn(one, kind, path === "" ? String(key) : `${path}.${key}`);
  if (value instanceof Tensor) return [[path || kind, value]];
  if (Array.isArray(value))
    return value.flatMap((one, i) => (path === "" ? namedTensorsIn(one, kind) : inner(i, one)));
  if (value instanceof PackedSequence) return namedTensorsIn(value.data, kind, path);
  const plain =
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return plain ? Object.entries(value).flatMap(([key, one]) => inner(key, one)) : [];
}
