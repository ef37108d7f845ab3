import type { LoopControl } from "./training/control.ts";
import type { Limits } from "./training/limits.ts";
import type { Recorder } from "./reporting/recorder.ts";
import type { Reporter } from "./reporting/reporter.ts";
import type { Stop, TrainerState } from "./training/trainerState.ts";

/** Decides whether a training ends before its last epoch: by limits, early stopping, callbacks or requests. */
export class Ending {
  /** Why the training should end, if its own options or callbacks say so. */
  stop: Stop | undefined;
  readonly #limits: Limits;
  readonly #state: TrainerState;
  readonly #control: LoopControl;
  readonly #reporter: Reporter;
  #warnedOfMinimum = false;

  constructor(
    limits: Limits,
    state: TrainerState,
    { control, reporter }: { control: LoopControl; reporter: Reporter },
  ) {
    this.#limits = limits;
    this.#state = state;
    this.#control = control;
    this.#reporter = reporter;
  }

  end(by: Stop["by"], reason: string): void {
    // A limit overrides a stop that still waits for minEpochs or minSteps.
    if (this.stop === undefined || by === "its limit") this.stop = { by, reason };
  }

  /** Whether the training ends here. */
  get due(): boolean {
    if (this.#control.stopping !== undefined) return true;
    if (this.stop === undefined) return false;
    const { minEpochs, minSteps } = this.#limits;
    const { completed, step } = this.#state;
    if (this.stop.by === "its limit" || (completed >= minEpochs && step >= minSteps)) return true;
    if (!this.#warnedOfMinimum) {
      this.#warnedOfMinimum = true;
      const { by, reason } = this.stop;
      const least = `minEpochs = ${minEpochs}, minSteps = ${minSteps}`;
      this.#reporter.log("info", `To be ended by ${by} (${reason}), but not before ${least}.`);
    }
    return false;
  }

  /** Whether the training ends at once; limits and early stopping close the epoch first. */
  get atOnce(): boolean {
    return this.#control.stopping !== undefined || this.stop?.by === "a callback";
  }

  /** Logs why a training ended early, also on its curves. False if it was asked to stop, or did all of its epochs. */
  tell(curves: Pick<Recorder, "mark">): boolean {
    const { stop } = this;
    const done = this.#state.completed >= this.#limits.epochs;
    if (stop === undefined || this.#control.stopping !== undefined) return false;
    if (done && stop.by === "its limit") return false;
    const text = `Ended ${within(this.#state)} by ${stop.by}: ${stop.reason}`;
    this.#reporter.log("info", text);
    curves.mark(`${text}.`);
    return true;
  }
}

function within({ epoch, completed, step }: TrainerState): string {
  return epoch === completed ? `after epoch ${epoch}` : `in epoch ${epoch}, after step ${step}`;
}
