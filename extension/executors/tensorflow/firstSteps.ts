import { IncompletePlan, isIncomplete, type Plan } from "../../tensor/planning/executor.ts";
import { KERNELS_OVER, type TrainingGraphs } from "../../tensor/recording/policy.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import type { Choice } from "../choices.ts";
import type { SmallPlans } from "../kernels/smallPlans.ts";
import { KERNELS_FIRST } from "../tuning.ts";
import type { PlanCache } from "./planCache.ts";

const NONE: ReadonlySet<number> = new Set();

/** LAYERWISE_KERNELS_FIRST replaces the limit: with 0, TensorFlow computes all steps of trainings. */
function limitOf(text: string | undefined): number {
  const limit = text === undefined || text === "" ? NaN : Number(text);
  return limit >= 0 ? limit : KERNELS_FIRST;
}

/**
 * The first steps of a training, which the binding's own kernels compute, until TensorFlow is loaded and has compiled the training's
 * graphs: so the first step is there at once, and a short training never needs TensorFlow. The step at which TensorFlow takes over
 * follows from the estimates of the steps and not from a clock: the same training gives the same numbers each time.
 */
export class FirstSteps {
  readonly #small: SmallPlans;
  readonly #plans: PlanCache;
  readonly #load: () => void;
  readonly #limit = limitOf(process.env["LAYERWISE_KERNELS_FIRST"]);
  /** Keys of the plans that are compiled meanwhile. */
  readonly #prepared = new Set<string>();
  #used = false;
  #over = false;

  /** @param load has TensorFlow loaded on another thread */
  constructor(small: SmallPlans, plans: PlanCache, load: () => void) {
    this.#small = small;
    this.#plans = plans;
    this.#load = load;
  }

  /**
   * Whether the kernels compute a plan of a training. Counts it.
   * @throws IncompletePlan
   */
  take(plan: Plan, training: TrainingGraphs): boolean {
    const limit = this.#limit;
    const { kernelWork } = training;
    if (kernelWork >= limit) return false;
    const estimate = this.#small.estimate(plan);
    const work = kernelWork + (estimate ?? Infinity);
    const compiles = work >= 0.75 * limit && work < limit && !this.#prepared.has(plan.key);
    if (compiles && isIncomplete(plan)) throw new IncompletePlan();
    this.#over = work >= limit;
    training.kernelWork = this.#over ? KERNELS_OVER : work;
    if (this.#over) return false;
    this.#used = true;
    if (work >= limit / 2 && kernelWork < limit / 2) this.#load();
    if (compiles) {
      this.#prepared.add(plan.key);
      this.#plans.prepare(plan, NONE);
    }
    return true;
  }

  /** Has TensorFlow compute the rest of a training: the kernels refuse a plan. */
  refused(): void {
    const { training } = runtime.policy;
    if (training !== undefined) training.kernelWork = KERNELS_OVER;
    this.#over = true;
  }

  choices(): Choice[] {
    if (!this.#used) return [];
    return [
      {
        graph: "",
        about: "engine",
        chosen: this.#over ? "TensorFlow, after own kernels" : "own kernels",
        why: "they need no loading and compiling, so they compute the first seconds of a training",
      },
    ];
  }
}
