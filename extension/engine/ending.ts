import type { LoopControl } from "./training/control.ts";
import type { Limits } from "./training/limits.ts";
import type { Recorder } from "./reporting/recorder.ts";
import type { Reporter } from "./reporting/reporter.ts";
import type { Stop, TrainerState } from "./training/trainerState.ts";

/** What ends a training before its last epoch: limits, early stopping, callbacks, and requests. */
export class Ending {
  /** Why it is to end, when its own options or callbacks say so. */
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
    // A limit ends also what callbacks have to wait with.
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

  /** Whether it ends at once: limits and early stopping close the epoch first. */
  get atOnce(): boolean {
    return this.#control.stopping !== undefined || this.stop?.by === "a callback";
  }

  /** Says why a training ended that was not asked to, also on its curves. False for one that did all of its epochs. */
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
