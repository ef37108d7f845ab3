import { availableParallelism } from "node:os";
import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { internal } from "../../tensor/core/errors.ts";
import {
  IncompletePlan,
  isIncomplete,
  type Executor,
  type Inspector,
  type Plan,
} from "../../tensor/planning/executor.ts";
import type { Storage, Value } from "../../tensor/recording/graph.ts";
import type { Tfjs } from "../../tensor/recording/op.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import type { Choice } from "../choices.ts";
import { translated } from "../errors.ts";
import { demandMemoryFor, interpret } from "../interpreter.ts";
import { KernelRunner } from "./kernelRunner.ts";
import { LazyValues } from "./lazyValues.ts";
import { byOwnKernels, type Compute } from "./oneNode.ts";
import { SmallPlans } from "./smallPlans.ts";
import { StorageMemory } from "./storages.ts";

/**
 * Runs plans with the kernels of the binding alone, which ships with Layerwise: the default where TensorFlow is not installed. The
 * few ops that have no kernel there are computed by tfjs.
 */
export class KernelExecutor implements Executor {
  readonly counters = { interpreted: 0, interpretedNodes: 0, small: 0 };
  /** Plans take kept values without a copy. */
  readonly saves = true;
  readonly #binding: NativeBinding;
  readonly #threads: number;
  readonly #tfjs: () => Tfjs;
  readonly #storages: StorageMemory;
  readonly #lazy: LazyValues;
  readonly #small: SmallPlans;

  /**
   * @param tfjs loads tfjs with its cpu backend, for nodes without a kernel
   * @param threads maximum number of threads of an op. Default: one for each core
   */
  constructor(binding: NativeBinding, tfjs: () => Tfjs, threads = availableParallelism()) {
    this.#binding = binding;
    this.#threads = threads;
    this.#tfjs = tfjs;
    const compute: Compute = (inputs, write) =>
      byOwnKernels(binding, threads, inputs, (b, refs) => [write(b, refs)])?.[0] ??
      internal("a node without a kernel");
    this.#storages = new StorageMemory(binding, compute);
    this.#lazy = new LazyValues(binding, compute);
    this.#small = new SmallPlans(binding, this.#storages, threads, (value) => this.#lazy.kept(value));
  }

  run(plan: Plan, inspector?: Inspector): void {
    this.#storages.freeAbandoned();
    try {
      this.#storages.prepare(plan);
      const wanted = inspector === undefined && runtime.policy.smallPlans;
      const made = wanted ? this.#small.run(plan) : undefined;
      if (made !== undefined) {
        this.counters.small++;
        this.#lazy.keep(plan.lazy, made.ids, made.images);
        return;
      }
      if (isIncomplete(plan)) throw new IncompletePlan();
      demandMemoryFor(plan);
      const runner = new KernelRunner(this.#binding, this.#threads, this.#storages, this.#lazy, this.#tfjs);
      this.#lazy.keep(plan.lazy, interpret(plan, runner, this.#storages, this.counters, inspector));
    } catch (error) {
      throw translated(error);
    }
  }

  compiled(key: string): boolean {
    return runtime.policy.smallPlans && this.#small.has(key);
  }

  get pendingSteps(): number {
    return this.#small.pending;
  }

  read(storage: Storage): HostArray {
    return this.#storages.read(storage);
  }

  /** Live tensors of the binding, for tests of leaks. */
  get tensors(): number {
    return this.#binding.getNumOfTensors();
  }

  holds(value: Value): boolean {
    return this.#lazy.holds(value);
  }

  release(value: Value): void {
    this.#lazy.release(value);
  }

  choices(): Choice[] {
    const why = "these kernels compile no graphs: the native engine, with TensorFlow, does";
    return [{ graph: "", about: "graph", chosen: "kernels of Layerwise", why }];
  }

  /** Frees its plans; nothing of it will be read. */
  close(): void {
    this.#small.close();
  }
}
