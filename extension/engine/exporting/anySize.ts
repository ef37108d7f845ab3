import type { GraphAttribute, GraphNode } from "../../executors/tensorflow/graph/graphDef.ts";
import { internal, TensorError } from "../../tensor/core/errors.ts";
import { attr } from "../../tensor/lowering/lowering.ts";
import { numel } from "../../tensor/core/shape.ts";

type Constant = Extract<GraphAttribute, { kind: "tensor" }>;

/** The batch, whose size may be another each time. */
export interface Batch {
  /** The node of an input, and its dimension. */
  readonly input: string;
  readonly dim: number;
  /** Of the first graph; the second one's is larger by 1. */
  readonly size: number;
}

const INDEX = attr.type("int64");

/**
 * A graph for all sizes of the batch: what differs between one and another for a batch larger by 1 follows the batch.
 * @throws TensorError where the two differ in more than sizes
 */
export function forAnySize(
  nodes: readonly GraphNode[],
  larger: readonly GraphNode[],
  batch: Batch,
): GraphNode[] {
  if (nodes.length !== larger.length) differ("has other operations for another size");
  return new Writer(nodes, larger, batch).result;
}

function differ(what: string): never {
  throw new TensorError(
    "unsupported",
    `forward() ${what} of the batch, so the model can't be exported for any size`,
    "export it for one size: --batch SIZE on the command line",
  );
}

class Writer {
  readonly result: GraphNode[] = [];
  readonly #batch: Batch;
  /** Sizes that follow the batch: the constant, and its twin for a larger batch. */
  readonly #following = new Map<string, readonly [Constant, Constant]>();
  readonly #written = new Set<string>();

  constructor(nodes: readonly GraphNode[], larger: readonly GraphNode[], batch: Batch) {
    this.#batch = batch;
    nodes.forEach((node, i) => this.#node(node, larger[i]!));
  }

  #node(node: GraphNode, other: GraphNode): void {
    if (node.name !== other.name || node.op !== other.op || node.inputs.join() !== other.inputs.join())
      differ("has other operations for another size");
    const [value, twin] = [node.attributes["value"], other.attributes["value"]];
    if (node.op === "Const" && value?.kind === "tensor" && twin?.kind === "tensor")
      return this.#constant(node, value, twin);
    const attributes = node.op === "Placeholder" ? this.#placeholder(node, other) : node.attributes;
    if (node.op !== "Placeholder" && JSON.stringify(attributes) !== JSON.stringify(other.attributes))
      differ("has other operations for another size");
    this.result.push({
      ...node,
      attributes,
      inputs: node.inputs.map((input, i) => {
        const pair = this.#following.get(input);
        return pair === undefined ? input : this.#sizes(input, pair, node.op === "Reshape" && i === 1);
      }),
    });
  }

  #constant(node: GraphNode, value: Constant, twin: Constant): void {
    if (numel(value.shape) !== numel(twin.shape) || value.shape.length !== twin.shape.length)
      differ("makes a constant for each size");
    if (value.data === twin.data || value.data.every((x, i) => Object.is(x, twin.data[i])))
      this.result.push(node);
    else if (value.dtype === "int64" && value.shape.length <= 1)
      this.#following.set(node.name, [value, twin]);
    else differ("makes a constant from the size");
  }

  #placeholder(node: GraphNode, other: GraphNode): GraphNode["attributes"] {
    const [shape, twin] = [node.attributes["shape"], other.attributes["shape"]];
    if (shape?.kind !== "shape" || twin?.kind !== "shape") return internal("an input without a shape");
    const sizes = shape.value.map((size, d) => (size === twin.value[d] ? size : -1));
    return { ...node.attributes, shape: attr.shape(sizes) };
  }

  /** The name of sizes that follow the batch: with a −1 where that is enough, else computed. */
  #sizes(name: string, [{ data, shape }, twin]: readonly [Constant, Constant], reshape: boolean): string {
    const values = Array.from(data);
    const others = Array.from(twin.data);
    const follows = values.map((value, i) => value !== others[i]);
    if (reshape && numel(values) > 0 && follows.filter(Boolean).length === 1) {
      const open = `${name}/any`;
      if (this.#once(open))
        this.#tensor(
          open,
          values.map((value, i) => (follows[i] ? -1 : value)),
          shape,
        );
      return open;
    }
    if (!this.#once(name)) return name;
    const parts = values.map((value, i) =>
      follows[i] ? this.#size(value, others[i]!) : this.#scalar(value),
    );
    if (shape.length === 0) this.#push("Identity", parts, name, { T: INDEX });
    else this.#push("Pack", parts, name, { N: attr.int(parts.length), T: INDEX, axis: attr.int(0) });
    return name;
  }

  /** A size that grows with the batch: a multiple of it, plus a constant. */
  #size(value: number, other: number): string {
    const factor = other - value;
    const rest = value - factor * this.#batch.size;
    let name = this.#batchSize();
    for (const [op, by, idle] of [
      ["Mul", factor, 1],
      ["AddV2", rest, 0],
    ] as const) {
      if (by === idle) continue;
      const result = `${name}/${op}_${by}`;
      if (this.#once(result)) this.#push(op, [name, this.#scalar(by)], result, { T: INDEX });
      name = result;
    }
    return name;
  }

  #batchSize(): string {
    const { input, dim } = this.#batch;
    const name = "batch/size";
    if (!this.#once(name)) return name;
    this.#push("Shape", [input], "batch/shape", { T: attr.type("float32"), out_type: INDEX });
    const cut = [dim, dim + 1, 1].map((value, i) => this.#tensor(`batch/cut_${i}`, [value], [1]));
    this.#push("StridedSlice", ["batch/shape", ...cut], name, {
      T: INDEX,
      Index: INDEX,
      begin_mask: attr.int(0),
      end_mask: attr.int(0),
      ellipsis_mask: attr.int(0),
      new_axis_mask: attr.int(0),
      shrink_axis_mask: attr.int(1),
    });
    return name;
  }

  #scalar(value: number): string {
    const name = `size/${value}`;
    return this.#once(name) ? this.#tensor(name, [value], []) : name;
  }

  #tensor(name: string, data: readonly number[], shape: readonly number[]): string {
    const value: Constant = { kind: "tensor", data: Int32Array.from(data), shape, dtype: "int64" };
    this.#push("Const", [], name, { dtype: INDEX, value });
    return name;
  }

  #once(name: string): boolean {
    const first = !this.#written.has(name);
    this.#written.add(name);
    return first;
  }

  #push(op: string, inputs: readonly string[], name: string, attributes: GraphNode["attributes"]): void {
    this.result.push({ name, op, inputs, attributes });
  }
}
