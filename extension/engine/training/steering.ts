import type { ControlName } from "../../protocol/controls.ts";
import { fastDevRun, type Limits } from "./limits.ts";
import type { Prepared } from "./prepare.ts";
import type { Checkpoints } from "../resume/checkpoints.ts";
import { savePoint, type TrainerState } from "./trainerState.ts";
import type { Recorder } from "../reporting/recorder.ts";
import { EngineError } from "../../protocol/errors.ts";

/** The controls that {@link Steering} answers; the run answers the others. */
export type SteeringControl = Extract<ControlName, keyof Steering>;

/** Answers the controls that change a training, each in a method of its name, called between two steps. */
export class Steering {
  readonly #prepared: Prepared;
  readonly #limits: Limits;
  readonly #state: TrainerState;
  readonly #recorder: Recorder;
  readonly #checkpoints: Checkpoints;

  constructor(
    prepared: Prepared,
    limits: Limits,
    state: TrainerState,
    recorder: Recorder,
    checkpoints: Checkpoints,
  ) {
    this.#prepared = prepared;
    this.#limits = limits;
    this.#state = state;
    this.#recorder = recorder;
    this.#checkpoints = checkpoints;
  }

  /** Adds epochs. Returns how many there are now. */
  addEpochs(count: number): number {
    const { schedules, experiment } = this.#prepared;
    if (fastDevRun(experiment.options) !== undefined)
      throw new EngineError({ code: "limit", message: "A fastDevRun is one epoch." });
    schedules.checkLonger();
    this.#limits.epochs += count;
    this.#recorder.limitsChanged();
    this.#recorder.event(`${count} more ${count === 1 ? "epoch" : "epochs"}: ${this.#limits.epochs} in all.`);
    this.#recorder.progress();
    return this.#limits.epochs;
  }

  /** Sets the learning rate from the next step on, and saves the weights that were trained with the old one. */
  setLearningRate(lr: number, optimizer?: string): void {
    const { schedules } = this.#prepared;
    const before = schedules.rates();
    schedules.setRate(lr, optimizer);
    if (this.#state.step > 0) this.#checkpoints.trySave("manual", savePoint(this.#state), { alone: true });
    const changed = Object.entries(schedules.rates()).filter(([name, rate]) => rate !== before[name]);
    for (const [name, rate] of changed)
      this.#recorder.event(`${name} changed by hand from ${before[name]} to ${rate}.`, { [name]: rate });
  }
}
