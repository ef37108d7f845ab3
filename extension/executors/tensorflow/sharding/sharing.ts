// Decides which plans the processes of a group share, and how.
import { elementwise, type Cut, type Parts } from "../../../tensor/planning/parts.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import type { Node, Value } from "../../../tensor/recording/graph.ts";
import { costOf } from "../../../tensor/recording/op.ts";
import { resolved, signatureOf } from "../../nhwc.ts";
import { MAX_SHARD_CANDIDATES, MIN_MACS_PER_EXCHANGED_ELEMENT, MIN_SHARDED_MACS } from "../../tuning.ts";
import { batchDimensions, isInput, isOfTraining, type BatchDimension } from "./batch.ts";
import { ReplicaRewriter, replicated, wayOf, type ReplicaGroup } from "./replicas.ts";

/**
 * One process's part of a plan that all processes of a group have. A step is shared if its batch splits into a part for
 * each; other plans only if that saves much.
 * @returns undefined for a plan that each process computes in full
 */
export function sharedPlan(plan: Plan, group: ReplicaGroup): Plan | undefined {
  const trains = isOfTraining(plan);
  const cost = plan.nodes.reduce((sum, node) => sum + costOf(node), 0);
  if (!trains && cost < MIN_SHARDED_MACS) return undefined;
  const inputs = plan.leaves.filter(isInput);
  const dry = withoutKeys(group);
  let best:
    | { rewriter: ReplicaRewriter; candidate: BatchDimension; covered: number; gain: number }
    | undefined;
  const candidates = batchDimensions(inputs).filter(({ size }) => size % group.size === 0);
  for (const candidate of candidates.slice(0, MAX_SHARD_CANDIDATES)) {
    const rewriter = new ReplicaRewriter(dry);
    const covered = rewrite(plan, inputs, candidate, rewriter);
    replicated(plan, rewriter);
    const gain = covered * (1 - 1 / group.size) - MIN_MACS_PER_EXCHANGED_ELEMENT * rewriter.exchanged;
    if (best === undefined || gain > best.gain) best = { rewriter, candidate, covered, gain };
  }
  const pays = best !== undefined && (trains ? best.covered > 0 || cost === 0 : best.gain > 0);
  if (!pays && !hasParts(plan)) return undefined;
  const candidate = pays ? best!.candidate : undefined;
  let before = pays ? best!.rewriter : undefined;
  if (before === undefined) {
    before = new ReplicaRewriter(dry);
    rewrite(plan, inputs, undefined, before);
    replicated(plan, before);
  }
  const rewriter = new ReplicaRewriter(group, before);
  rewrite(plan, inputs, candidate, rewriter);
  return replicated(plan, rewriter);
}

/** A group without exchanges, for a trial rewrite of a plan. */
const withoutKeys = ({ rank, size, timeout }: ReplicaGroup): ReplicaGroup => ({
  rank,
  size,
  timeout,
  nextKey: () => 0,
});

/** Writes a plan for one process. @returns multiply-adds that the processes share */
function rewrite(
  plan: Plan,
  inputs: readonly Value[],
  candidate: BatchDimension | undefined,
  rewriter: ReplicaRewriter,
): number {
  if (candidate !== undefined) {
    const { dim, size } = candidate;
    for (const leaf of inputs) if (leaf.shape[dim] === size) rewriter.split(leaf, { dim, outer: 1 });
  }
  for (const leaf of plan.leaves)
    if (leaf.producer.kind === "state" && leaf.producer.storage.addsUp) rewriter.addsUp(leaf);
  let covered = 0;
  // Ops that need sums come last, so that one exchange has all sums.
  for (let nodes = plan.nodes; nodes.length > 0; rewriter.addUp()) {
    const later: Node[] = [];
    const unknown = new Set<Value>();
    for (const node of nodes) {
      if (node.inputs.some((v) => unknown.has(resolved(v))) || rewriter.waits(node)) {
        later.push(node);
        for (const value of node.outputs) unknown.add(value);
        continue;
      }
      const way = wayOf(node, rewriter, (cuts) => partRule(node, cuts, rewriter.size));
      if (way === undefined) rewriter.once(node);
      else {
        covered += costOf(node);
        rewriter.write(node, way);
      }
    }
    if (later.length === 0) break;
    nodes = later;
  }
  return covered;
}

function partRule(node: Node, cuts: readonly (Cut | undefined)[], count: number): Parts | undefined {
  const { op } = node;
  const own = op.parts ?? (op.layout === "elementwise" ? elementwise : undefined);
  return own?.(cuts, signatureOf(node), node.attributes, count);
}

/** Whether a plan reads or writes values that are split over the processes. */
const hasParts = ({ leaves, assigns }: Plan): boolean =>
  assigns.some(({ storage }) => storage.addsUp) ||
  leaves.some(({ producer }) => producer.kind === "state" && producer.storage.addsUp);
