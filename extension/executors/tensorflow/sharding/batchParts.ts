import { fillValue, Node, type Value } from "../../../tensor/recording/graph.ts";
import { costOf, type Op } from "../../../tensor/recording/op.ts";
import { divides, elementwise, type Cut, type Parts } from "../../../tensor/planning/parts.ts";
import { add, mul } from "../../../tensor/ops/elementwise/elementwise.ts";
import { cat, reshape } from "../../../tensor/ops/movement/movement.ts";
import { slice } from "../../../tensor/ops/movement/slicing.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { numel, sameShape } from "../../../tensor/core/shape.ts";
import { signatureOf } from "../../layouts.ts";

/** Samples a part has at least. */
const SMALLEST = 4;
/** Multiply-adds of a step for each element that is added up between the parts (gradients of weights), at least. */
const WORTHWHILE = 400;
/** Multiply-adds of a step from which on parts are worth the nodes they cost. */
const LEAST = 10e6;
/** Share of the multiply-adds that has to be in parts. */
const COVERED = 0.9;

/** A plan to be compiled. */
export interface Parted {
  /** What was given where the batch stays whole. */
  readonly plan: Plan;
  readonly parts: number;
  /** Cores that are left for one op: as many as there are where the batch is whole. */
  readonly cores: number;
  /** Ops of what was given. */
  readonly ops: number;
  /** What decided, in words. */
  readonly why: string;
}

/**
 * The plan of a training step with the batch in parts that can run side by side, one on each core: each op over parts as
 * its record says, gradients of weights added up. Large steps gain what several threads inside one kernel lose. The batch
 * stays whole where that wouldn't pay or can't be done.
 *
 * @param most parts at most
 */
export function inParts(plan: Plan, most: number): Parted {
  const ops = plan.nodes.length;
  const whole = (why: string): Parted => ({ plan, parts: 1, cores: most, ops, why });
  if (plan.assigns.length === 0) return whole("only a training step is divided");
  const cost = plan.nodes.reduce((sum, node) => sum + costOf(node), 0);
  const all = millions(cost);
  if (cost < LEAST)
    return whole(`${all} of multiply-adds a step are less than the ${millions(LEAST)} that pay`);
  const batch = batchOf(plan);
  let parts = Math.min(most, Math.floor(batch / SMALLEST));
  while (parts > 1 && batch % parts !== 0) parts--;
  if (parts < 2) return whole(`a batch of ${batch} has no equal parts for ${most} cores`);
  const division = new Division(parts, batch);
  for (const node of plan.nodes) division.node(node);
  const share = division.covered / cost;
  if (share < COVERED) {
    const blamed =
      division.undivided === undefined ? "" : ` (${division.undivided.op.name} needs the whole batch)`;
    return whole(`only ${percent(share)} of the multiply-adds can be in parts${blamed}`);
  }
  if (cost < WORTHWHILE * division.added)
    return whole(
      `adding up ${millions(division.added)} of gradients would cost more than ${all} of multiply-adds gain`,
    );
  const of = (v: Value): Value => division.whole(v);
  const assigns = plan.assigns.map(({ storage, value }) => ({ storage, value: of(value) }));
  const [fetches, requested, lazy] = [plan.fetches, plan.requested, plan.lazy].map((v) => v.map(of));
  return {
    plan: {
      ...plan,
      assigns,
      fetches: fetches!,
      requested: requested!,
      lazy: lazy!,
      nodes: division.nodes,
    },
    parts,
    cores: 1,
    ops,
    why: `${percent(share)} of ${all} of multiply-adds a step run side by side`,
  };
}

const millions = (count: number): string => `${Number((count / 1e6).toPrecision(3))} million`;
const percent = (share: number): string => `${Math.floor(100 * share)} %`;

/** Leading size of the largest input. */
function batchOf({ leaves }: Plan): number {
  let largest: Value | undefined;
  for (const leaf of leaves)
    if (isInput(leaf) && (largest === undefined || numel(leaf.shape) > numel(largest.shape))) largest = leaf;
  return largest?.shape[0] ?? 0;
}

const isInput = ({ producer, shape }: Value): boolean =>
  (producer.kind === "data" || producer.kind === "random") && shape.length > 0;

/** A value of the plan: whole, in parts, or (made when needed) both. */
interface Divided {
  whole: Value | undefined;
  /** How it comes in parts. */
  readonly cut: Cut | undefined;
  readonly parts: Map<string, readonly Value[]>;
}

class Division {
  readonly nodes: Node[] = [];
  /** Multiply-adds that run in parts. */
  covered = 0;
  /** Elements that are added up, or joined, between parts. */
  added = 0;
  /** The dearest of the nodes that take a batch in parts and need it whole. */
  undivided: Node | undefined;
  private readonly values = new Map<Value, Divided>();
  private readonly parts: number;
  private readonly batch: number;

  constructor(parts: number, batch: number) {
    this.parts = parts;
    this.batch = batch;
  }

  node(node: Node): void {
    const rule = this.rule(node);
    if (rule === undefined) this.asWhole(node);
    else this.inParts(node, rule);
  }

  whole(value: Value): Value {
    const divided = this.of(value);
    if (divided.whole !== undefined) return divided.whole;
    const cut = divided.cut!;
    this.added += numel(value.shape);
    return (divided.whole = this.join(divided.parts.get(keyOf(cut))!, value, cut));
  }

  /** How a node runs in parts; undefined where it runs whole. */
  private rule(node: Node): Parts | undefined {
    const { op } = node;
    const own = op.parts ?? (op.layout === "elementwise" ? elementwise : undefined);
    const cuts = node.inputs.map((v) => this.of(v).cut);
    if (cuts.every((c) => c === undefined)) return undefined;
    const rule = own?.(cuts, signatureOf(node), node.attributes, this.parts);
    const fits =
      rule !== undefined &&
      node.inputs.every(({ shape }, i) => {
        const cut = rule.inputs[i];
        return cut === undefined || divides(shape, cut, this.parts);
      });
    if (fits) return rule;
    if (this.undivided === undefined || costOf(node) > costOf(this.undivided)) this.undivided = node;
    return undefined;
  }

  private inParts(node: Node, { inputs, outputs, attributes = node.attributes }: Parts): void {
    this.covered += costOf(node);
    const given = node.inputs.map((v, i) => {
      const cut = inputs[i];
      return cut === undefined ? undefined : this.cut(v, cut);
    });
    const made = Array.from({ length: this.parts }, (_, part) => {
      const values = node.inputs.map((v, i) => given[i]?.[part] ?? this.whole(v));
      return this.make(node.op, values, attributes);
    });
    node.outputs.forEach((value, i) => {
      const parts = made.map((n) => n.outputs[i]!);
      const how = outputs[i]!;
      if (typeof how !== "string") {
        this.values.set(value, { whole: undefined, cut: how, parts: new Map([[keyOf(how), parts]]) });
        return;
      }
      this.added += numel(value.shape);
      const total = parts.reduce((sum, part) => this.make(add, [sum, part], {}).outputs[0]!);
      const share = fillValue(1 / this.parts, [], "float32");
      const whole = how === "sum" ? total : this.make(mul, [total, share], {}).outputs[0]!;
      this.values.set(value, { whole, cut: undefined, parts: new Map() });
    });
  }

  private asWhole(node: Node): void {
    const inputs = node.inputs.map((v) => this.whole(v));
    if (inputs.every((v, i) => v === node.inputs[i])) {
      this.nodes.push(node);
      return;
    }
    const made = this.make(node.op, inputs, node.attributes);
    node.outputs.forEach((value, i) =>
      this.values.set(value, { whole: made.outputs[i]!, cut: undefined, parts: new Map() }),
    );
  }

  private of(given: Value): Divided {
    const { producer } = given;
    const value = producer.kind === "node" ? (producer.outputs[given.index] ?? given) : given;
    let divided = this.values.get(value);
    if (divided === undefined) {
      const cut = isInput(value) && value.shape[0] === this.batch ? { dim: 0, outer: 1 } : undefined;
      this.values.set(value, (divided = { whole: value, cut, parts: new Map() }));
    }
    return divided;
  }

  /** The shards of a value, split again where it is whole or split otherwise. */
  private cut(value: Value, cut: Cut): readonly Value[] {
    const { parts } = this.of(value);
    let found = parts.get(keyOf(cut));
    if (found === undefined) parts.set(keyOf(cut), (found = this.divide(this.whole(value), cut)));
    return found;
  }

  private divide(value: Value, { dim, outer }: Cut): Value[] {
    const { shape } = value;
    if (value.producer.kind === "fill") {
      const part = shape.map((n, d) => (d === dim ? n / this.parts : n));
      const filled = fillValue(value.producer.value, part, value.dtype);
      return Array.from({ length: this.parts }, () => filled);
    }
    const blocks = outer === 1 ? shape : split(shape, dim, outer);
    const at = outer === 1 ? dim : dim + 1;
    const from = this.reshape(value, blocks);
    const size = blocks[at]! / this.parts;
    return Array.from({ length: this.parts }, (_, part) => {
      const begin = blocks.map((_n, d) => (d === at ? part * size : 0));
      const end = blocks.map((n, d) => (d === at ? begin[d]! + size : n));
      const piece = this.make(slice, [from], { begin, end, step: blocks.map(() => 1) }).outputs[0]!;
      return this.reshape(
        piece,
        shape.map((n, d) => (d === dim ? n / this.parts : n)),
      );
    });
  }

  private join(parts: readonly Value[], { shape }: Value, { dim, outer }: Cut): Value {
    if (outer === 1) return this.make(cat, parts, { dim }).outputs[0]!;
    const blocks = parts.map((part) => this.reshape(part, split(part.shape, dim, outer)));
    return this.reshape(this.make(cat, blocks, { dim: dim + 1 }).outputs[0]!, shape);
  }

  private reshape(value: Value, shape: readonly number[]): Value {
    return sameShape(value.shape, shape) ? value : this.make(reshape, [value], { shape }).outputs[0]!;
  }

  private make<A extends object>(op: Op<A>, inputs: readonly Value[], attributes: A): Node {
    const outputs = op.infer(inputs, attributes);
    const node = new Node(op, attributes, inputs, outputs, undefined);
    this.nodes.push(node);
    return node;
  }
}

const keyOf = ({ dim, outer }: Cut): string => `${dim}/${outer}`;

/** A dimension as blocks of it. */
const split = (shape: readonly number[], dim: number, outer: number): number[] => [
  ...shape.slice(0, dim),
  outer,
  shape[dim]! / outer,
  ...shape.slice(dim + 1),
];
