// Splits the batch of a training step into shards that run in parallel, one on each core. The op table says how each op
// runs over a shard; gradients of weights are summed. Large steps gain what several threads inside one kernel lose.
import type { Node, Value } from "../../../tensor/recording/graph.ts";
import { costOf } from "../../../tensor/recording/op.ts";
import { divides, elementwise, type Parts } from "../../../tensor/planning/parts.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { numel } from "../../../tensor/core/shape.ts";
import { signatureOf } from "../../nhwc.ts";
import {
  MAX_SHARD_CANDIDATES,
  MIN_MACS_PER_EXCHANGED_ELEMENT,
  MIN_SHARD_SAMPLES,
  MIN_SHARDED_MACS,
  MIN_SHARDED_SHARE,
} from "../../tuning.ts";
import { ShardRewriter } from "./rewriter.ts";

/** How a step's batch is divided. */
export interface BatchShards {
  readonly count: number;
  /** Reason, in words. */
  readonly why: string;
  /** The nodes in shards; undefined where the batch stays whole. */
  readonly rewriter?: ShardRewriter;
}

/** A dimension of the inputs that may be the batch. */
export interface BatchDimension {
  readonly dim: number;
  readonly size: number;
}

/** A batch that can be divided. */
interface Candidate extends BatchDimension {
  readonly count: number;
}

/** A plan whose batch is a candidate. */
interface Attempt {
  readonly count: number;
  readonly rewriter: ShardRewriter;
  /** Multiply-adds in shards. */
  readonly covered: number;
  /** Multiply-adds that shards save, minus the cost of their exchange. */
  readonly gain: number;
  /** The most expensive node that takes a sharded input and needs it whole. */
  readonly undivided: Node | undefined;
}

/** @param most maximum number of shards */
export function shardBatch(plan: Plan, most: number): BatchShards {
  const whole = (why: string): BatchShards => ({ count: 1, why });
  if (!isOfTraining(plan)) return whole("only a training step is divided");
  const cost = plan.nodes.reduce((sum, node) => sum + costOf(node), 0);
  const all = millions(cost);
  if (cost < MIN_SHARDED_MACS)
    return whole(`${all} of multiply-adds a step are less than the ${millions(MIN_SHARDED_MACS)} that pay`);
  const inputs = plan.leaves.filter(isInput);
  const candidates = candidatesOf(inputs, most);
  if (candidates.length === 0)
    return whole(`a batch of ${largestOf(inputs)?.shape[0] ?? 0} has no equal shards for ${most} cores`);
  let best: Attempt | undefined;
  for (const candidate of candidates) {
    const attempt = attemptOf(plan, inputs, candidate);
    if (best === undefined || attempt.gain > best.gain) best = attempt;
    if (best.covered === cost) break;
  }
  const { count, rewriter, covered, gain, undivided } = best!;
  const share = covered / cost;
  if (share < MIN_SHARDED_SHARE) {
    const blamed = undivided === undefined ? "" : ` (${undivided.op.name} needs the whole batch)`;
    return whole(`only ${percent(share)} of the multiply-adds can be sharded${blamed}`);
  }
  if (gain < 0)
    return whole(
      `adding up ${millions(rewriter.exchanged)} of gradients would cost more than ${all} of multiply-adds gain`,
    );
  return { count, why: `${percent(share)} of ${all} of multiply-adds a step run side by side`, rewriter };
}

const millions = (count: number): string => `${Number((count / 1e6).toPrecision(3))} million`;
const percent = (share: number): string => `${Math.floor(100 * share)} %`;

/** Whether a plan computes gradients, or a step with them. */
export const isOfTraining = ({ assigns, lazy }: Plan): boolean => assigns.length + lazy.length > 0;

/** Dimensions that may be the batch, those of the largest input first: batches come before or after the time. */
export function batchDimensions(inputs: readonly Value[]): BatchDimension[] {
  const largest = largestOf(inputs);
  const data = inputs.filter((leaf) => leaf.producer.kind === "data");
  const found = new Map<string, BatchDimension>();
  for (const leaf of largest === undefined ? [] : [largest, ...data])
    for (const dim of [0, 1]) {
      const size = leaf.shape[dim] ?? 0;
      if (size > 0) found.set(`${dim}/${size}`, { dim, size });
    }
  return [...found.values()];
}

/** Batch dimensions that can be divided. */
function candidatesOf(inputs: readonly Value[], most: number): Candidate[] {
  return batchDimensions(inputs)
    .flatMap(({ dim, size }) => {
      let count = Math.min(most, Math.floor(size / MIN_SHARD_SAMPLES));
      while (count > 1 && size % count !== 0) count--;
      return count > 1 ? [{ dim, size, count }] : [];
    })
    .slice(0, MAX_SHARD_CANDIDATES);
}

function attemptOf(plan: Plan, inputs: readonly Value[], { dim, size, count }: Candidate): Attempt {
  const rewriter = new ShardRewriter();
  for (const leaf of inputs) if (leaf.shape[dim] === size) rewriter.split(leaf, { dim, outer: 1 });
  let covered = 0;
  let undivided: Node | undefined;
  for (const node of plan.nodes) {
    const rule = ruleOf(node, rewriter, count);
    if (rule === undefined) {
      rewriter.once(node);
    } else if (rule === "whole") {
      if (undivided === undefined || costOf(node) > costOf(undivided)) undivided = node;
      rewriter.once(node);
    } else {
      covered += costOf(node);
      rewriter.shard(node, rule, count);
    }
  }
  const gain = covered * (1 - 1 / count) - (MIN_MACS_PER_EXCHANGED_ELEMENT / 2) * rewriter.exchanged;
  return { count, rewriter, covered, gain, undivided };
}

function largestOf(inputs: readonly Value[]): Value | undefined {
  let largest: Value | undefined;
  for (const leaf of inputs)
    if (largest === undefined || numel(leaf.shape) > numel(largest.shape)) largest = leaf;
  return largest;
}

export const isInput = ({ producer, shape }: Value): boolean =>
  (producer.kind === "data" || producer.kind === "random") && shape.length > 0;

/** How a node runs in shards: undefined where no input is sharded, "whole" where an op needs one whole. */
function ruleOf(node: Node, rewriter: ShardRewriter, count: number): Parts | "whole" | undefined {
  const { op } = node;
  const own = op.parts ?? (op.layout === "elementwise" ? elementwise : undefined);
  const cuts = node.inputs.map((v) => rewriter.cutOf(v));
  if (cuts.every((c) => c === undefined)) return undefined;
  const rule = own?.(cuts, signatureOf(node), node.attributes, count);
  const fits =
    rule !== undefined &&
    node.inputs.every(({ shape }, i) => {
      const cut = rule.inputs[i];
      return cut === undefined || divides(shape, cut, count);
    });
  return fits ? rule : "whole";
}
