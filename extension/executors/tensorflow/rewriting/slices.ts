// Gradients of a tensor that was split: a sum of slices amid zeros becomes one concatenation.
import { fillValue, type Node, type Value } from "../../../tensor/recording/graph.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { sameShape } from "../../../tensor/core/shape.ts";
import { add } from "../../../tensor/ops/elementwise/elementwise.ts";
import { rangeOf, unslice } from "../../../tensor/ops/movement/slicing.ts";
import { resolved } from "../../nhwc.ts";

/** A sum, its terms that are slices of one dimension amid zeros, in order, and the only other term. */
export interface SliceSum {
  readonly dim: number;
  readonly pieces: readonly Value[];
  readonly other: Value | undefined;
  /** Nodes that are no longer needed. */
  readonly replaced: readonly Node[];
}

/** The sums of a plan that are concatenations, by the node that completes each. */
export function sliceSums(plan: Plan): Map<Node, SliceSum> {
  const found = new Map<Node, SliceSum>();
  if (!plan.nodes.some(({ op }) => op === unslice)) return found;
  const uses = new Map<Value, number>();
  const use = (value: Value, times: number): void => {
    uses.set(resolved(value), (uses.get(resolved(value)) ?? 0) + times);
  };
  for (const node of plan.nodes) for (const value of node.inputs) use(value, 1);
  // A value that is read from outside has to exist.
  const outside = [plan.fetches, plan.requested, plan.lazy, plan.assigns.map(({ value }) => value)];
  for (const value of outside.flat()) use(value, 2);
  const inner = (value: Value): Node | undefined =>
    uses.get(value) === 1 && value.producer.kind === "node" ? value.producer : undefined;
  const isSum = (node: Node): boolean =>
    node.op === add && node.inputs.every(({ shape }) => sameShape(shape, node.outputs[0]!.shape));
  const covered = new Set<Node>();
  for (const root of plan.nodes.toReversed()) {
    if (covered.has(root) || !isSum(root)) continue;
    const replaced: Node[] = [];
    const slices: Node[] = [];
    const others: Value[] = [];
    // Without recursion: a loop over a sequence sums thousands.
    const sums = [root];
    for (let sum = sums.pop(); sum !== undefined; sum = sums.pop()) {
      for (const value of sum.inputs.map(resolved)) {
        const producer = inner(value);
        if (producer?.op === unslice) slices.push(producer);
        else if (producer !== undefined && isSum(producer)) {
          covered.add(producer);
          replaced.push(producer);
          sums.push(producer);
        } else others.push(value);
      }
    }
    // With more terms, their order would change the rounding.
    if (slices.length < 2 || others.length > 1) continue;
    const joined = join(slices);
    if (joined !== undefined)
      found.set(root, { ...joined, other: others[0], replaced: [...replaced, ...slices] });
  }
  return found;
}

/** Returns the pieces whose concatenation is the sum of the slices; undefined if they overlap or dimensions differ. */
function join(slices: readonly Node[]): Pick<SliceSum, "dim" | "pieces"> | undefined {
  const places = slices.map((node) => ({
    value: node.inputs[0]!,
    at: rangeOf(node.attributes as Parameters<typeof rangeOf>[0]),
  }));
  const dim = places[0]!.at?.dim;
  if (dim === undefined || places.some(({ at }) => at?.dim !== dim)) return undefined;
  const { shape, dtype } = slices[0]!.outputs[0]!;
  const pieces: Value[] = [];
  let end = 0;
  const zeros = (to: number): void => {
    if (to > end)
      pieces.push(
        fillValue(
          0,
          shape.map((n, d) => (d === dim ? to - end : n)),
          dtype,
        ),
      );
  };
  for (const { value, at } of places.sort((a, b) => a.at!.from - b.at!.from)) {
    if (at!.from < end) return undefined;
    zeros(at!.from);
    pieces.push(value);
    end = at!.to;
  }
  zeros(shape[dim]!);
  return { dim, pieces };
}
