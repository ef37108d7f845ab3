import { isDebugged } from "../host/debugger.ts";
import { gradientReads, keep, type Coming } from "../../tensor/planning/runtime.ts";
import type { CallbackList } from "./callbacks.ts";
import type { Prepared } from "./prepare.ts";
import type { TrainerState } from "./trainerState.ts";

/** Callbacks that may ask for gradients after they were computed. */
const SEE_GRADIENTS = ["onAfterBackward", "onBeforeOptimizerStep", "onStepEnd", "onBatchEnd"] as const;
/** Callbacks that are told of every batch, with its values. */
const SEE_BATCHES = [...SEE_GRADIENTS, "onBatchStart", "onBeforeBackward"] as const;
/** Steps in which a `trainStep` shows whether it looks at gradients of the step before. */
const PROBATION = 8;

/** Which callbacks read single steps: what none reads needn't be kept, nor computed at once. */
export class Lookers {
  /** Whether the values of each batch are asked for before the next. */
  readonly atEachBatch: boolean;
  readonly #state: TrainerState;
  /** Whether steps may be computed ahead: each is of one batch, and its rates are those of the one before. */
  readonly #foresees: boolean;
  readonly #reads = gradientReads();

  constructor({ experiment, schedules }: Prepared, callbacks: CallbackList, state: TrainerState) {
    this.#state = state;
    const { trainStep, accumulateGradBatches = 1 } = experiment.options;
    this.#foresees = !schedules.withinEpochs && accumulateGradBatches === 1;
    this.atEachBatch =
      schedules.watchSteps || isDebugged() || SEE_BATCHES.some((name) => callbacks.has(name));
    // Only the user's own code can ask for gradients after a step.
    if (SEE_GRADIENTS.some((name) => callbacks.has(name))) state.gradients = { kept: true, probation: 0 };
    else if (trainStep !== undefined) state.gradients = { kept: true, probation: PROBATION };
  }

  /** Has the engine keep what is read, and no more. */
  begin(): void {
    keep.gradients = this.#state.gradients.kept;
    keep.waiting = !this.atEachBatch;
    keep.repeats = true;
    keep.training = this.#state;
    keep.coming = undefined;
  }

  /** Tells the engine of the batches to come, so that steps that are read one by one can be computed together. */
  epoch(batches: Coming): void {
    keep.coming = this.atEachBatch && this.#foresees ? batches : undefined;
  }

  /** The training is over: its batches needn't be kept. */
  end(): void {
    keep.coming = undefined;
  }

  stepDone(): void {
    const { kept, probation } = this.#state.gradients;
    if (probation === 0) return;
    const read = gradientReads() > this.#reads;
    this.#state.gradients = { kept: probation > 1 ? kept : read, probation: read ? 0 : probation - 1 };
    keep.gradients = this.#state.gradients.kept;
  }
}
