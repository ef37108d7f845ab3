// Which weights a step keeps in parts. A large matrix product leaves one core idle while another computes it, and so does
// the update of a large weight; a weight kept as several variables, each with some of its rows, is multiplied, gets its
// gradient and is updated in as many places at once, and nothing large has to be put together again.
import type { Node, Storage, Value } from "../../../tensor/recording/graph.ts";
import { costOf } from "../../../tensor/recording/op.ts";
import { add } from "../../../tensor/ops/elementwise/elementwise.ts";
import { matmul } from "../../../tensor/ops/matrix/matmul.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { sameShape, type Shape } from "../../../tensor/core/shape.ts";
import { resolved } from "../../layouts.ts";

/** Multiply-adds of a part's product at least: less takes no longer than handing it to another core. */
const LEAST = 1e6;
/** Rows of a part at least: kernels are at their best with some, and products of fewer run beside others anyway. */
const SMALLEST = 128;
/** Columns of a weight at least: as many multiply-adds come with each element that is copied, to and from the parts. */
const COLUMNS = 384;

/** How a node has to do with a weight in parts. */
export type Role =
  /** x · Wᵀ: each part gives some columns of the result. */
  | "forward"
  /** g · W: what the parts give is added up. */
  | "backward"
  /** gᵀ · x: each part of the gradient by itself. */
  | "gradient"
  /** Gradients of several losses, added part by part. */
  | "sum";

/** Weights that are kept in parts, with all that has to do with them. */
export interface WeightParts {
  /** How many there are. */
  readonly weights: number;
  /** The weights, and what an optimizer keeps of each; in how many parts. */
  readonly storages: ReadonlyMap<Storage, number>;
  readonly nodes: ReadonlyMap<Node, { readonly role: Role; readonly parts: number }>;
}

/**
 * @param inPlace nodes that are written as updates of variables
 * @param isVariable whether a leaf is the value of a variable before the step
 * @param most parts at most
 */
export function weightParts(
  plan: Plan,
  inPlace: ReadonlySet<Node>,
  isVariable: (leaf: Value) => boolean,
  most: number,
): WeightParts {
  const storages = new Map<Storage, number>();
  const nodes = new Map<Node, { role: Role; parts: number }>();
  if (most < 2) return { weights: 0, storages, nodes };
  const users = new Map<Value, Node[]>();
  for (const node of plan.nodes)
    for (const value of new Set(node.inputs.map(resolved))) {
      const known = users.get(value);
      if (known === undefined) users.set(value, [node]);
      else known.push(node);
    }
  const fetched = new Set(plan.fetches.map(resolved));
  let weights = 0;
  // A gradient that others are added to is a leaf here, whatever made it.
  const own = new Set(plan.nodes.flatMap((node) => node.outputs));
  const usedOnce = (value: Value): boolean =>
    own.has(value) && users.get(value)?.length === 1 && !fetched.has(value);
  for (const update of inPlace) {
    const states = update.inputs.slice(0, update.outputs.length);
    const gradient = gradientOf(resolved(update.inputs[states.length]!), usedOnce);
    if (gradient === undefined || !states.every(isVariable)) continue;
    const parts = partsOf(states, gradient, most);
    if (parts < 2) continue;
    const others = update.inputs.slice(states.length + 1);
    if (others.some((v) => v.shape.length > 0)) continue;
    const [weight, ...kept] = states as [Value, ...Value[]];
    const next = update.outputs[0]!;
    const uses = [weight, next].flatMap((w) =>
      (users.get(w) ?? []).flatMap((user) => (user === update ? [] : [{ user, role: roleOf(user, w) }])),
    );
    const alone = [...kept, ...update.outputs.slice(1)].every((v) =>
      (users.get(v) ?? []).every((user) => user === update),
    );
    if (!alone || [...states, ...update.outputs].some((v) => fetched.has(v))) continue;
    if (uses.some(({ role }) => role === undefined)) continue;
    for (const { producer } of states) if (producer.kind === "state") storages.set(producer.storage, parts);
    weights++;
    for (const { user, role } of uses) nodes.set(user, { role: role!, parts });
    for (const product of gradient.products) nodes.set(product, { role: "gradient", parts });
    for (const sum of gradient.sums) nodes.set(sum, { role: "sum", parts });
  }
  return { weights, storages, nodes };
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

/** Into how many parts a weight can go whose gradient is known; 1 for one that stays whole. */
function partsOf(states: readonly Value[], { shape, products }: Gradient, most: number): number {
  const [rows, columns] = shape as [number, number];
  if (columns < COLUMNS) return 1;
  if (states.some((state) => state.dtype !== "float32" || !sameShape(state.shape, shape))) return 1;
  const cost = Math.min(...products.map((product) => costOf(product)));
  let parts = Math.min(most, Math.floor(rows / SMALLEST), Math.floor(cost / LEAST));
  while (parts > 1 && rows % parts !== 0) parts--;
  return parts;
}

function roleOf(node: Node, weight: Value): Role | undefined {
  const [x, w] = node.inputs.map(resolved);
  if (w !== weight || x === weight) return undefined;
  if (isProduct(node, false, true)) return "forward";
  return isProduct(node, false, false) ? "backward" : undefined;
}

/** Whether a node is a product of two matrices, turned so. */
function isProduct({ op, inputs, attributes }: Node, turnA: boolean, turnB: boolean): boolean {
  if (op !== matmul || inputs.some(({ shape }) => shape.length !== 2)) return false;
  const { transposeA, transposeB } = attributes as { transposeA: boolean; transposeB: boolean };
  return transposeA === turnA && transposeB === turnB;
}
