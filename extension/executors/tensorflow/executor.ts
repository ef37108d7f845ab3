import { availableParallelism } from "node:os";
import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import {
  IncompletePlan,
  isIncomplete,
  type Executor,
  type Inspector,
  type Plan,
} from "../../tensor/planning/executor.ts";
import type { Storage, Value } from "../../tensor/recording/graph.ts";
import type { Choice, Fallbacks } from "../choices.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { translated } from "../errors.ts";
import type { Cluster, Communicator } from "../../tensor/distributed/communicator.ts";
import type { CompiledPlan } from "./compiledPlan.ts";
import type { Context } from "./context.ts";
import { newCounters } from "./counters.ts";
import { FirstSteps } from "./firstSteps.ts";
import { ProcessGroup } from "./group/processGroup.ts";
import { demandMemoryFor, interpret } from "../interpreter.ts";
import { byOwnKernels, type Compute } from "../kernels/oneNode.ts";
import { EagerBuilder, EagerRef } from "./eagerBuilder.ts";
import { eagerRunner } from "./eagerRunner.ts";
import { LazyValues } from "../kernels/lazyValues.ts";
import { PlanCache } from "./planCache.ts";
import { SmallPlans } from "../kernels/smallPlans.ts";
import { StorageMemory } from "../kernels/storages.ts";

/** With the binding's own kernels, which need no TensorFlow, or with TensorFlow where they don't have a node. */
const computeBy =
  (binding: NativeBinding, gpu: boolean): Compute =>
  (inputs, write) => {
    const own = gpu ? undefined : byOwnKernels(binding, 1, inputs, (b, refs) => [write(b, refs)]);
    if (own !== undefined) return own[0]!;
    const b = new EagerBuilder(binding);
    try {
      const refs = inputs.map(({ id }) => new EagerRef(id));
      return b.take(write(b, refs) as EagerRef);
    } finally {
      b.release();
    }
  };

/**
 * Runs plans: by the binding's own kernels, op by op on TensorFlow, or as a compiled graph where that is faster; a training's
 * graphs, which repeat, are compiled from the first step on.
 */
export class TensorFlowExecutor implements Executor {
  readonly counters = newCounters();
  readonly fallbacks: Fallbacks;
  readonly #binding: NativeBinding;
  readonly #storages: StorageMemory;
  readonly #plans: PlanCache;
  readonly #small: SmallPlans;
  readonly #first: FirstSteps;
  readonly #gpu: boolean;
  /** The plan whose step may be under way. */
  #deferred: CompiledPlan | undefined;
  readonly #lazy: LazyValues;
  readonly #context: Context;

  /**
   * @param cores number of cores that a large step is sharded for. Default: all
   * @param gpu whether TensorFlow places ops on a GPU. Then nothing is used that would keep work on the CPU: shards,
   * own kernels, and steps on the calling thread
   */
  constructor(binding: NativeBinding, cores = availableParallelism(), gpu = false) {
    this.#binding = binding;
    this.#gpu = gpu;
    const compute = computeBy(binding, gpu);
    this.#storages = new StorageMemory(binding, compute);
    this.#lazy = new LazyValues(binding, compute);
    const context: Context = {
      binding,
      residences: this.#storages,
      lazy: this.#lazy,
      counters: this.counters,
      gpu,
    };
    this.#context = context;
    this.#plans = new PlanCache(context, cores);
    this.#small = new SmallPlans(
      binding,
      this.#storages,
      cores,
      (value) => this.#lazy.kept(value),
      this.#plans,
    );
    this.#first = new FirstSteps(this.#small, this.#plans, binding);
    this.fallbacks = this.#plans.fallbacks;
  }

  /** Makes this process a member of a group, whose processes share steps and exchange tensors. */
  async join(cluster: Cluster): Promise<Communicator> {
    if (this.#gpu) throw new Error("Several processes train together on processors only, not on GPUs.");
    return (this.#context.group ??= await ProcessGroup.join(this.#binding, cluster));
  }

  run(plan: Plan, inspector?: Inspector): void {
    this.#storages.freeAbandoned();
    let compiled: CompiledPlan | undefined;
    try {
      this.#storages.prepare(plan);
      const small = inspector === undefined && this.#isSmall(plan);
      if (!small && !this.#plans.has(plan.key)) {
        if (isIncomplete(plan)) throw new IncompletePlan();
        demandMemoryFor(plan);
      }
      compiled = inspector === undefined && !small ? this.#plans.get(plan) : undefined;
      if (compiled !== this.#deferred) this.flush();
      if (compiled === undefined) {
        const lazy = small ? this.#small.run(plan) : undefined;
        if (lazy !== undefined) {
          this.counters.small++;
          this.#lazy.keep(plan.lazy, lazy.ids, lazy.images);
          return;
        }
        if (small && isIncomplete(plan)) throw new IncompletePlan();
        if (small) this.#first.refused();
        this.#lazy.keep(plan.lazy, this.#interpret(plan, inspector));
        return;
      }
      this.counters.compiledRuns++;
      this.#lazy.keep(plan.lazy, compiled.run(plan));
      this.#deferred = compiled.pending ? compiled : undefined;
    } catch (error) {
      const known = translated(error);
      if (compiled !== undefined && known instanceof TensorError) this.#explain(plan, known);
      throw known;
    }
  }

  /** Whether the binding's own kernels run a plan. */
  #isSmall(plan: Plan): boolean {
    const { smallPlans, compileAtOnce, training } = runtime.policy;
    if (this.#gpu || !smallPlans) return false;
    // Also where a training before it has compiled the graph: the same training gives the same numbers in each process.
    if (compileAtOnce && training !== undefined && this.#context.group === undefined)
      if (this.#first.take(plan, training)) return true;
    if (this.#plans.has(plan.key) || this.#plans.exchanges(plan)) return false;
    return !this.#plans.compilesAtOnce(plan) && this.#small.takes(plan);
  }

  /** Computes a plan that was refused op by op, and writes nothing: the error there names the node, and its inputs. */
  #explain(plan: Plan, error: TensorError): void {
    const done = (): never => {
      throw error;
    };
    try {
      this.#interpret(plan, { node() {}, done });
    } catch (found) {
      throw found instanceof TensorError ? found : error;
    }
  }

  #interpret(plan: Plan, inspector?: Inspector): number[] {
    const runner = eagerRunner(this.#binding, this.#storages, this.#lazy);
    return interpret(plan, runner, this.#storages, this.counters, inspector);
  }

  get pendingSteps(): number {
    return (this.#deferred?.pending === true ? 1 : 0) + this.#small.pending;
  }

  compiled(key: string): boolean {
    if (this.#plans.has(key)) return true;
    return (
      runtime.policy.smallPlans && !this.#gpu && this.#context.group === undefined && this.#small.has(key)
    );
  }

  flush(): void {
    const deferred = this.#deferred;
    this.#deferred = undefined;
    deferred?.finish();
  }

  read(storage: Storage): HostArray {
    return this.#storages.read(storage);
  }

  /** Live tensors of the library, for tests of leaks. */
  get tensors(): number {
    return this.#binding.getNumOfTensors();
  }

  /** Processes that share a plan may differ in what they read. */
  get saves(): boolean {
    return this.#context.group === undefined;
  }

  holds(value: Value): boolean {
    return this.#lazy.holds(value);
  }

  release(value: Value): void {
    this.#lazy.release(value);
  }

  choices(): Choice[] {
    return [...this.#first.choices(), ...this.#plans.choices()];
  }

  /** Frees its graphs; nothing of it will be read. */
  close(): void {
    this.#plans.close();
    this.#small.close();
  }
}
