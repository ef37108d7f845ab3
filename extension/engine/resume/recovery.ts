import type { Batch, RollbackOptions } from "../../nn/experiment/experiment.ts";
import { AnomalyError, detectAnomaly } from "../../tensor/recording/anomaly.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { withPolicy } from "../../tensor/recording/runtime.ts";
import { isLazy } from "../../nn/module/uninitialized.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import type { CallbackList } from "../training/callbacks.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { LoopControl } from "../training/control.ts";
import type { Limits } from "../training/limits.ts";
import { NonFinite, some, nonFiniteParameters } from "../training/nonFinite.ts";
import type { Prepared } from "../training/prepare.ts";
import type { Recorder } from "../reporting/recorder.ts";
import type { Reporter } from "../reporting/reporter.ts";
import { badSamples } from "./badSamples.ts";
import type { Resumption } from "./stateKeeper.ts";
import type { TrainerState } from "../training/trainerState.ts";
import { restoreTraining, type TrainingState } from "./trainingState.ts";
import { TrainingStep } from "../training/trainingStep.ts";

/** Most values of a model that are kept for starting again before a state is saved. */
const MOST_KEPT = 2 ** 24;
/** Time limit of the diagnosis in milliseconds. */
const PATIENCE = 60_000;
/** Steps repeated op by op before the one with the bad loss: earlier gradients may have spoilt the weights. */
const LOOKED_AT = 2;

interface Surroundings {
  reporter: Reporter;
  control: LoopControl;
  checkpoints: Checkpoints;
  resumption: Resumption;
}

/** The parts of the trainer that recovery uses. */
interface Training {
  callbacks: CallbackList;
  state: TrainerState;
  recorder: Recorder;
  restore: (from: TrainingState) => void;
}

/** Handles values that are no finite numbers: finds out where they come from, and rolls the training back. */
export class Recovery {
  readonly #prepared: Prepared;
  readonly #limits: Limits;
  readonly #hooks: Surroundings;
  readonly #training: Training;
  readonly #rollback: Required<RollbackOptions>;
  /** State at the training's beginning, unless it is too large to keep. */
  #start: TrainingState | undefined;
  #attempts = 0;
  /** The batch that was trained on last when a step was repeated. */
  #batch: Batch | undefined;
  /** The state of the last rollback, and the factor of its rates: until a newer one is saved, failed steps ran with them. */
  #lowered: { from: TrainingState; factor: number } | undefined;
  /** Step of the last failure, and how many failures in a row were near there. */
  #last = { step: -Infinity, times: 0 };

  constructor(prepared: Prepared, limits: Limits, hooks: Surroundings, training: Training) {
    this.#prepared = prepared;
    this.#limits = limits;
    this.#hooks = hooks;
    this.#training = training;
    const { rollback = hooks.resumption.rollback ?? false } = prepared.experiment.options;
    const given = typeof rollback === "boolean" ? {} : rollback;
    this.#rollback = { lrFactor: 0.5, attempts: rollback === false ? 0 : 3, ...given };
  }

  /** Keeps the state at the training's beginning. */
  begins(state: () => TrainingState): void {
    this.#begin();
    const parameters = this.#prepared.model.parameters();
    // A lazy module has no weights yet.
    if (parameters.some(isLazy)) return;
    if (parameters.reduce((sum, one) => sum + one.numel(), 0) > MOST_KEPT) return;
    const start = state();
    // Initial values are on the host already, and stay as they are.
    const values = Array.from(
      start.model_state_dict as ReadonlyMap<string, Tensor>,
      ([name, tensor]) => [name, fromHost(valuesOf(tensor.value), tensor.shape, tensor.dtype)] as const,
    );
    this.#start = { ...start, model_state_dict: new Map(values) };
  }

  /** Called when a training was resumed from a sound state. */
  resumed(): void {
    this.#begin();
  }

  /** Lowers the learning rates if requested, also where no state was saved and the training begins again. */
  #begin(): void {
    const { begins, rollback } = this.#hooks.resumption;
    const { recorder, state } = this.#training;
    begins?.();
    if (rollback === true) {
      const factor = this.#rollback.lrFactor;
      const rates = this.#slower(factor);
      recorder.event(`Back to step ${state.step}, with the learning rate × ${factor}.`, rates, state.step);
    }
    // Views count the time from here: the first step may take long.
    recorder.progress();
    this.#hooks.reporter.flush();
  }

  #slower(factor: number): Record<string, number> {
    const { schedules } = this.#prepared;
    for (const [name, rate] of Object.entries(schedules.rates()))
      schedules.setRate(rate * factor, name === "lr" ? undefined : name.slice("lr_".length));
    return schedules.rates();
  }

  /** @throws NonFinite when a weight is no finite number */
  check(): void {
    const { experiment, model } = this.#prepared;
    if (experiment.options.terminateOnNan === false) return;
    const [name] = nonFiniteParameters(model);
    const { step, epoch } = this.#training.state;
    if (name !== undefined)
      throw new NonFinite(`Parameter ${name} is no finite number after step ${step} (epoch ${epoch})`, step);
  }

  /**
   * Finds the cause of a failure, and rolls the training back to a sound state if that is wanted.
   * @returns the state to continue from
   * @throws TensorError "non-finite" with the cause; any other error unchanged
   */
  async goBack(error: unknown): Promise<TrainingState> {
    const { recorder, state, restore } = this.#training;
    if (!(error instanceof NonFinite) && !(error instanceof AnomalyError)) throw error;
    recorder.forget();
    const { seconds, step: last, epoch } = state;
    const found =
      error instanceof NonFinite
        ? error
        : new NonFinite(
            `Step ${last + 1} (epoch ${epoch}) came to values that are no finite numbers`,
            last + 1,
            {
              cause: error,
            },
          );
    const again = found.step - this.#last.step <= LOOKED_AT;
    this.#last = { step: found.step, times: again ? this.#last.times + 1 : 0 };
    const { times } = this.#last;
    // Only the first worker has saved states, and steps repeated by one worker would wait for the others.
    if (this.#hooks.control.team !== undefined) throw await this.#explain(found, undefined);
    // A state on disk, else the training's start. A sound state may fail again: then the one before.
    const states = [
      ...this.#hooks.checkpoints.lastStates(),
      ...(this.#start === undefined ? [] : [this.#start]),
    ];
    const from = states[Math.min(times, states.length - 1)];
    const lowered = this.#lowered?.from;
    const newer = lowered === undefined || (states[0]?.state.step ?? 0) > lowered.state.step;
    const why = await this.#explain(found, newer ? from : lowered);
    if (from === undefined || this.#attempts >= this.#rollback.attempts) {
      // The error itself says why.
      recorder.mark(`${found.description}.`);
      throw why;
    }
    this.#attempts++;
    const { step } = from.state;
    // Each retry takes smaller steps.
    const factor = this.#rollback.lrFactor ** (times + 1);
    restore(from);
    state.seconds = seconds;
    const rates = this.#slower(factor);
    this.#lowered = { from, factor };
    // The cause is most often the same again.
    const told = this.#attempts === 1 ? why.message : `${found.description}.`;
    if (told !== why.message) this.#hooks.reporter.log("info", why.message);
    recorder.event(`${told} Back to step ${step}, with the learning rate × ${factor}.`, rates, step);
    return from;
  }

  async #explain(found: NonFinite, from: TrainingState | undefined): Promise<TensorError> {
    const { reporter, control } = this.#hooks;
    const until = performance.now() + PATIENCE;
    let cause = found.cause instanceof AnomalyError ? found.cause : undefined;
    const spoilt = cause === undefined ? nonFiniteParameters(this.#prepared.model) : [];
    if (cause === undefined && from !== undefined && control.stopping === undefined) {
      reporter.log("warning", `${found.description}. Looking for where it comes from …`);
      reporter.flush();
      const replay = withPolicy({ deferSteps: false }, () => this.#replay(found, from, until));
      cause = await replay.catch(() => undefined);
    }
    if (cause === undefined) {
      const names = spoilt.length === 0 ? "" : `; since then these are no finite numbers: ${some(spoilt)}`;
      return new TensorError("non-finite", `${found.description}${names}`, HINT);
    }
    const { message, hint, module, sites, storage } = cause;
    const name =
      storage && [...this.#prepared.model.namedParameters()].find(([, p]) => p.storage === storage)?.[0];
    const text = name === undefined ? message : message.replace("a parameter or buffer", `parameter ${name}`);
    const samples = this.#batch && badSamples(this.#batch, cause.rows, this.#prepared.train, until);
    const error = new AnomalyError(
      `${found.description}. ${upper(text)}.${samples === undefined ? "" : ` ${samples}.`}`,
      {
        hint: hint ?? HINT,
        ...(module === undefined ? {} : { module }),
        sites,
      },
    );
    return error;
  }

  /** Trains again from a state up to the failed step, which is checked op by op. */
  async #replay(
    { step: bad }: NonFinite,
    from: TrainingState,
    until: number,
  ): Promise<AnomalyError | undefined> {
    const { train, schedules } = this.#prepared;
    const { control, resumption } = this.#hooks;
    const steps = new TrainingStep(this.#prepared, this.#training.callbacks);
    const state = { ...from.state };
    let within = state.completed !== state.epoch;
    restoreTraining(this.#prepared, from);
    if (from === this.#lowered?.from) this.#slower(this.#lowered.factor);
    resumption.generators.restore(within ? from.generators.epoch : from.generators.now);
    try {
      for (; state.step < bad && state.epoch <= this.#limits.epochs; within = false) {
        if (!within) Object.assign(state, { epoch: state.epoch + 1, batch: 0, accumulated: 0 });
        let passed = within ? state.batch : 0;
        for (const batch of train.epoch()) {
          if (passed > 0) {
            if (--passed === 0) resumption.generators.restore(from.generators.now);
            continue;
          }
          state.batch++;
          state.accumulated++;
          this.#batch = batch;
          const { epoch, step, accumulated } = state;
          const full = state.batch >= this.#limits.train;
          const place = {
            epoch,
            step: step + 1,
            accumulated,
            steps: full || accumulated === this.#limits.accumulate,
          };
          const run = async (): Promise<unknown> => (await steps.run(batch, place))();
          await (step + LOOKED_AT < bad ? run() : detectAnomaly(run));
          if (place.steps) {
            Object.assign(state, { step: step + 1, accumulated: 0 });
            schedules.afterStep(state.step, state.metrics);
          }
          if (control.due) await control.yield();
          if (state.step >= bad || control.stopping !== undefined || performance.now() > until)
            return undefined;
          if (full) break;
        }
        schedules.afterEpoch(state.epoch, { ...state.validation, ...state.metrics });
      }
    } catch (error) {
      if (error instanceof AnomalyError) return error;
      throw error;
    }
    return undefined;
  }
}

const HINT =
  "try a smaller learning rate, gradientClipVal: 1, or normalised inputs; detectAnomaly: true looks at every step";

const upper = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
