import type { Checkpoints } from "./checkpoints.ts";
import type { LoopControl } from "../training/control.ts";
import type { Prepared } from "../training/prepare.ts";
import type { Reporter } from "../reporting/reporter.ts";
import {
  collectTraining,
  type Generators,
  type TrainerProgress,
  type TrainingFacts,
  type TrainingState,
} from "./trainingState.ts";

/** Inputs of a resumable training. */
export interface Resumption {
  /** The generators of the program. */
  generators: Generators;
  facts: Omit<TrainingFacts, "savedAt">;
  /** The state to resume from. */
  from?: TrainingState | undefined;
  /** Called before the first step, once the state to resume from fits. */
  begins?: () => void;
  /** It is resumed more carefully than before. */
  rollback?: boolean;
}

/** Saves a training's state, between two batches or two epochs, so that it can be resumed as if it had never stopped. */
export class StateKeeper {
  readonly #prepared: Prepared;
  readonly #resumption: Resumption;
  readonly #checkpoints: Checkpoints;
  readonly #control: LoopControl;
  readonly #reporter: Reporter;
  readonly #progress: () => Omit<TrainerProgress, "validationDue">;
  /** States of the generators where the epoch began. */
  #epochStart: readonly Uint8Array[] = [];
  #asked = false;
  #stopped = false;

  constructor(
    prepared: Prepared,
    resumption: Resumption,
    {
      checkpoints,
      control,
      reporter,
    }: { checkpoints: Checkpoints; control: LoopControl; reporter: Reporter },
    progress: () => Omit<TrainerProgress, "validationDue">,
  ) {
    this.#prepared = prepared;
    this.#resumption = resumption;
    this.#checkpoints = checkpoints;
    this.#control = control;
    this.#reporter = reporter;
    this.#progress = progress;
  }

  /** Whether a stop has saved its state: what happens after that is done again when the training is resumed. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** An epoch begins: the order of its samples is drawn next. */
  epochStarts(): void {
    this.#epochStart = this.generators();
  }

  generators(): Uint8Array[] {
    return this.#resumption.generators.states();
  }

  /** Has the state saved at the next occasion. */
  ask(): void {
    this.#asked = true;
  }

  /**
   * An occasion within an epoch: the state is saved when it is time, and when the run is stopped.
   * @param within Whether batches of the same step follow
   */
  afterBatch(within = false): void {
    // Gradients that are being accumulated lie in all workers: the state is saved after their step.
    if (within && this.#control.team !== undefined) return;
    const stopping = this.#control.stopping !== undefined;
    if (stopping || this.#asked || this.#checkpoints.stateDue(false)) this.#save(this.generators(), false);
  }

  /** Called between two epochs. `last`: after the last epoch, unless more are added later. */
  afterEpoch(last: boolean): void {
    const stopping = this.#control.stopping !== undefined;
    const kept = last && this.#checkpoints.policy.newest;
    if (kept || stopping || this.#asked || this.#checkpoints.stateDue(true))
      this.#save(this.generators(), false);
  }

  /**
   * A stop has interrupted a validation, which is to be done again.
   * @param generators States from before it
   * @param within Whether batches of the epoch follow it
   */
  validationStopped(generators: readonly Uint8Array[], within: boolean): void {
    this.#save(generators, within);
  }

  #save(now: readonly Uint8Array[], validationDue: boolean): void {
    if (this.#stopped) return;
    this.#stopped = this.#control.stopping !== undefined;
    this.#asked = false;
    const progress = this.#progress();
    this.#reporter.rowsToDisk();
    this.#checkpoints.saveState(() => this.#collect({ ...progress, validationDue }, now));
  }

  /** All state of the training before its first epoch. Its tensors follow the model. */
  start(): TrainingState {
    return this.#collect({ ...this.#progress(), validationDue: false }, this.generators());
  }

  #collect(progress: TrainerProgress, now: readonly Uint8Array[]): TrainingState {
    const facts = { ...this.#resumption.facts, savedAt: new Date().toISOString() };
    return collectTraining(this.#prepared, progress, { epoch: this.#epochStart, now }, facts);
  }
}
