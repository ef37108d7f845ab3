// Splits the batch of a plan over the processes of a group. Each process writes its own shard of each op, as the op's record
// says. Partial sums of the shards are added up by one exchange, when an op needs the total. A plan computes the same in one
// process and in several, so its callers don't depend on the number.
import { fillValue, Node, type Value } from "../../../tensor/recording/graph.ts";
import type { AnyOp, Op } from "../../../tensor/recording/op.ts";
import type { ShardWriter, SummedRule } from "../../../tensor/recording/nodeOp.ts";
import { divides, type Cut, type Parts } from "../../../tensor/planning/parts.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { add, div, mul } from "../../../tensor/ops/elementwise/elementwise.ts";
import { allGather, allReduce } from "../../../tensor/ops/distributed/collective.ts";
import { cat, reshape } from "../../../tensor/ops/movement/movement.ts";
import { slice } from "../../../tensor/ops/movement/slicing.ts";
import { sameShape, type Shape } from "../../../tensor/core/shape.ts";
import type { Communicator } from "../../../tensor/distributed/communicator.ts";
import { resolved } from "../../nhwc.ts";
import { MAX_PADDED_ELEMENTS } from "../../tuning.ts";
import { inBlocks } from "./rewriter.ts";

/** The group, as far as rewriting a plan depends on it. */
export type ReplicaGroup = Pick<Communicator, "rank" | "size" | "timeout" | "nextKey">;

/** A value in one or more of its forms. */
interface Forms {
  /** The same in all processes. */
  whole: Value | undefined;
  /** This process's partial sum: those of all processes add up to the value. */
  partial: Value | undefined;
  /** How it is cut, where it comes in shards. */
  cut: Cut | undefined;
  /** This process's shard, by how the value is cut. */
  readonly shards: Map<string, Value>;
}

/** How a node is written: for shards as its record says, as a partial sum, or with sums in between. */
export type Way =
  | { readonly kind: "parts"; readonly parts: Parts }
  | { readonly kind: "partial"; readonly inputs: readonly ("partial" | "whole")[] }
  | { readonly kind: "sums"; readonly rule: SummedRule };

/** Writes the nodes of a plan again, for one process of a group. */
export class ReplicaRewriter implements ShardWriter<Value> {
  readonly nodes: Node[] = [];
  readonly size: number;
  /** Elements that this process exchanges. */
  exchanged = 0;
  readonly #group: ReplicaGroup;
  readonly #forms = new Map<Value, Forms>();
  /** Values for the next exchange to add up. */
  #pending: Value[] = [];
  /** Values that are needed whole: the sum of partial sums, or all shards. */
  readonly #needed = new Set<Value>();
  readonly #wanted: ReadonlySet<Value> | undefined;

  /** @param before An earlier rewriter of the same plan: exchanges add up only the values that it needed */
  constructor(group: ReplicaGroup, before?: ReplicaRewriter) {
    this.#group = group;
    this.size = group.size;
    this.#wanted = before === undefined ? undefined : before.#needed;
  }

  /** How a value is cut; undefined for one that isn't. */
  cutOf(value: Value): Cut | undefined {
    return this.#of(value).cut;
  }

  isPartial(value: Value): boolean {
    const { partial, whole } = this.#of(value);
    return partial !== undefined && whole === undefined;
  }

  /** Splits a leaf. */
  split(leaf: Value, cut: Cut): void {
    this.#forms.set(leaf, { whole: leaf, partial: undefined, cut, shards: new Map() });
  }

  /** Declares a leaf as a partial sum: the values of all processes add up to the leaf's. */
  addsUp(leaf: Value): void {
    this.#definePartial(leaf, leaf);
  }

  /** Writes a node in full, the same in all processes. */
  once(node: Node): void {
    const inputs = node.inputs.map((v) => this.whole(v));
    if (inputs.every((v, i) => v === node.inputs[i])) {
      this.nodes.push(node);
      return;
    }
    const made = this.#node(node.op, inputs, node.attributes);
    node.outputs.forEach((value, i) => this.#defineWhole(value, made.outputs[i]!));
  }

  write(node: Node, way: Way): void {
    if (way.kind === "parts") this.#shard(node, way.parts);
    else if (way.kind === "partial") {
      const inputs = node.inputs.map((v, i) =>
        way.inputs[i] === "partial" ? this.#of(v).partial! : this.whole(v),
      );
      this.#definePartial(node.outputs[0]!, this.make(node.op, inputs, node.attributes));
    } else {
      const made = way.rule.write<Value>(this, this.#inputs(node, way.rule.inputs));
      node.outputs.forEach((value, i) => {
        const output = made[i]!;
        if ("whole" in output) this.#defineWhole(value, output.whole);
        else if ("partial" in output) this.#definePartial(value, output.partial);
        else this.#defineShard(value, output.cut, output.shard);
      });
    }
  }

  #inputs(node: Node, cuts: readonly (Cut | undefined)[]): Value[] {
    return node.inputs.map((v, i) => (cuts[i] === undefined ? this.whole(v) : this.#shardOf(v, cuts[i])));
  }

  #shard(node: Node, { inputs, outputs, attributes = node.attributes }: Parts): void {
    const made = this.#node(node.op, this.#inputs(node, inputs), attributes);
    node.outputs.forEach((value, i) => {
      const own = made.outputs[i]!;
      const how = outputs[i]!;
      if (typeof how !== "string") this.#defineShard(value, how, own);
      else
        this.#definePartial(
          value,
          how === "sum" ? own : this.make(mul, [own, this.constant(1 / this.size)], {}),
        );
    });
  }

  /** The value, the same in all processes. */
  whole(value: Value): Value {
    const forms = this.#of(value);
    if (forms.whole !== undefined && forms.partial === undefined) return forms.whole;
    this.#needed.add(resolved(value));
    if (forms.whole === undefined && this.#pending.includes(resolved(value))) this.addUp();
    return (forms.whole ??= this.#join(forms, value.shape));
  }

  /** A shard as a partial sum: with zeros in place of those of the other processes. */
  #padded({ shards, cut }: Forms, shape: Shape): Value {
    const { dim } = cut!;
    const [own] = [...shards.values()] as [Value];
    const { rank } = this.#group;
    const zeros = (count: number): Value[] =>
      count === 0
        ? []
        : [
            fillValue(
              0,
              own.shape.map((n, d) => (d === dim ? count * n : n)),
              "float32",
            ),
          ];
    const parts = [...zeros(rank), own, ...zeros(this.size - 1 - rank)];
    return this.#reshape(this.make(cat, parts, { dim }), shape);
  }

  /** This process's partial sum of a value. */
  partial(value: Value): Value {
    const forms = this.#of(value);
    if (forms.partial !== undefined) return forms.partial;
    if (forms.whole === undefined && isBlock(forms.cut)) return this.#padded(forms, value.shape);
    // The first process's partial sum is the whole value.
    const share = this.constant(this.#group.rank === 0 ? 1 : 0);
    return this.make(mul, [this.whole(value), share], {});
  }

  sums(values: readonly Value[]): readonly Value[] {
    for (const { shape } of values) this.exchanged += elements(shape);
    return this.#node(allReduce, values, this.#exchange()).outputs;
  }

  /** Whether a node can't be written before its inputs are added up. */
  waits(node: Node): boolean {
    const partial = node.inputs.map((v) => this.isPartial(v));
    if (!partial.includes(true) || linear(node, partial) !== undefined) return false;
    node.inputs.forEach((v, i) => partial[i] && this.#needed.add(resolved(v)));
    return true;
  }

  /** Adds up, in one exchange, all partial sums so far whose total an op needs: several exchanges cost more. */
  addUp(): void {
    const [pending, left]: [Value[], Value[]] = [[], []];
    for (const value of this.#pending)
      (this.#needed.has(value) || this.#wanted?.has(value) !== false ? pending : left).push(value);
    this.#pending = left;
    if (pending.length === 0) return;
    const all = pending.map((value) => this.#forms.get(value)!);
    const sums = this.sums(pending.map((value) => this.partial(value)));
    all.forEach((forms, i) => (forms.whole = sums[i]!));
  }

  #exchange(): { size: number; key: number; timeout: number } {
    return { size: this.size, key: this.#group.nextKey(), timeout: this.#group.timeout };
  }

  #of(given: Value): Forms {
    const value = resolved(given);
    return this.#forms.get(value) ?? this.#defineWhole(value, value);
  }

  #defineWhole(value: Value, whole: Value): Forms {
    const forms = { whole, partial: undefined, cut: undefined, shards: new Map() };
    this.#forms.set(value, forms);
    return forms;
  }

  #defineShard(value: Value, cut: Cut, shard: Value): void {
    this.#forms.set(value, {
      whole: undefined,
      partial: undefined,
      cut,
      shards: new Map([[keyOf(cut), shard]]),
    });
    // A small value is put together by the exchange that there is anyway: one more costs more than its zeros.
    const isSmall = value.dtype === "float32" && elements(value.shape) <= MAX_PADDED_ELEMENTS;
    if (isSmall && isBlock(cut) && this.#wanted?.has(value) === true) this.#pending.push(value);
  }

  #definePartial(value: Value, partial: Value): void {
    this.#forms.set(value, { whole: undefined, partial, cut: undefined, shards: new Map() });
    this.#pending.push(value);
  }

  /** This process's shard of a value, split where it is whole or cut otherwise. */
  #shardOf(value: Value, cut: Cut): Value {
    const { shards } = this.#of(value);
    const key = keyOf(cut);
    let found = shards.get(key);
    if (found === undefined) shards.set(key, (found = this.#divide(this.whole(value), cut)));
    return found;
  }

  #divide(value: Value, { dim, outer }: Cut): Value {
    const { shape } = value;
    const own = shape.map((n, d) => (d === dim ? n / this.size : n));
    if (value.producer.kind === "fill" && !value.ready)
      return fillValue(value.producer.value, own, value.dtype);
    const blocks = outer === 1 ? shape : inBlocks(shape, dim, outer);
    const at = outer === 1 ? dim : dim + 1;
    const size = blocks[at]! / this.size;
    const begin = blocks.map((_, d) => (d === at ? this.#group.rank * size : 0));
    const end = blocks.map((n, d) => (d === at ? begin[d]! + size : n));
    const from = this.#reshape(value, blocks);
    return this.#reshape(this.make(slice, [from], { begin, end, step: blocks.map(() => 1) }), own);
  }

  /** Puts the shards of all processes together. */
  #join({ shards, cut }: Forms, shape: Shape): Value {
    const { dim, outer } = cut!;
    const [own] = [...shards.values()] as [Value];
    this.exchanged += elements(shape);
    const blocks = outer === 1 ? own.shape : inBlocks(own.shape, dim, outer);
    const at = outer === 1 ? dim : dim + 1;
    const all = this.make(allGather, [this.#reshape(own, blocks)], this.#exchange());
    if (at === 0) return this.#reshape(all, shape);
    const each = Array.from({ length: this.size }, (_, i) => {
      const begin = all.shape.map((_n, d) => (d === 0 ? i : 0));
      const end = all.shape.map((n, d) => (d === 0 ? i + 1 : n));
      return this.#reshape(this.make(slice, [all], { begin, end, step: all.shape.map(() => 1) }), blocks);
    });
    return this.#reshape(this.make(cat, each, { dim: at }), shape);
  }

  #reshape(value: Value, shape: Shape): Value {
    return sameShape(value.shape, shape) ? value : this.make(reshape, [value], { shape });
  }

  constant(value: number): Value {
    return fillValue(value, [], "float32");
  }

  make<A extends object>(op: Op<A>, inputs: readonly Value[], attributes: A): Value {
    return this.#node(op, inputs, attributes).outputs[0]!;
  }

  makeAll<A extends object>(op: Op<A>, inputs: readonly Value[], attributes: A): readonly Value[] {
    return this.#node(op, inputs, attributes).outputs;
  }

  #node<A extends object>(op: Op<A>, inputs: readonly Value[], attributes: A): Node {
    const node = new Node(op, attributes, inputs, op.infer(inputs, attributes), undefined);
    this.nodes.push(node);
    return node;
  }
}

const keyOf = ({ dim, outer }: Cut): string => `${dim}/${outer}`;
/** Whether the shards of a cut are blocks that follow each other. */
const isBlock = (cut: Cut | undefined): boolean => cut?.outer === 1;
const elements = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

/** How a node is written for one process; undefined for a node that has to be written in full. */
export function wayOf(
  node: Node,
  rewriter: ReplicaRewriter,
  rule: (cuts: readonly (Cut | undefined)[]) => Parts | undefined,
): Way | undefined {
  const { inputs, op } = node;
  const partial = inputs.map((v) => rewriter.isPartial(v));
  if (partial.includes(true)) return linear(node, partial);
  const cuts = inputs.map((v) => rewriter.cutOf(v));
  if (cuts.every((cut) => cut === undefined)) return undefined;
  const fits = (own: readonly (Cut | undefined)[]): boolean =>
    inputs.every(({ shape }, i) => own[i] === undefined || divides(shape, own[i], rewriter.size));
  const sums = op.acrossProcesses?.(cuts, node.attributes);
  if (sums !== undefined && fits(sums.inputs)) return { kind: "sums", rule: sums };
  const parts = rule(cuts);
  return parts !== undefined && fits(parts.inputs) ? { kind: "parts", parts } : undefined;
}

/** Linear ops: partial sums in, partial sums out. So gradients of several uses of a weight are one exchange. */
function linear({ op, inputs, outputs }: Node, partial: readonly boolean[]): Way | undefined {
  const shape = outputs[0]!.shape;
  const number = (i: number): boolean => !partial[i] && inputs[i]!.shape.length === 0;
  const all = partial.every(Boolean);
  const sum = (op as AnyOp) === add && all && inputs.every((v) => sameShape(v.shape, shape));
  const scaled = ((op as AnyOp) === mul && (number(0) || number(1))) || ((op as AnyOp) === div && number(1));
  const moved = op.keepsElements === true && inputs.length === 1 && sameCount(inputs[0]!.shape, shape);
  if (outputs[0]!.dtype !== "float32" || !(sum || scaled || moved)) return undefined;
  return { kind: "partial", inputs: partial.map((one) => (one ? "partial" : "whole")) };
}

const sameCount = (a: Shape, b: Shape): boolean => elements(a) === elements(b);

/** A plan whose values the rewriter has written. */
export function replicated(plan: Plan, rewriter: ReplicaRewriter): Plan {
  const assigns = plan.assigns.map(({ storage, value }) => ({
    storage,
    value: storage.addsUp ? rewriter.partial(value) : rewriter.whole(value),
  }));
  const [fetches, requested, lazy] = [plan.fetches, plan.requested, plan.lazy].map((values) =>
    values.map((v) => rewriter.whole(v)),
  );
  return { ...plan, assigns, fetches: fetches!, requested: requested!, lazy: lazy!, nodes: rewriter.nodes };
}
