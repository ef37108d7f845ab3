import type { NativeBinding } from "../../native/binding.ts";
import { warnOnce } from "../../tensor/core/warnings.ts";
import { IncompletePlan, isIncomplete, type Plan } from "../../tensor/planning/executor.ts";
import { KERNELS_OVER, type TrainingGraphs } from "../../tensor/recording/policy.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import type { Choice } from "../choices.ts";
import type { SmallPlans } from "../kernels/smallPlans.ts";
import { KERNELS_FIRST, MAX_PLANS_AT_FIRST_SIGHT } from "../tuning.ts";
import type { PlanCache } from "./planCache.ts";

const NONE: ReadonlySet<number> = new Set();

/** LAYERWISE_KERNELS_FIRST has TensorFlow take over after so many milliseconds, whether or not it is faster; undefined without it. */
function fixedLimit(text: string | undefined): number | undefined {
  const limit = text === undefined || text === "" ? NaN : Number(text);
  return limit >= 0 ? limit : undefined;
}

/** The binding's functions that load TensorFlow. */
type Library = Pick<NativeBinding, "prepareTensorFlow" | "loadTensorFlow">;

/**
 * The first steps of a training, which the binding's own kernels compute: mostly all of them. Where TensorFlow would be much faster,
 * it takes over once that has cost as much time as it takes to load TensorFlow and to compile the training's graphs. The step at which
 * it does follows from the estimates of the steps and not from a clock: the same training gives the same numbers each time.
 */
export class FirstSteps {
  readonly #small: Pick<SmallPlans, "estimate">;
  readonly #plans: Pick<PlanCache, "prepare">;
  readonly #library: Library;
  readonly #fixed = fixedLimit(process.env["LAYERWISE_KERNELS_FIRST"]);
  /** Keys of the plans that are compiled meanwhile. */
  readonly #prepared = new Set<string>();
  #used = false;
  #over = false;
  /** Why TensorFlow can't be loaded. */
  #unloadable: string | undefined;

  constructor(small: Pick<SmallPlans, "estimate">, plans: Pick<PlanCache, "prepare">, library: Library) {
    this.#small = small;
    this.#plans = plans;
    this.#library = library;
  }

  /**
   * Whether the kernels compute a plan of a training. Counts it.
   * @throws IncompletePlan
   */
  take(plan: Plan, training: TrainingGraphs): boolean {
    const limit = this.#fixed ?? KERNELS_FIRST;
    const { kernelWork } = training;
    if (kernelWork >= limit) return false;
    const estimate = this.#small.estimate(plan);
    if (this.#unloadable !== undefined) return estimate !== undefined;
    const counted = this.#fixed === undefined ? estimate?.savings : estimate?.milliseconds;
    const work = kernelWork + (counted ?? Infinity);
    const compiles = work >= 0.75 * limit && work < limit && this.#isNew(plan.key);
    if (compiles && isIncomplete(plan)) throw new IncompletePlan();
    // In its state, a training that can't go over stays before its limit: once TensorFlow can be loaded, it is resumed there.
    if (estimate !== undefined && work >= limit && !this.#loads()) return true;
    this.#over = work >= limit;
    training.kernelWork = this.#over ? KERNELS_OVER : work;
    if (this.#over) {
      this.#prepared.clear();
      return false;
    }
    this.#used = true;
    // Does nothing where it was called before. A resumed training may begin in its second half.
    if (work >= limit / 2) this.#library.prepareTensorFlow();
    if (compiles) {
      this.#prepared.add(plan.key);
      this.#plans.prepare(plan, NONE);
    }
    return true;
  }

  /** Whether to compile a plan in the background: as many as will be compiled later. */
  #isNew(key: string): boolean {
    return this.#prepared.size < MAX_PLANS_AT_FIRST_SIGHT && !this.#prepared.has(key);
  }

  /** Loads TensorFlow. @returns whether it can be: a training that has begun doesn't end for that */
  #loads(): boolean {
    try {
      this.#library.loadTensorFlow();
      return true;
    } catch (error) {
      this.#used = true;
      this.#unloadable = (error as Error).message;
      warnOnce(
        `TensorFlow can't be loaded, so Layerwise's own kernels compute the training: ${this.#unloadable}`,
      );
      return false;
    }
  }

  /** Has TensorFlow compute the rest of a training: the kernels refuse a plan. */
  refused(): void {
    const { training } = runtime.policy;
    if (training !== undefined) training.kernelWork = KERNELS_OVER;
    this.#over = true;
  }

  choices(): Choice[] {
    if (!this.#used) return [];
    const faster = "it is faster, but has to be loaded first, and graphs to be compiled";
    const first = "they need no loading and compiling, and TensorFlow is hardly faster, if at all";
    return [
      {
        graph: "",
        about: "engine",
        chosen: this.#over ? "TensorFlow, after own kernels" : "own kernels",
        why:
          this.#unloadable !== undefined
            ? `TensorFlow can't be loaded: ${this.#unloadable}`
            : this.#over
              ? faster
              : first,
      },
    ];
  }
}
