import { availableParallelism } from "node:os";
import { chosenThreads } from "../../native/load.ts";
import type { Plan } from "../../tensor/planning/barrier.ts";
import type { TrainingGraphs } from "../../tensor/recording/policy.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { Fallbacks, firstDifference, graphName, outlineOf, type Choice, type Outline } from "../choices.ts";
import {
  MAX_COMPILED_PLANS,
  MAX_PLANS_AT_FIRST_SIGHT,
  MAX_SEEN_KEYS,
  MIN_COMPILED_NODES,
} from "../tuning.ts";
import { CompiledPlan } from "./compiledPlan.ts";
import type { Context } from "./context.ts";
import { shardPlan, wholePlan } from "./sharding/shardedPlan.ts";
import { sharedPlan } from "./sharding/sharing.ts";

/** Decides which plans are compiled, and keeps them. */
export class PlanCache {
  readonly fallbacks = new Fallbacks();
  /** The training step that was compiled last. */
  #lastStep: Outline | undefined;
  /** By key; the most recently used comes last. */
  readonly #plans = new Map<string, CompiledPlan>();
  readonly #seen = new Set<string>();
  /** By key, plans that {@link prepare} has compiled and that have not run yet. */
  readonly #prepared = new Map<string, CompiledPlan>();
  /** By key, whether a group shares a plan; until the plan is compiled, this process's part of it. */
  readonly #shared = new Map<string, Plan | boolean>();
  /** Stands for the state of a training that has none. */
  readonly #noTraining: Pick<TrainingGraphs, "compiled"> = { compiled: [] };
  readonly #context: Context;
  readonly #cores: number;

  constructor(context: Context, cores: number) {
    this.#context = context;
    this.#cores = cores;
  }

  has(key: string): boolean {
    return this.#plans.has(key);
  }

  /** Whether to compile a plan of a training when it is first seen: only its first few graphs. Later ones are never compiled. */
  compilesAtOnce({ nodes, graph }: Plan): boolean {
    if (!runtime.policy.compileAtOnce || nodes.length < MIN_COMPILED_NODES) return false;
    const { compiled } = this.#training;
    return compiled.length < MAX_PLANS_AT_FIRST_SIGHT || compiled.includes(graph);
  }

  get #training(): Pick<TrainingGraphs, "compiled"> {
    return runtime.policy.training ?? this.#noTraining;
  }

  /** Whether processes of a group compute a plan together, which needs a session. */
  exchanges(plan: Plan): boolean {
    const { group } = this.#context;
    if (group === undefined || group.size === 1) return false;
    if (hasExchange(plan)) return true;
    const known = this.#shared.get(plan.key);
    if (known !== undefined) return known !== false;
    const shared = runtime.policy.shareSteps ? (sharedPlan(plan, group) ?? false) : false;
    if (this.#shared.size >= MAX_SEEN_KEYS) this.#shared.delete(first(this.#shared.keys())!);
    this.#shared.set(plan.key, shared);
    return shared !== false;
  }

  /** Returns the compiled form of a plan; undefined for a plan to be interpreted. */
  get(plan: Plan): CompiledPlan | undefined {
    const { key } = plan;
    const known = this.#plans.get(key);
    if (known !== undefined) {
      const current = this.#updated(known, plan);
      this.#plans.delete(key);
      this.#plans.set(key, current);
      return current;
    }
    if (this.exchanges(plan)) return this.#compile(plan);
    if (plan.nodes.length < MIN_COMPILED_NODES) return undefined;
    if (!runtime.policy.compileAtOnce) {
      if (this.#seen.delete(key)) return this.#compile(plan);
      this.expect(key);
      return undefined;
    }
    if (this.compilesAtOnce(plan)) {
      const training = this.#training;
      if (!training.compiled.includes(plan.graph)) training.compiled = [...training.compiled, plan.graph];
      return this.#compile(plan);
    }
    this.#fellBack(plan);
    return undefined;
  }

  /**
   * Compiles a plan in the background, while it still runs elsewhere: until {@link expect}.
   * @param varied leaves whose numbers change from run to run
   */
  prepare(plan: Plan, varied: ReadonlySet<number>): void {
    if (plan.nodes.length < MIN_COMPILED_NODES || this.#prepared.has(plan.key)) return;
    try {
      const compiled = this.#made(plan, varied);
      this.#prepared.set(plan.key, compiled);
      compiled.prepare();
    } catch {
      // Its step is computed already. The error is thrown again when the plan is to run compiled.
      this.#prepared.delete(plan.key);
      return;
    }
    if (this.#prepared.size > MAX_COMPILED_PLANS) this.#evict(this.#prepared);
  }

  /** Has a plan run compiled from its next run on: takes the prepared form, or compiles it then. */
  expect(key: string): void {
    const prepared = this.#prepared.get(key);
    if (prepared !== undefined) {
      this.#prepared.delete(key);
      this.#add(key, prepared);
      return;
    }
    this.#seen.add(key);
    if (this.#seen.size > MAX_SEEN_KEYS) this.#seen.delete(first(this.#seen)!);
  }

  /** Returns `known`, or a replacement if the constants of `plan` differ from its own. */
  #updated(known: CompiledPlan, plan: Plan): CompiledPlan {
    const changed = known.mismatch(plan);
    if (changed === undefined) return known;
    this.#context.counters.recompiled++;
    return known.replacement(changed);
  }

  #compile(plan: Plan): CompiledPlan {
    const prepared = this.#prepared.get(plan.key);
    this.#prepared.delete(plan.key);
    const compiled = prepared === undefined ? this.#made(plan) : this.#updated(prepared, plan);
    if (plan.assigns.length > 0) this.#lastStep = outlineOf(plan);
    this.#add(plan.key, compiled);
    return compiled;
  }

  #made(plan: Plan, varied?: ReadonlySet<number>): CompiledPlan {
    const { counters, gpu } = this.#context;
    const own = this.#own(plan);
    const sharded = gpu ? wholePlan(own) : shardPlan(own, this.#cores);
    if (sharded.batch.count > 1) counters.sharded++;
    counters.compiled++;
    return new CompiledPlan(this.#context, sharded, varied);
  }

  /** Returns this process's part of a plan that a group shares; else the plan itself. */
  #own(plan: Plan): Plan {
    const { group } = this.#context;
    if (group === undefined || !this.exchanges(plan)) return plan;
    const shared = this.#shared.get(plan.key) ?? false;
    if (shared === false) return plan;
    // The map outlives the step and must not hold its graph.
    this.#shared.set(plan.key, true);
    return (shared === true ? sharedPlan(plan, group) : shared) ?? plan;
  }

  #add(key: string, compiled: CompiledPlan): void {
    this.#plans.set(key, compiled);
    if (this.#plans.size > MAX_COMPILED_PLANS) this.#evict(this.#plans);
  }

  #evict(plans: Map<string, CompiledPlan>): void {
    const oldest = first(plans.keys())!;
    plans.get(oldest)!.close();
    plans.delete(oldest);
    this.#context.counters.evicted++;
  }

  /** Closes all plans. */
  close(): void {
    for (const plan of [...this.#plans.values(), ...this.#prepared.values()]) plan.close();
    this.#plans.clear();
    this.#prepared.clear();
  }

  /** Automatic choices for the process and the compiled graphs. */
  choices(): Choice[] {
    const threads = chosenThreads();
    const made = [...this.#plans.values()].flatMap((plan) => plan.choices());
    if (threads === undefined) return made;
    const { intraOp, interOp = String(availableParallelism()), why } = threads;
    return [
      { graph: "", about: "threads", chosen: `${intraOp} inside an op, ${interOp} between`, why },
      ...made,
    ];
  }

  /** Reports why a training's graph is computed op by op. */
  #fellBack(plan: Plan): void {
    this.#context.counters.fellBack++;
    if (!this.fallbacks.wanted || this.#lastStep === undefined) return;
    const { node, got, expected } = firstDifference(this.#lastStep, plan);
    this.fallbacks.note({
      graph: graphName(plan, plan.nodes.length),
      why: `there were ${MAX_PLANS_AT_FIRST_SIGHT} different graphs before it; this one has ${got} where the last step had ${expected}`,
      op: node.op.name,
      module: node.module,
      site: node.site,
    });
  }
}

const hasExchange = ({ nodes }: Plan): boolean => nodes.some(({ op }) => op.collective === true);

function first<T>(items: Iterable<T>): T | undefined {
  for (const item of items) return item;
  return undefined;
}
