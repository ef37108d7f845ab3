// The sharding pass: rewrites a training step so that all cores are busy.
import type { Storage } from "../../../tensor/recording/graph.ts";
import { costOf } from "../../../tensor/recording/op.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { add } from "../../../tensor/ops/elementwise/elementwise.ts";
import { cat } from "../../../tensor/ops/movement/movement.ts";
import { sliceSums } from "../rewriting/slices.ts";
import { MIN_THREADED_MACS } from "../../tuning.ts";
import { shardBatch, type BatchShards } from "./batch.ts";
import { ShardRewriter } from "./rewriter.ts";
import { shardWeights } from "./weights.ts";

/** A plan to be compiled, with its batch or its large weights in shards where that pays. */
export interface ShardedPlan {
  readonly plan: Plan;
  /** The storages that the plan writes, each with those that have its rows: itself where it isn't sharded. */
  readonly storages: readonly { readonly storage: Storage; readonly shards: readonly Storage[] }[];
  /** Into how many shards the batch goes, and why. */
  readonly batch: Pick<BatchShards, "count" | "why">;
  /** Weights that are sharded. */
  readonly weights: number;
  /** Threads inside an op; undefined for as many as the process has. */
  readonly threads: number | undefined;
  /** Ops of the plan before it was rewritten. */
  readonly ops: number;
}

/** @param cores shards at most of a batch or a weight */
export function shardPlan(recorded: Plan, cores: number): ShardedPlan {
  const plan = simplified(recorded);
  const batch = shardBatch(plan, cores);
  // Shards of a batch keep all cores busy by themselves.
  const weights = batch.rewriter === undefined ? shardWeights(plan, cores) : undefined;
  const shardsOf = (storage: Storage): readonly Storage[] => weights?.storages.get(storage) ?? [storage];
  const rewriter = batch.rewriter ?? weights?.rewriter;
  return {
    plan: rewriter === undefined ? plan : rewritten(plan, rewriter, shardsOf),
    storages: plan.assigns.map(({ storage }) => ({ storage, shards: shardsOf(storage) })),
    batch,
    weights: weights?.weights ?? 0,
    threads: rewriter === undefined && hasLargeKernels(plan) ? cores : undefined,
    ops: recorded.nodes.length,
  };
}

/** A plan for a GPU, whose kernels take the whole batch. */
export function wholePlan(recorded: Plan): ShardedPlan {
  return {
    plan: simplified(recorded),
    storages: recorded.assigns.map(({ storage }) => ({ storage, shards: [storage] })),
    batch: { count: 1, why: "a GPU's kernels take the whole batch" },
    weights: 0,
    threads: undefined,
    ops: recorded.nodes.length,
  };
}

/** A plan with cheaper ops for what gradients record. */
function simplified(plan: Plan): Plan {
  const sums = sliceSums(plan);
  if (sums.size === 0) return plan;
  const replaced = new Set([...sums.values()].flatMap((sum) => sum.replaced));
  const rewriter = new ShardRewriter();
  for (const node of plan.nodes) {
    const sum = sums.get(node);
    if (sum !== undefined) {
      const { dim, pieces, other } = sum;
      const value = node.outputs[0]!;
      if (other === undefined) rewriter.replace(value, cat, pieces, { dim });
      else rewriter.replace(value, add, [rewriter.combine(cat, pieces, { dim }), other], {});
    } else if (!replaced.has(node)) rewriter.once(node);
  }
  return rewritten(plan, rewriter, (storage) => [storage]);
}

/** Whether most multiply-adds are in kernels that gain more from several threads than these cost. */
function hasLargeKernels({ nodes }: Plan): boolean {
  const costs = nodes.map((node) => costOf(node));
  const sum = (of: readonly number[]): number => of.reduce((all, cost) => all + cost, 0);
  const large = sum(costs.filter((cost) => cost >= MIN_THREADED_MACS));
  return large > 0 && 2 * large >= sum(costs);
}

function rewritten(
  plan: Plan,
  rewriter: ShardRewriter,
  shardsOf: (storage: Storage) => readonly Storage[],
): Plan {
  const assigns = plan.assigns.flatMap(({ storage, value }) => {
    const shards = shardsOf(storage);
    if (shards.length === 1) return [{ storage, value: rewriter.whole(value) }];
    const values = rewriter.shards(value, { dim: 0, outer: 1 }, shards.length);
    return shards.map((shard, i) => ({ storage: shard, value: values[i]! }));
  });
  const [fetches, requested, lazy] = [plan.fetches, plan.requested, plan.lazy].map((values) =>
    values.map((v) => rewriter.whole(v)),
  );
  return {
    ...plan,
    assigns,
    fetches: fetches!,
    requested: requested!,
    lazy: lazy!,
    nodes: rewriter.nodes,
  };
}
