// Splits large weights of dense layers. A large matrix product leaves one core idle while another computes it, and so does
// the update of a large weight. A weight kept as several variables, each with some of its rows, is multiplied, gets its
// gradient and is updated in as many places at once, and nothing large has to be put together again.
import { stateValue, Storage, type Leaf, type Node, type Value } from "../../../tensor/recording/graph.ts";
import { costOf } from "../../../tensor/recording/op.ts";
import type { Cut, Parts } from "../../../tensor/planning/parts.ts";
import { add } from "../../../tensor/ops/elementwise/elementwise.ts";
import { addBias, matmul } from "../../../tensor/ops/matrix/matmul.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { sameShape, type Shape } from "../../../tensor/core/shape.ts";
import { resolved } from "../../nhwc.ts";
import { MIN_SHARDED_WEIGHT_COLUMNS, MIN_WEIGHT_SHARD_MACS, MIN_WEIGHT_SHARD_ROWS } from "../../tuning.ts";
import { isVariable, updatesInPlace } from "../graph/variables.ts";
import { ShardRewriter } from "./rewriter.ts";

const ROWS: Cut = { dim: 0, outer: 1 };
const COLUMNS: Cut = { dim: 1, outer: 1 };

/** x · Wᵀ: each shard gives some columns of the result. */
const FORWARD: Parts = { inputs: [undefined, ROWS], outputs: [COLUMNS] };
/** g · W: what the shards give is added up. */
const BACKWARD: Parts = { inputs: [COLUMNS, ROWS], outputs: ["sum"] };
/** gᵀ · x: each shard of the gradient by itself. */
const GRADIENT: Parts = { inputs: [COLUMNS, undefined], outputs: [ROWS] };
/** Gradients of several losses, added shard by shard. */
const SUM: Parts = { inputs: [ROWS, ROWS], outputs: [ROWS] };
/** TensorFlow makes one kernel of a product and its bias. */
const BIAS: Parts = { inputs: [COLUMNS, ROWS], outputs: [COLUMNS] };

/** How a node runs in shards, and in how many. */
interface Rule extends Parts {
  readonly count: number;
}

/** A step some of whose weights are sharded. */
export interface WeightShards {
  readonly weights: number;
  /** Shards of each storage that has some, in the order of their rows. */
  readonly storages: ReadonlyMap<Storage, readonly Storage[]>;
  readonly rewriter: ShardRewriter;
}

/**
 * @param most shards of a weight at most
 * @returns undefined where all weights stay whole
 */
export function shardWeights(plan: Plan, most: number): WeightShards | undefined {
  const { weights, counts, rules } = shardableWeights(plan, most);
  if (weights === 0) return undefined;
  const rewriter = new ShardRewriter();
  const storages = new Map<Storage, readonly Storage[]>();
  for (const [leaf, count] of counts) {
    const { storage } = leaf.producer as Extract<Leaf, { kind: "state" }>;
    const [rows, ...rest] = leaf.shape as [number, ...number[]];
    const shards = Array.from({ length: count }, () => new Storage([rows / count, ...rest], leaf.dtype));
    storages.set(storage, shards);
    rewriter.define(
      leaf,
      ROWS,
      shards.map((shard) => stateValue(shard)),
    );
  }
  for (const node of plan.nodes) {
    const rule = rules.get(node);
    if (rule === undefined) rewriter.once(node);
    else rewriter.shard(node, rule, rule.count);
  }
  return { weights, storages, rewriter };
}

/** How many weights are worth sharding, the shards of each leaf updated with them, and how nodes that meet them run. */
function shardableWeights(
  plan: Plan,
  most: number,
): { weights: number; counts: ReadonlyMap<Value, number>; rules: ReadonlyMap<Node, Rule> } {
  const counts = new Map<Value, number>();
  const rules = new Map<Node, Rule>();
  let weights = 0;
  if (most < 2) return { weights, counts, rules };
  const written = new Set(plan.assigns.map(({ storage }) => storage));
  const users = new Map<Value, Node[]>();
  for (const node of plan.nodes)
    for (const value of new Set(node.inputs.map(resolved))) {
      const known = users.get(value);
      if (known === undefined) users.set(value, [node]);
      else known.push(node);
    }
  const fetched = new Set(plan.fetches.map(resolved));
  // A gradient that others are added to is a leaf here, whatever made it.
  const own = new Set(plan.nodes.flatMap((node) => node.outputs));
  const usedOnce = (value: Value): boolean =>
    own.has(value) && users.get(value)?.length === 1 && !fetched.has(value);
  for (const update of plan.nodes.filter((node) => updatesInPlace(node, plan))) {
    const states = update.inputs.slice(0, update.outputs.length);
    const gradient = gradientOf(resolved(update.inputs[states.length]!), usedOnce);
    if (gradient === undefined || !states.every((state) => isVariable(state, written))) continue;
    const count = shardsOf(states, gradient, most);
    if (count < 2) continue;
    const others = update.inputs.slice(states.length + 1);
    if (others.some((v) => v.shape.length > 0)) continue;
    const [weight, ...kept] = states as [Value, ...Value[]];
    const uses = [weight, update.outputs[0]!].flatMap((w) =>
      (users.get(w) ?? []).flatMap((user) => (user === update ? [] : [{ user, rule: ruleOf(user, w) }])),
    );
    const alone = [...kept, ...update.outputs.slice(1)].every((v) =>
      (users.get(v) ?? []).every((user) => user === update),
    );
    if (!alone || [...states, ...update.outputs].some((v) => fetched.has(v))) continue;
    if (uses.some(({ rule }) => rule === undefined)) continue;
    for (const state of states) counts.set(state, count);
    weights++;
    for (const { user, rule } of uses) {
      rules.set(user, { ...rule!, count });
      if (rule !== FORWARD) continue;
      const product = user.outputs[0]!;
      for (const next of users.get(product) ?? [])
        if (isBiasOf(next, product)) rules.set(next, { ...BIAS, count });
    }
    for (const product of gradient.products) rules.set(product, { ...GRADIENT, count });
    for (const sum of gradient.sums) rules.set(sum, { ...SUM, count });
    const inputs = update.inputs.map((_, i) => (i <= states.length ? ROWS : undefined));
    rules.set(update, { inputs, outputs: states.map(() => ROWS), count });
  }
  return { weights, counts, rules };
}

/** The products that a gradient is the sum of. */
interface Gradient {
  readonly shape: Shape;
  readonly products: readonly Node[];
  readonly sums: readonly Node[];
}

/** @returns undefined for a gradient that is anything else, or of which a part is used elsewhere */
function gradientOf(value: Value, usedOnce: (value: Value) => boolean): Gradient | undefined {
  const { producer, shape } = value;
  if (producer.kind !== "node" || !usedOnce(value)) return undefined;
  if (isProduct(producer, true, false)) return { shape, products: [producer], sums: [] };
  if (producer.op !== add) return undefined;
  const found = producer.inputs.map((v) => gradientOf(resolved(v), usedOnce));
  const [a, b] = found;
  if (a === undefined || b === undefined || !sameShape(a.shape, b.shape)) return undefined;
  return {
    shape,
    products: [...a.products, ...b.products],
    sums: [...a.sums, ...b.sums, producer],
  };
}

/** Into how many shards a weight goes whose gradient is known; 1 for one that stays whole. */
function shardsOf(states: readonly Value[], { shape, products }: Gradient, most: number): number {
  const [rows, columns] = shape as [number, number];
  if (columns < MIN_SHARDED_WEIGHT_COLUMNS) return 1;
  if (states.some((state) => state.dtype !== "float32" || !sameShape(state.shape, shape))) return 1;
  const cost = Math.min(...products.map((product) => costOf(product)));
  let count = Math.min(
    most,
    Math.floor(rows / MIN_WEIGHT_SHARD_ROWS),
    Math.floor(cost / MIN_WEIGHT_SHARD_MACS),
  );
  while (count > 1 && rows % count !== 0) count--;
  return count;
}

/** How a node runs that meets a sharded weight; undefined for one that needs it whole. */
function ruleOf(node: Node, weight: Value): Parts | undefined {
  const [x, w] = node.inputs.map(resolved);
  if (w !== weight || x === weight) return undefined;
  if (isProduct(node, false, true)) return FORWARD;
  return isProduct(node, false, false) ? BACKWARD : undefined;
}

/** Whether a node is a product of two matrices, transposed so. */
function isProduct({ op, inputs, attributes }: Node, transposedA: boolean, transposedB: boolean): boolean {
  if (op !== matmul || inputs.some(({ shape }) => shape.length !== 2)) return false;
  const { transposeA, transposeB } = attributes as { transposeA: boolean; transposeB: boolean };
  return transposeA === transposedA && transposeB === transposedB;
}

const isBiasOf = ({ op, inputs }: Node, product: Value): boolean =>
  op === addBias && resolved(inputs[0]!) === product;
