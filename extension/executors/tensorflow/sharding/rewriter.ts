import { fillValue, Node, type Value } from "../../../tensor/recording/graph.ts";
import type { Op } from "../../../tensor/recording/op.ts";
import type { Cut, Parts } from "../../../tensor/planning/parts.ts";
import { add, mul } from "../../../tensor/ops/elementwise/elementwise.ts";
import { cat, reshape } from "../../../tensor/ops/movement/movement.ts";
import { slice } from "../../../tensor/ops/movement/slicing.ts";
import { numel, sameShape } from "../../../tensor/core/shape.ts";
import { resolved } from "../../nhwc.ts";

/** A value of the rewritten plan: whole, in shards, or (made when needed) both. */
interface Sharded {
  whole: Value | undefined;
  /** How it comes in shards. */
  readonly cut: Cut | undefined;
  /** By how they are cut. */
  readonly shards: Map<string, readonly Value[]>;
}

/** Writes the nodes of a plan again: once, or once a shard. Splits, joins and adds up values where nodes need them so. */
export class ShardRewriter {
  readonly nodes: Node[] = [];
  /** Elements that are added up, or joined, between shards. */
  exchanged = 0;
  readonly #values = new Map<Value, Sharded>();

  /** How a value comes in shards; undefined for one that comes whole. */
  cutOf(value: Value): Cut | undefined {
    return this.#of(value).cut;
  }

  /** Says that a leaf is to be split. */
  split(leaf: Value, cut: Cut): void {
    this.#values.set(leaf, { whole: leaf, cut, shards: new Map() });
  }

  /** Says that a value is there in shards. */
  define(value: Value, cut: Cut, shards: readonly Value[]): void {
    const named = new Map([[keyOf(cut, shards.length), shards]]);
    this.#values.set(value, { whole: undefined, cut, shards: named });
  }

  /** Writes a node once. */
  once(node: Node): void {
    const inputs = node.inputs.map((v) => this.whole(v));
    if (inputs.every((v, i) => v === node.inputs[i])) {
      this.nodes.push(node);
      return;
    }
    const made = this.#make(node.op, inputs, node.attributes);
    node.outputs.forEach((value, i) => this.#defineWhole(value, made.outputs[i]!));
  }

  /** Writes a node once a shard. */
  shard(node: Node, { inputs, outputs, attributes = node.attributes }: Parts, count: number): void {
    const given = node.inputs.map((v, i) => {
      const cut = inputs[i];
      return cut === undefined ? undefined : this.shards(v, cut, count);
    });
    const made = Array.from({ length: count }, (_, shard) => {
      const values = node.inputs.map((v, i) => given[i]?.[shard] ?? this.whole(v));
      return this.#make(node.op, values, attributes);
    });
    node.outputs.forEach((value, i) => {
      const shards = made.map((n) => n.outputs[i]!);
      const how = outputs[i]!;
      if (typeof how !== "string") {
        this.define(value, how, shards);
        return;
      }
      this.exchanged += numel(value.shape);
      const total = shards.reduce((sum, one) => this.#make(add, [sum, one], {}).outputs[0]!);
      const share = fillValue(1 / count, [], "float32");
      this.#defineWhole(value, how === "sum" ? total : this.#make(mul, [total, share], {}).outputs[0]!);
    });
  }

  /** Writes an op in place of what made a value. */
  replace<A extends object>(value: Value, op: Op<A>, inputs: readonly Value[], attributes: A): void {
    this.#defineWhole(value, this.combine(op, inputs, attributes));
  }

  /** Writes a new op of whole values. */
  combine<A extends object>(op: Op<A>, inputs: readonly Value[], attributes: A): Value {
    const whole = inputs.map((v) => this.whole(v));
    return this.#make(op, whole, attributes).outputs[0]!;
  }

  whole(value: Value): Value {
    const sharded = this.#of(value);
    if (sharded.whole !== undefined) return sharded.whole;
    this.exchanged += numel(value.shape);
    return (sharded.whole = this.#join([...sharded.shards.values()][0]!, value, sharded.cut!));
  }

  /** The shards of a value, split again where it is whole or split otherwise. */
  shards(value: Value, cut: Cut, count: number): readonly Value[] {
    const { shards } = this.#of(value);
    const key = keyOf(cut, count);
    let found = shards.get(key);
    if (found === undefined) shards.set(key, (found = this.#divide(this.whole(value), cut, count)));
    return found;
  }

  #of(given: Value): Sharded {
    const value = resolved(given);
    return this.#values.get(value) ?? this.#defineWhole(value, value);
  }

  #defineWhole(value: Value, whole: Value): Sharded {
    const sharded = { whole, cut: undefined, shards: new Map() };
    this.#values.set(value, sharded);
    return sharded;
  }

  #divide(value: Value, { dim, outer }: Cut, count: number): Value[] {
    const { shape } = value;
    const own = shape.map((n, d) => (d === dim ? n / count : n));
    if (value.producer.kind === "fill") {
      const filled = fillValue(value.producer.value, own, value.dtype);
      return Array.from({ length: count }, () => filled);
    }
    const blocks = outer === 1 ? shape : inBlocks(shape, dim, outer);
    const at = outer === 1 ? dim : dim + 1;
    const from = this.#reshape(value, blocks);
    const size = blocks[at]! / count;
    return Array.from({ length: count }, (_, shard) => {
      const begin = blocks.map((_n, d) => (d === at ? shard * size : 0));
      const end = blocks.map((n, d) => (d === at ? begin[d]! + size : n));
      const piece = this.#make(slice, [from], { begin, end, step: blocks.map(() => 1) }).outputs[0]!;
      return this.#reshape(piece, own);
    });
  }

  #join(shards: readonly Value[], { shape }: Value, { dim, outer }: Cut): Value {
    if (outer === 1) return this.#make(cat, shards, { dim }).outputs[0]!;
    const blocks = shards.map((one) => this.#reshape(one, inBlocks(one.shape, dim, outer)));
    return this.#reshape(this.#make(cat, blocks, { dim: dim + 1 }).outputs[0]!, shape);
  }

  #reshape(value: Value, shape: readonly number[]): Value {
    return sameShape(value.shape, shape) ? value : this.#make(reshape, [value], { shape }).outputs[0]!;
  }

  #make<A extends object>(op: Op<A>, inputs: readonly Value[], attributes: A): Node {
    const outputs = op.infer(inputs, attributes);
    const node = new Node(op, attributes, inputs, outputs, undefined);
    this.nodes.push(node);
    return node;
  }
}

const keyOf = ({ dim, outer }: Cut, count: number): string => `${dim}/${outer}/${count}`;

/** A dimension as blocks of it. */
export const inBlocks = (shape: readonly number[], dim: number, outer: number): number[] => [
  ...shape.slice(0, dim),
  outer,
  shape[dim]! / outer,
  ...shape.slice(dim + 1),
];
