import type { EvaluationResult } from "../../protocol/engine.ts";
import { defaultStream } from "../../tensor/random/stream.ts";
import { evaluate } from "../evaluation/evaluator.ts";
import type { Recorder } from "../reporting/recorder.ts";
import type { StateKeeper } from "../resume/stateKeeper.ts";
import { take } from "./batches.ts";
import type { CallbackList } from "./callbacks.ts";
import type { Limits } from "./limits.ts";
import type { Prepared } from "./prepare.ts";
import type { TrainerState } from "./trainerState.ts";

/** The parts of a training that a validation uses. */
interface Training {
  readonly callbacks: CallbackList;
  readonly recorder: Recorder;
  readonly keeper: StateKeeper;
  /** Called between batches. False when the run is stopped. */
  readonly tick: () => Promise<boolean>;
}

/** Measures the validation set of a training. */
export class Validation {
  /** Whether a sanity check is under way, which leaves no trace. */
  sanityChecking = false;
  readonly #prepared: Prepared;
  readonly #limits: Limits;
  readonly #state: TrainerState;
  readonly #training: Training;

  constructor(prepared: Prepared, limits: Limits, state: TrainerState, training: Training) {
    this.#prepared = prepared;
    this.#limits = limits;
    this.#state = state;
    this.#training = training;
  }

  /** Whether the epoch has validations. */
  get inEpoch(): boolean {
    const { validation, validationEpochs } = this.#limits;
    return validation > 0 && this.#state.epoch % validationEpochs === 0;
  }

  /**
   * Measures the set. False when the run is stopped meanwhile.
   * @param within Whether batches of the epoch follow it
   */
  async run(within: boolean): Promise<boolean> {
    const { callbacks, keeper, recorder, tick } = this.#training;
    const { validation, train } = this.#prepared;
    if (validation === undefined) return false;
    const state = this.#state;
    recorder.read();
    recorder.validationStarts();
    const before = keeper.generators();
    await callbacks.call("onValidationStart");
    const batches = this.sanityChecking
      ? take(validation.inOrder(), this.#limits.sanity)
      : take(validation.epoch(), this.#limits.validation);
    const result = await evaluate(this.#prepared, { batches, data: { set: "validation", train }, tick });
    if (result === undefined) {
      if (!this.sanityChecking) keeper.validationStopped(before, within);
      return false;
    }
    if (!this.sanityChecking) {
      state.validation = prefixed(result);
      state.validatedIn = state.epoch;
      state.metrics = { ...state.metrics, ...state.validation };
    }
    await callbacks.call("onValidationEnd");
    recorder.validationEnds();
    return true;
  }

  /** Measures a few batches before anything is trained: mistakes in a validation show at once. */
  async sanityCheck(): Promise<void> {
    if (this.#limits.sanity === 0) return;
    const { callbacks } = this.#training;
    const generator = defaultStream.getState();
    this.sanityChecking = true;
    try {
      await callbacks.call("onSanityCheckStart");
      await this.run(false);
      await callbacks.call("onSanityCheckEnd");
    } finally {
      this.sanityChecking = false;
      defaultStream.setState(generator);
    }
  }
}

function prefixed({ metrics }: EvaluationResult): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`val_${name}`, value]));
}
