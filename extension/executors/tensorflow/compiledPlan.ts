import { chosenThreads } from "../../native/load.ts";
import type { Plan } from "../../tensor/planning/barrier.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { graphName, type Choice } from "../choices.ts";
import { MAX_INLINE_MACS } from "../tuning.ts";
import { withoutGpuKernel } from "./gpu.ts";
import { Blueprint } from "./graph/blueprint.ts";
import { writeStep } from "./graph/graphWriter.ts";
import type { Context } from "./context.ts";
import { openSession } from "./group/session.ts";
import { Program } from "./program.ts";
import type { ShardedPlan } from "./sharding/shardedPlan.ts";

/** A plan that is compiled into a graph, whose session computes a step a call. */
export class CompiledPlan {
  readonly #context: Context;
  readonly #sharded: ShardedPlan;
  /** Leaves whose number changed from call to call: fed instead of constant. */
  readonly #promoted: ReadonlySet<number>;
  readonly #blueprint: Blueprint;
  readonly #program: Program;
  /** Whether its ops run one after the other on the calling thread: waking others would take longer. */
  readonly #alone: boolean;
  /** Ops of its graph that have no kernel for GPUs; undefined on the CPU. */
  readonly #offGpu: readonly string[] | undefined;
  /** Threads inside an op, where the process has not chosen them. */
  readonly #threads: number | undefined;

  constructor(
    context: Context,
    sharded: ShardedPlan,
    promoted: ReadonlySet<number> = new Set(),
    blueprint = new Blueprint(sharded),
  ) {
    this.#context = context;
    this.#sharded = sharded;
    this.#promoted = promoted;
    this.#blueprint = blueprint;
    const { binding, gpu } = context;
    this.#threads = chosenThreads()?.asked === true ? undefined : sharded.threads;
    const exchanges = sharded.plan.nodes.some(({ op }) => op.collective === true);
    const group = exchanges ? context.group : undefined;
    // Shards run side by side, and a large step uses the threads of its kernels.
    const whole = sharded.batch.count === 1 && sharded.weights === 0;
    this.#alone = !gpu && group === undefined && whole && blueprint.cost <= MAX_INLINE_MACS;
    const graph = writeStep(blueprint, promoted);
    this.#offGpu = gpu ? withoutGpuKernel(graph.nodes.map(({ op }) => op)) : undefined;
    const session = openSession(binding, graph, this.#threads ?? 0, group);
    this.#program = new Program(context, graph, this.#alone, session);
  }

  /** Has TensorFlow prepare the graph on another thread. The first use of the graph waits for it. */
  prepare(): void {
    this.#program.prepare(this.#blueprint.plan);
  }

  /** Leaves whose numbers differ from the compiled ones; undefined when none does. */
  mismatch(plan: Plan): readonly number[] | undefined {
    return this.#program.mismatch(plan);
  }

  /** Returns a plan with the numbers that have changed as inputs. Closes this one. */
  replacement(changed: readonly number[]): CompiledPlan {
    this.finish();
    this.close();
    const all = new Set([...this.#promoted, ...changed]);
    return new CompiledPlan(this.#context, this.#sharded, all, this.#blueprint);
  }

  /** Computes a plan. Where no code reads each step, another thread does. Returns the tensors of its lazy values. */
  run(plan: Plan): number[] {
    const { assigns, lazy } = plan;
    if (!runtime.policy.deferSteps || this.#alone || assigns.length === 0 || lazy.length > 0)
      return this.#program.run(plan);
    this.#program.start(plan);
    this.#context.counters.deferred++;
    return [];
  }

  /** Whether a step is under way. */
  get pending(): boolean {
    return this.#program.pending;
  }

  /**
   * Waits for the step under way, if there is one.
   * @throws TensorError if it is refused
   */
  finish(): void {
    this.#program.finish();
  }

  /** Automatic choices for this plan so far. */
  choices(): Choice[] {
    const { batch, weights, plan, ops } = this.#sharded;
    const graph = graphName(plan, ops);
    const compiled = `${this.#program.size} TensorFlow nodes, one call`;
    const made = [{ graph, about: "graph", chosen: "compiled", why: compiled }];
    if (this.#offGpu !== undefined)
      made.push(
        this.#offGpu.length === 0
          ? { graph, about: "device", chosen: "GPU", why: "all ops have kernels for it" }
          : {
              graph,
              about: "device",
              chosen: `GPU, and the CPU for ${this.#offGpu.join(", ")}`,
              why: "TensorFlow has no kernel of these for GPUs",
            },
      );
    if (plan.assigns.length + plan.lazy.length === 0) return made;
    const { count, why } = batch;
    made.push({ graph, about: "batch", chosen: count > 1 ? `${count} shards` : "whole", why });
    if (weights > 0)
      made.push({
        graph,
        about: "weights",
        chosen: `${weights} in shards`,
        why: "cores share their products and updates",
      });
    const { inPlace } = this.#blueprint;
    const updates = [...new Set([...inPlace].map(({ op }) => op.name))].join(", ");
    if (inPlace.size > 0)
      made.push({
        graph,
        about: "update",
        chosen: `in place: ${updates}`,
        why: "TensorFlow has it as one kernel a weight",
      });
    if (this.#threads !== undefined)
      made.push({
        graph,
        about: "threads",
        chosen: `${this.#threads} inside an op`,
        why: "most multiply-adds are in large kernels",
      });
    return made;
  }

  /** Waits for the step under way and moves all storages out of the session. */
  close(): void {
    this.#program.close();
  }
}
