import { toHostArray, type DType, type HostArray } from "../../../tensor/core/dtype.ts";
import type { Loop, Stepped, TfGraphBuilder, TfRef, TfStep } from "../../../tensor/lowering/lowering.ts";
import type { Shape } from "../../../tensor/core/shape.ts";
import { writeLoop, type LoopHost } from "./graphLoop.ts";
import type { GraphAttribute, GraphNode } from "./graphDef.ts";

class GraphRef implements TfRef {
  readonly __tensorflow = true;
  readonly node: string;
  readonly index: number;

  constructor(node: string, index: number) {
    this.node = node;
    this.index = index;
  }
}

/** As the inputs of nodes spell it. */
const spell = ({ node, index }: GraphRef): string => (index === 0 ? node : `${node}:${index}`);

/** Equal nodes of these are one: what the updates of many parameters compute of the same numbers. */
const SHARED: ReadonlySet<string> = new Set(["Mul", "Sub"]);

/** Writes TensorFlow nodes instead of running them. */
export class GraphBuilder implements LoopHost, TfGraphBuilder {
  readonly graph: GraphNode[] = [];
  readonly optimized = true;
  readonly #used = new Map<string, number>();
  readonly #constants = new Map<string, GraphRef>();
  readonly #shared = new Map<string, GraphRef[]>();
  #controls: readonly string[] = [];
  #scope = "";

  nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, GraphAttribute>,
    outputs: number,
    name = this.#scope + op,
  ): GraphRef[] {
    const all = [...inputs.map((r) => spell(r as GraphRef)), ...this.#controls];
    const key = SHARED.has(op) ? `${op}(${all.join()})${JSON.stringify(attributes)}` : undefined;
    const known = key === undefined ? undefined : this.#shared.get(key);
    if (known !== undefined) return known;
    const unique = this.#name(name);
    this.graph.push({ name: unique, op, inputs: all, attributes });
    const refs = Array.from({ length: Math.max(outputs, 1) }, (_, i) => new GraphRef(unique, i));
    if (key !== undefined) this.#shared.set(key, refs);
    return refs;
  }

  node(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, GraphAttribute>,
    name?: string,
  ): GraphRef {
    return this.nodes(op, inputs, attributes, 1, name)[0]!;
  }

  /** Equal small constants are one node. */
  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): GraphRef {
    const values = Array.isArray(data) ? toHostArray(data, dtype) : (data as HostArray);
    const key = values.length <= 16 ? `${dtype}[${shape.join()}]${values.join()}` : undefined;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    // Constants live as long as the graph and depend on nothing.
    const before = this.#controls;
    this.#controls = [];
    const ref = this.nodes(
      "Const",
      [],
      { dtype: { kind: "type", value: dtype }, value: { kind: "tensor", data: values, shape, dtype } },
      1,
      "constant",
    )[0]!;
    this.#controls = before;
    if (key !== undefined) this.#constants.set(key, ref);
    return ref;
  }

  loop(loop: Loop<TfRef>, step: TfStep): Stepped<TfRef> {
    return writeLoop(this, this.#name("loop"), loop, step);
  }

  together(refs: readonly TfRef[], types: readonly DType[]): TfRef[] {
    // Control edges, since Grappler removes an IdentityN.
    return this.after(refs, () =>
      refs.map((ref, i) => this.node("Identity", [ref], { T: { kind: "type", value: types[i]! } })),
    );
  }

  addInput(node: TfRef, input: TfRef): void {
    const { node: name } = node as GraphRef;
    const at = this.graph.findIndex((n) => n.name === name);
    const written = this.graph[at]!;
    this.graph[at] = { ...written, inputs: [...written.inputs, spell(input as GraphRef)] };
  }

  after<T>(refs: readonly TfRef[], body: () => T): T {
    const before = this.#controls;
    this.#controls = [...new Set([...before, ...refs.map((r) => `^${(r as GraphRef).node}`)])];
    // Many nodes after many others: one in between, as TensorFlow's own work on a graph grows with its edges.
    if (this.#controls.length > 2) this.#controls = [`^${this.node("NoOp", [], {}, "join").node}`];
    try {
      return body();
    } finally {
      this.#controls = before;
    }
  }

  /** Names every node written by `body` after an op of the table: the library's errors quote such names. */
  within<T>(op: string, body: () => T): T {
    this.#scope = `${op}/`;
    try {
      return body();
    } finally {
      this.#scope = "";
    }
  }

  /** The name by which a session feeds or fetches a ref. */
  static address(ref: TfRef): string {
    const { node, index } = ref as GraphRef;
    return `${node}:${index}`;
  }

  #name(wanted: string): string {
    const count = this.#used.get(wanted) ?? 0;
    this.#used.set(wanted, count + 1);
    return count === 0 ? wanted : `${wanted}_${count}`;
  }
}
