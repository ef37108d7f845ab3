import { chosenThreads } from "../../native/load.ts";
import { internal } from "../../tensor/core/errors.ts";
import type { Plan } from "../../tensor/planning/barrier.ts";
import { graphName, type Choice } from "../choices.ts";
import { CALL_MS, MAX_INLINE_MACS } from "../tuning.ts";
import { VaryingInputs } from "./feeding.ts";
import { withoutGpuKernel } from "./gpu.ts";
import { Blueprint } from "./graph/blueprint.ts";
import { writeStep, type Graph } from "./graph/graphWriter.ts";
import type { Context } from "./context.ts";
import { openSession } from "./group/session.ts";
import { Program } from "./program.ts";
import type { ShardedPlan } from "./sharding/shardedPlan.ts";
import { CallLength } from "./steps/callLength.ts";
import { LoopProgram } from "./steps/loopProgram.ts";
import { StepPipeline } from "./steps/pipeline.ts";

/** A plan that is compiled: a program for a single step, and a pipeline whose program computes many. */
export class CompiledPlan {
  readonly pipeline: StepPipeline;
  readonly #context: Context;
  readonly #sharded: ShardedPlan;
  /** Leaves whose number changed from call to call: fed instead of constant. */
  readonly #promoted: ReadonlySet<number>;
  readonly #blueprint: Blueprint;
  readonly #single: Program;
  readonly #loop: LoopProgram;
  readonly #length = new CallLength();
  readonly #varying: VaryingInputs;
  /** Ops of its graph that have no kernel for GPUs; undefined on the CPU. */
  readonly #offGpu: readonly string[] | undefined;
  /** Threads inside an op, where the process has not chosen them. */
  readonly #threads: number | undefined;
  /** Waits until {@link prepare} is done. */
  #ready: (() => void) | undefined;

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
    const { binding, counters, gpu } = context;
    this.#threads = chosenThreads()?.asked === true ? undefined : sharded.threads;
    // Shards run side by side, and a large step uses the threads of its kernels.
    const alone =
      !gpu && sharded.batch.count === 1 && sharded.weights === 0 && blueprint.cost <= MAX_INLINE_MACS;
    const exchanges = sharded.plan.nodes.some(({ op }) => op.collective === true);
    const group = exchanges ? context.group : undefined;
    if (group !== undefined)
      this.#length.agree = (milliseconds) => group.sum(Float32Array.of(milliseconds))[0]! / group.size;
    const threads = this.#threads ?? 0;
    const program = (graph: Graph): Program =>
      new Program(context, graph, alone && group === undefined, openSession(binding, graph, threads, group));
    const step = writeStep(blueprint, promoted);
    this.#offGpu = gpu ? withoutGpuKernel(step.nodes.map(({ op }) => op)) : undefined;
    this.#single = program(step);
    this.#varying = new VaryingInputs(this.#single.feeds, blueprint.plan);
    this.#loop = new LoopProgram(blueprint, promoted, this.#varying, program, gpu);
    const single = this.#single;
    const loop = this.#loop;
    const varying = this.#varying;
    const length = this.#length;
    this.pipeline = new StepPipeline(binding, blueprint.plan, { single, loop, varying, length, counters });
  }

  /** Has TensorFlow prepare the graph on another thread. The first use of the graph waits for it. */
  prepare(): void {
    this.#ready = this.#single.prepare(this.#blueprint.plan);
  }

  #prepared(): void {
    const ready = this.#ready;
    this.#ready = undefined;
    try {
      ready?.();
    } catch {
      // An op may refuse the zeros, such as a division.
    }
  }

  /** Leaves whose numbers differ from the compiled ones; undefined when none does. */
  mismatch(plan: Plan): readonly number[] | undefined {
    return this.#single.mismatch(plan);
  }

  /** Returns a plan with the numbers that have changed as inputs. Closes this one, which must have no pending steps. */
  replacement(changed: readonly number[]): CompiledPlan {
    if (this.pipeline.pending > 0) internal("a plan is replaced while steps of it wait");
    this.close();
    const all = new Set([...this.#promoted, ...changed]);
    return new CompiledPlan(this.#context, this.#sharded, all, this.#blueprint);
  }

  /** Computes a plan now. Returns the tensors of its lazy values. */
  run(plan: Plan): number[] {
    this.#prepared();
    this.pipeline.discard();
    const inputs = this.#single.inputs(plan, true);
    this.#varying.note(inputs);
    return this.#length.time(1, () => this.#single.run(plan, inputs));
  }

  /** Automatic choices for this plan so far. */
  choices(): Choice[] {
    const { batch, weights, plan, ops } = this.#sharded;
    const graph = graphName(plan, ops);
    const compiled = `${this.#single.size} TensorFlow nodes, one call`;
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
    if (plan.lazy.length === 0) made.push({ graph, about: "XLA", ...this.#loop.xlaChoice });
    const calls = this.#calls();
    return calls === undefined ? made : [...made, { graph, about: "steps a call", ...calls }];
  }

  /** Number of steps of a call, and the reason; undefined while it isn't known. */
  #calls(): Pick<Choice, "chosen" | "why"> | undefined {
    const loop = this.#loop;
    const length = this.#length;
    if (!loop.possible) return { chosen: "1", why: "an op of it can't be part of a loop in the graph" };
    if (length.stepTime === undefined) return undefined;
    const why = `a step takes ${Number(length.stepTime.toPrecision(2))} ms, and a call at most ${CALL_MS}`;
    if (length.steps < 2) return { chosen: "1", why };
    if (loop.isOpen) return { chosen: `up to ${length.steps}`, why };
    return { chosen: "1", why: "each step is read before the next is recorded" };
  }

  close(): void {
    this.abandon();
    this.#loop.close();
  }

  /** Like {@link close}, without waiting for XLA. */
  abandon(): void {
    this.#prepared();
    this.pipeline.discard();
    this.#single.close();
    this.#loop.release();
  }
}
