import { isDebugged } from "../host/debugger.ts";
import type { Team } from "../parallel/team.ts";
import type { Policy } from "../../tensor/recording/policy.ts";
import { changePolicy, runtime } from "../../tensor/recording/runtime.ts";
import type { CallbackList } from "./callbacks.ts";
import type { Prepared } from "./prepare.ts";
import type { TrainerState } from "./trainerState.ts";

/** Callbacks that may read gradients after their step. */
const GRADIENT_CALLBACKS = ["onAfterBackward", "onBeforeOptimizerStep", "onStepEnd", "onBatchEnd"] as const;
/** Callbacks that are called for every batch, with its values. */
const BATCH_CALLBACKS = [...GRADIENT_CALLBACKS, "onBatchStart", "onBeforeBackward"] as const;
/**
 * Steps in which a `trainStep` shows whether it reads gradients of the step before. If it doesn't, they are no longer kept,
 * and its steps can be deferred. That halves the CPU time of a step that clips gradients (MLP of 32-64-10, batches of 64,
 * native: 163 µs in place of 318 µs) and saves 2 % of a small GAN's step, and a fifth of its elapsed time.
 */
const PROBATION = 8;

/** Which of the user's code reads single steps: what no code reads needn't be kept, nor computed at once. */
export class StepReaders {
  /** Whether the values of each batch are read before the next. */
  readonly everyBatch: boolean;
  /** Whether each process of a team may keep its part of what a batch gives until the step. */
  readonly leavesParts: boolean;
  readonly #state: TrainerState;
  readonly #reads = runtime.gradientReads;

  /** @param team decides together: its calls must have the same steps */
  constructor(
    { experiment, schedules }: Prepared,
    callbacks: CallbackList,
    state: TrainerState,
    team?: Team,
  ) {
    this.#state = state;
    const { trainStep } = experiment.options;
    const debugged = team === undefined ? isDebugged() : team.agreed(isDebugged());
    this.everyBatch = schedules.watchSteps || debugged || BATCH_CALLBACKS.some((name) => callbacks.has(name));
    this.leavesParts = team !== undefined && !this.everyBatch;
    // Only the user's own code can read gradients after a step.
    if (GRADIENT_CALLBACKS.some((name) => callbacks.has(name)))
      state.gradients = { kept: true, probation: 0 };
    else if (trainStep !== undefined) state.gradients = { kept: true, probation: PROBATION };
  }

  /** The policy of the training. */
  get policy(): Policy {
    return {
      keepGradients: this.#state.gradients.kept,
      repeatBackward: true,
      deferSteps: !this.everyBatch,
      compileAtOnce: true,
      smallPlans: true,
      leaveOutFrom: Infinity,
      shareSteps: true,
      training: this.#state,
    };
  }

  stepDone(): void {
    const { kept, probation } = this.#state.gradients;
    if (probation === 0) return;
    const read = runtime.gradientReads > this.#reads;
    this.#state.gradients = { kept: probation > 1 ? kept : read, probation: read ? 0 : probation - 1 };
    changePolicy({ keepGradients: this.#state.gradients.kept });
  }
}
