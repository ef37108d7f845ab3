import type { Node, Storage, Value } from "../../../tensor/recording/graph.ts";
import { costOf } from "../../../tensor/recording/op.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { weightParts, type WeightParts } from "../sharding/weightParts.ts";

/** A leaf of the plan that is an input of the graph. */
export interface Feed {
  /** Position among the plan's leaves. */
  readonly leaf: number;
  readonly kind: "data" | "scalar" | "state";
  /** Whether each of several steps has a value of its own, fed as one tensor with a dimension more. */
  readonly stacked: boolean;
}

type LeafKind = "variable" | "fill" | "number" | Feed["kind"];

/**
 * A plan to write graphs from, whenever they are needed: what depends on the moment at which it was made is noted then.
 */
export class Blueprint {
  readonly plan: Plan;
  /** What becomes of each leaf: a variable of the session, a constant, or an input. */
  readonly leaves: readonly LeafKind[];
  /** Nodes that are written as updates of variables. */
  readonly inPlace: ReadonlySet<Node>;
  /** Of their outputs, those that the same step uses: a GAN's generator meets the updated discriminator. */
  readonly usedAtOnce: ReadonlySet<Value>;
  /** Storages whose value before the step is used by more than their update. */
  readonly usedBefore: ReadonlySet<Storage>;
  /** Storages that are several variables each. */
  readonly weightParts: WeightParts;

  /** Multiply-adds of a step. */
  readonly cost: number;

  /** @param cores for which large weights are kept in parts */
  constructor(plan: Plan, cores = 1) {
    this.plan = plan;
    this.cost = plan.nodes.reduce((sum, node) => sum + costOf(node), 0);
    const written = new Set(plan.assigns.map((a) => a.storage));
    this.leaves = plan.leaves.map((value) => leafKind(value, written));
    this.inPlace = new Set(plan.nodes.filter((node) => updatesInPlace(node, plan)));
    const used = plan.nodes.flatMap((node) =>
      this.inPlace.has(node) ? node.inputs.slice(node.outputs.length) : node.inputs,
    );
    used.push(...plan.fetches, ...plan.lazy);
    this.usedAtOnce = new Set(
      used.flatMap(({ producer, index }) =>
        producer.kind === "node" && this.inPlace.has(producer) ? [producer.outputs[index]!] : [],
      ),
    );
    const assigned = plan.assigns.map(({ value }) => value);
    const kinds = new Map(plan.leaves.map((value, i) => [value, this.leaves[i]]));
    this.weightParts = weightParts(plan, this.inPlace, (leaf) => kinds.get(leaf) === "variable", cores);
    this.usedBefore = new Set(
      [...used, ...assigned].flatMap(({ producer }) => (producer.kind === "state" ? [producer.storage] : [])),
    );
  }

  /** How many variables a storage is. */
  partsOf(storage: Storage): number {
    return this.weightParts.storages.get(storage) ?? 1;
  }

  /** The leaves that may differ from step to step: all that are fed but for states. */
  inputs(promoted: ReadonlySet<number>): Set<number> {
    const feeds = this.feeds(promoted, new Set());
    return new Set(feeds.filter(({ kind }) => kind !== "state").map(({ leaf }) => leaf));
  }

  /**
   * The leaves that are fed.
   * @param promoted leaves whose number changed from call to call: fed instead of constant
   */
  feeds(promoted: ReadonlySet<number>, stacked: ReadonlySet<number>): Feed[] {
    return this.leaves.flatMap((kind, leaf): Feed[] => {
      if (kind === "variable" || kind === "fill") return [];
      if (kind === "number" && !promoted.has(leaf)) return [];
      return [{ leaf, kind: kind === "number" ? "scalar" : kind, stacked: stacked.has(leaf) }];
    });
  }
}

function leafKind({ producer, data, read }: Value, written: ReadonlySet<Storage>): LeafKind {
  if (data === undefined && read === undefined) {
    if (producer.kind === "state" && producer.version === producer.storage.version) {
      if (written.has(producer.storage)) return "variable";
    }
    if (producer.kind === "fill") return "fill";
  }
  if (producer.kind === "scalar") return producer.varying ? "scalar" : "number";
  return producer.kind === "state" ? "state" : "data";
}

/** Whether each output of a node is the next value of the variable that is its input. */
function updatesInPlace(node: Node, plan: Plan): boolean {
  if (node.op.inPlace === undefined) return false;
  return node.outputs.every((output, i) => {
    const input = node.inputs[i]!.producer;
    const target = plan.assigns.filter((a) => a.value === output);
    return (
      target.length === 1 &&
      input.kind === "state" &&
      input.storage === target[0]!.storage &&
      input.version === input.storage.version
    );
  });
}
