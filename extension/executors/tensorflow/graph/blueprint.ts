import type { Node, Storage, Value } from "../../../tensor/recording/graph.ts";
import { costOf } from "../../../tensor/recording/op.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { resolved } from "../../nhwc.ts";
import type { ShardedPlan } from "../sharding/shardedPlan.ts";
import { isVariable, updatesInPlace } from "./variables.ts";

/** A leaf of the plan that is an input of the graph. */
export interface Feed {
  /** Position among the plan's leaves. */
  readonly leaf: number;
  readonly kind: "data" | "scalar" | "state";
}

type LeafKind = "variable" | "fill" | "number" | Feed["kind"];

/**
 * A plan to write graphs from, whenever they are needed. It notes at once all that depends on when the plan was made.
 */
export class Blueprint {
  readonly plan: Plan;
  /** Kind of each leaf: a variable of the session, a constant, or an input. */
  readonly leaves: readonly LeafKind[];
  /** Nodes written as updates of variables. */
  readonly inPlace: ReadonlySet<Node>;
  /** Outputs of these nodes that the same step uses: a GAN's generator meets the updated discriminator. */
  readonly usedAtOnce: ReadonlySet<Value>;
  /** Storages whose value before the step is used by more than their update. */
  readonly usedBefore: ReadonlySet<Storage>;
  /** The storages that the plan writes, and the variables of each. */
  readonly storages: ShardedPlan["storages"];
  /** Multiply-adds of a step. */
  readonly cost: number;
  /** Outputs by their stand-ins, which forget their nodes once computed: programs are written after that, too. */
  readonly standIns: ReadonlyMap<Value, Value>;

  constructor({ plan, storages }: ShardedPlan) {
    this.plan = plan;
    this.storages = storages;
    this.cost = plan.nodes.reduce((sum, node) => sum + costOf(node), 0);
    const written = new Set(storages.flatMap(({ storage, shards }) => [storage, ...shards]));
    this.leaves = plan.leaves.map((value) => leafKind(value, written));
    this.inPlace = new Set(plan.nodes.filter((node) => updatesInPlace(node, plan)));
    const used = plan.nodes.flatMap((node) =>
      this.inPlace.has(node) ? node.inputs.slice(node.outputs.length) : node.inputs,
    );
    used.push(...plan.fetches, ...plan.lazy);
    const assigned = plan.assigns.map(({ value }) => value);
    this.standIns = new Map(
      [...used, ...assigned].flatMap((value) => {
        const output = resolved(value);
        return output === value ? [] : [[value, output] as const];
      }),
    );
    this.usedAtOnce = new Set(
      used.flatMap(({ producer, index }) =>
        producer.kind === "node" && this.inPlace.has(producer) ? [producer.outputs[index]!] : [],
      ),
    );
    this.usedBefore = new Set(
      [...used, ...assigned].flatMap(({ producer }) => (producer.kind === "state" ? [producer.storage] : [])),
    );
  }

  /**
   * The leaves that are fed.
   * @param promoted leaves whose number changed from call to call: fed instead of constant
   */
  feeds(promoted: ReadonlySet<number>): Feed[] {
    return this.leaves.flatMap((kind, leaf): Feed[] => {
      if (kind === "variable" || kind === "fill") return [];
      if (kind === "number" && !promoted.has(leaf)) return [];
      return [{ leaf, kind: kind === "number" ? "scalar" : kind }];
    });
  }
}

function leafKind(value: Value, written: ReadonlySet<Storage>): LeafKind {
  const { producer, data, read } = value;
  if (isVariable(value, written)) return "variable";
  if (producer.kind === "fill" && data === undefined && read === undefined) return "fill";
  if (producer.kind === "scalar") return producer.varying ? "scalar" : "number";
  return producer.kind === "state" ? "state" : "data";
}
