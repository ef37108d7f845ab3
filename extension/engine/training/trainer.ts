import type { Batch, SavedCheckpoint, TrainContext } from "../../nn/experiment/experiment.ts";
import { beginTraining } from "../../nn/module/modes.ts";
import { setDetectAnomaly } from "../../tensor/recording/anomaly.ts";
import { settle, pendingSteps } from "../../tensor/planning/barrier.ts";
import { withPolicy } from "../../tensor/recording/runtime.ts";
import { CallbackList } from "./callbacks.ts";
import type { Checkpoints } from "../resume/checkpoints.ts";
import type { LoopControl, StopReason } from "./control.ts";
import { EarlyStopping } from "./earlyStopping.ts";
import { Ending } from "../ending.ts";
import { batchLength } from "../evaluation/evaluator.ts";
import { RunFindings } from "../findings/runFindings.ts";
import { fastDevRun, type Limits } from "./limits.ts";
import { isValidation } from "./monitor.ts";
import type { Prepared } from "./prepare.ts";
import { Recorder } from "../reporting/recorder.ts";
import { Recovery } from "../resume/recovery.ts";
import { some } from "./nonFinite.ts";
import type { Reporter } from "../reporting/reporter.ts";
import { Steering } from "./steering.ts";
import { StepReaders } from "./stepReaders.ts";
import { StateKeeper, type Resumption } from "../resume/stateKeeper.ts";
import { savePoint, startState, type SavePoint, type TrainerState } from "./trainerState.ts";
import { restoreTraining, type TrainingState } from "../resume/trainingState.ts";
import type { Values } from "./stepResult.ts";
import { TrainingStep } from "./trainingStep.ts";
import { Validation } from "./validation.ts";

export interface TrainerHooks {
  reporter: Reporter;
  control: LoopControl;
  checkpoints: Checkpoints;
  resumption: Resumption;
  /** Called with the training's state whenever the event loop is served. */
  note: (state: TrainerState) => void;
  /** Called when callbacks may have frozen parameters: before the first epoch, and after each. */
  frozen?: (() => void) | undefined;
  /** Whether to look for probable mistakes, also where the experiment doesn't say so. */
  watch?: boolean | undefined;
}

/** Trains a prepared experiment: the loop of a PyTorch script, interruptible between any two steps. */
export class Trainer {
  readonly limits: Limits;
  readonly callbacks: CallbackList;
  readonly state: TrainerState = startState();
  /** Changes of the training while it runs. */
  readonly steering: Steering;
  readonly #prepared: Prepared;
  readonly #hooks: TrainerHooks;
  readonly #steps: TrainingStep;
  readonly #early: EarlyStopping | undefined;
  readonly #recorder: Recorder;
  readonly #readers: StepReaders;
  readonly #ending: Ending;
  readonly #keeper: StateKeeper;
  readonly #validation: Validation;
  readonly #recovery: Recovery;
  readonly #findings: RunFindings | undefined;
  /** Checkpoints that callbacks don't know of yet. */
  readonly #saved: SavedCheckpoint[] = [];

  constructor(prepared: Prepared, limits: Limits, hooks: TrainerHooks) {
    const { options } = prepared.experiment;
    this.#prepared = prepared;
    this.#hooks = hooks;
    this.limits = limits;
    this.callbacks = new CallbackList(options, (name) => this.#context(name));
    this.#readers = new StepReaders(prepared, this.callbacks, this.state, hooks.control.team);
    this.#steps = new TrainingStep(prepared, this.callbacks, this.#readers.leavesParts);
    this.#ending = new Ending(limits, this.state, hooks);
    this.#recorder = new Recorder(prepared, limits, this.state, hooks);
    this.steering = new Steering(prepared, limits, this.state, this.#recorder, hooks.checkpoints);
    this.#keeper = new StateKeeper(prepared, hooks.resumption, hooks, () => ({
      // Reading them first makes the state's own metrics those of the last batch.
      numbers: this.#recorder.numbers(),
      state: { ...this.state, seconds: this.#recorder.time },
      stop: this.#ending.stop,
      callbacks: this.callbacks.state(),
    }));
    this.#validation = new Validation(prepared, limits, this.state, {
      callbacks: this.callbacks,
      recorder: this.#recorder,
      keeper: this.#keeper,
      tick: () => this.#tick(),
    });
    this.#recovery = new Recovery(prepared, limits, hooks, {
      callbacks: this.callbacks,
      state: this.state,
      recorder: this.#recorder,
      restore: (from) => this.#restore(from),
    });
    this.#findings = RunFindings.of(prepared, limits, hooks.watch === true);
    this.#recorder.onLoss = (loss) => this.#findings?.loss(loss);
    if (hooks.checkpoints.policy.any) {
      this.#early = EarlyStopping.of(options, limits.validation > 0);
      this.state.earlyStopping = this.#early?.start();
    }
  }

  /** Trains to the end. Returns why it ended early, or undefined when all epochs are done. */
  async run(): Promise<StopReason | undefined> {
    const { state, limits, callbacks } = this;
    const { experiment, model } = this.#prepared;
    const { reporter } = this.#hooks;
    const frozen = beginTraining(model);
    if (frozen.length > 0)
      reporter.log("info", `Kept in evaluation mode while the model trains: ${some(frozen)}.`);
    const dev = fastDevRun(experiment.options);
    if (dev !== undefined)
      reporter.log("info", `fastDevRun: one epoch of ${dev} batches at most; no weights are kept.`);
    const problem = this.#hooks.checkpoints.policy.problem(limits);
    if (problem !== undefined) reporter.log("warning", `Checkpoints: ${problem}.`);
    const { from } = this.#hooks.resumption;
    try {
      if (from === undefined) await this.#validation.sanityCheck();
      await callbacks.call("onTrainStart");
      this.#hooks.frozen?.();
      if (from === undefined) {
        this.#recovery.begins(() => this.#keeper.start());
        this.#probe();
      } else {
        this.#restore(from);
        this.#recovery.resumed();
      }
      await withPolicy(this.#readers.policy, () => this.#train(from));
      // A training that was stopped may be resumed: its end is still to come.
      if (this.#hooks.control.stopping === undefined)
        this.#recorder.watchEnded(this.#findings?.end(state.step, state.validation));
    } catch (error) {
      const told = await this.#steps.place(error, this.#hooks.control.team);
      await callbacks.call("onException", error);
      throw told;
    } finally {
      setDetectAnomaly(false);
    }
    if (this.#ending.tell(this.#recorder)) return "experiment";
    return state.completed >= limits.epochs ? undefined : this.#hooks.control.stopping;
  }

  /** Looks for mistakes before the first step. The program's generators are then as they were. */
  #probe(): void {
    if (this.#findings === undefined) return;
    const { generators } = this.#hooks.resumption;
    const states = generators.states();
    this.#recorder.findings(this.#findings.begin());
    generators.restore(states);
  }

  async #train(from: TrainingState | undefined): Promise<void> {
    for (let at = from; ;) {
      try {
        await this.#runEpochs(at);
        break;
      } catch (error) {
        at = await this.#recovery.goBack(error);
      }
    }
    await this.callbacks.call("onTrainEnd");
  }

  async #runEpochs(from: TrainingState | undefined): Promise<void> {
    const { state, limits } = this;
    if (this.#prepared.experiment.options.detectAnomaly === true) setDetectAnomaly(true);
    let goesOn = from === undefined || state.completed === state.epoch || (await this.#runEpoch(from));
    while (goesOn && state.epoch < limits.epochs && !this.#ending.due) {
      state.epoch++;
      goesOn = await this.#runEpoch();
    }
    this.#recovery.check();
  }

  /** @throws NonFinite when a weight is no finite number: it isn't to be saved */
  check(): void {
    this.#recovery.check();
  }

  /** Restores a saved state; in mid-epoch with the generators of the epoch's start, to draw its order again. */
  #restore(from: TrainingState): void {
    restoreTraining(this.#prepared, from);
    Object.assign(this.state, from.state);
    this.#recorder.restore(from.numbers);
    this.#ending.stop = from.stop;
    this.callbacks.restore(from.callbacks);
    const { epoch, now } = from.generators;
    this.#hooks.resumption.generators.restore(this.state.completed === this.state.epoch ? now : epoch);
  }

  /**
   * True when the training continues after it.
   * @param from Where in the epoch to continue: earlier batches are skipped
   */
  async #runEpoch(from?: TrainingState): Promise<boolean> {
    const { state, callbacks, limits } = this;
    if (from === undefined) {
      this.#recorder.startEpoch();
      state.batch = 0;
      state.accumulated = 0;
      await callbacks.call("onEpochStart");
    }
    this.#keeper.epochStarts();
    const { train } = this.#prepared;
    const { passed: left, batches } = train.from(state.batch);
    // Batches to pass over: the last of them was the last one before the interruption.
    let passed = state.batch - left;
    for (const batch of batches) {
      if (passed > 1) {
        passed--;
        continue;
      }
      if (from !== undefined && passed === 1) {
        passed = 0;
        this.#hooks.resumption.generators.restore(from.generators.now);
        if (from.validationDue) await this.#validateWithin();
      } else {
        await this.#runBatch(batch);
        if (state.batch % limits.validationEvery === 0 && this.#validation.inEpoch)
          await this.#validateWithin();
      }
      // Between the batches of one step, a process of several has gradients of its own part alone.
      const between = state.accumulated === 0 || this.#hooks.control.team === undefined;
      if (between && this.#hooks.control.due) await this.#yield();
      this.#keeper.afterBatch(state.accumulated > 0);
      const done = state.batch >= limits.train;
      if (!done && this.#ending.due) {
        if (this.#ending.atOnce) return false;
        await this.#endEpoch(false);
        return false;
      }
      // A set that is used as a whole is read to its end, where its sampler may draw once more.
      if (done && limits.train < this.#prepared.train.length) break;
    }
    if (state.accumulated > 0) await this.#flush();
    await this.#endEpoch(true);
    this.#keeper.afterEpoch(this.#ending.due || state.epoch >= limits.epochs);
    return true;
  }

  async #runBatch(batch: Batch): Promise<void> {
    const { state, limits, callbacks } = this;
    const { schedules } = this.#prepared;
    state.batch++;
    state.accumulated++;
    if (callbacks.has("onBatchStart")) await callbacks.call("onBatchStart", batch);
    const { epoch, step, accumulated } = state;
    const steps = accumulated === limits.accumulate || state.batch === limits.train;
    const watch = steps && this.#findings?.due(step + 1) === true ? this.#findings : undefined;
    const run = (): Promise<() => Values> =>
      this.#steps.run(batch, { epoch, step: step + 1, accumulated, steps }, this.#recorder.measurement);
    const read = await (watch === undefined ? run() : watch.during(run));
    const samples = batchLength(batch);
    state.samples += samples;
    this.#recorder.trained({ read, samples, step: step + 1, steps });
    const all = watch !== undefined || this.#readers.everyBatch || this.#recorder.full;
    if (steps || all || !this.#steps.readsAfterStep) this.#recorder.read(all ? 0 : pendingSteps());
    if (steps) {
      this.#stepDone();
      if (watch !== undefined)
        this.#recorder.watched(watch.check(batch, { step: state.step, loss: state.metrics["loss"] }));
      this.#readers.stepDone();
      schedules.afterStep(state.step, { ...state.metrics, ...state.validation });
      if (callbacks.has("onStepEnd")) await callbacks.call("onStepEnd");
    }
    if (callbacks.has("onBatchEnd")) await callbacks.call("onBatchEnd", batch);
    // Weights that the user's code has written may be saved now, or not, depending on the time. Either way they are
    // computed apart from the next step: as parts of one graph both may round differently.
    settle();
    if (this.#saved.length > 0) await this.tellOfCheckpoints();
  }

  /** Steps the optimizer with the gradients that are left at the end of a stream. */
  async #flush(): Promise<void> {
    await this.#steps.flush();
    this.#stepDone();
    this.#prepared.schedules.afterStep(this.state.step, this.state.metrics);
    await this.callbacks.call("onStepEnd");
  }

  #stepDone(): void {
    const { state, limits } = this;
    const { checkpoints } = this.#hooks;
    state.step++;
    state.accumulated = 0;
    this.#hooks.control.stepDone();
    if (checkpoints.policy.dueAfterStep(state.step)) {
      if (checkpoints.policy.afterValidation) state.checkpointDue = true;
      else this.#keep();
      this.#keeper.ask();
    }
    if (state.step >= limits.steps) this.#ending.end("its limit", `maxSteps = ${limits.steps}`);
    if (this.#recorder.agreedTime >= limits.seconds)
      this.#ending.end("its limit", `maxTime = ${limits.seconds} s`);
  }

  /** Validates, and closes the epoch; `whole`: all of its batches were done. */
  async #endEpoch(whole: boolean): Promise<void> {
    const { state, limits } = this;
    const { reporter, checkpoints, note } = this.#hooks;
    this.#recorder.read();
    const validated =
      limits.validationEvery === Infinity && this.#validation.inEpoch && (await this.#validation.run(false));
    state.metrics = this.#recorder.epochMetrics();
    if (whole) state.completed = state.epoch;
    this.#recorder.row("epoch", { ...state.metrics });
    this.#recorder.progress();
    if (whole && !this.#keeper.stopped)
      this.#prepared.schedules.afterEpoch(state.epoch, { ...state.validation, ...state.metrics });
    if (validated) this.#afterValidation();
    if (this.#early !== undefined && !isValidation(this.#early.monitor)) this.#checkEarly(this.#early);
    if (checkpoints.policy.dueInEpoch(state.epoch, false)) this.#keep();
    note(state);
    checkpoints.saveLast(() => savePoint(state));
    reporter.flushIfDue();
    await this.tellOfCheckpoints();
    await this.callbacks.call("onEpochEnd");
    this.#hooks.frozen?.();
  }

  /** A validation in the middle of an epoch: its values are points of the curves by themselves. */
  async #validateWithin(): Promise<void> {
    if (!(await this.#validation.run(true))) return;
    this.#recorder.row("step", { ...this.state.validation });
    this.#afterValidation();
    await this.tellOfCheckpoints();
  }

  #afterValidation(): void {
    if (this.#early !== undefined && isValidation(this.#early.monitor)) this.#checkEarly(this.#early);
    const { state } = this;
    if (state.checkpointDue || this.#hooks.checkpoints.policy.dueInEpoch(state.epoch, true)) this.#keep();
    state.checkpointDue = false;
  }

  #checkEarly(early: EarlyStopping): void {
    const { state } = this;
    if (state.earlyStopping === undefined) return;
    const reason = early.check(state.earlyStopping, state.metrics);
    if (reason !== undefined) this.#ending.end("early stopping", reason);
  }

  #keep(): void {
    const { state } = this;
    this.#recorder.read();
    const problem = this.#hooks.checkpoints.policy.missing(state.metrics);
    if (problem !== undefined) this.#hooks.reporter.warnOnce(`Checkpoints: ${problem}.`);
    state.kept = this.#hooks.checkpoints.saveRanked(state.kept, savePoint(state));
  }

  /** Notes a saved checkpoint, for callbacks as soon as they can be awaited. */
  saved(checkpoint: SavedCheckpoint): void {
    if (this.callbacks.has("onSaveCheckpoint")) this.#saved.push(checkpoint);
  }

  /** Tells callbacks of the saved checkpoints. */
  async tellOfCheckpoints(): Promise<void> {
    for (const checkpoint of this.#saved.splice(0)) await this.callbacks.call("onSaveCheckpoint", checkpoint);
  }

  async #tick(): Promise<boolean> {
    if (this.#hooks.control.due) await this.#yield();
    return this.#hooks.control.stopping === undefined;
  }

  async #yield(): Promise<void> {
    const { reporter, control, checkpoints, note } = this.#hooks;
    if (!this.#validation.sanityChecking) {
      this.#recorder.progress();
      note(this.state);
      checkpoints.saveLast(() => this.#now(), true);
    }
    reporter.flushIfDue();
    await control.yield(() => this.#recorder.read());
  }

  /** Where the training is, with the metrics of its last batch. */
  #now(): SavePoint {
    this.#recorder.read();
    return savePoint(this.state);
  }

  #context(name: string): TrainContext {
    const { model, optimizers } = this.#prepared;
    const { epoch, step, batch, metrics } = this.state;
    return {
      model,
      optimizer: optimizers,
      epoch,
      epochs: this.limits.epochs,
      step,
      batch,
      sanityChecking: this.#validation.sanityChecking,
      metrics,
      stop: (reason = `stop() in ${name}`) => this.#ending.end("a callback", reason),
    };
  }
}
