import type { Progress } from "../../protocol/engine.ts";
import type { Finding } from "../../protocol/findings.ts";
import type { MetricRow } from "../../protocol/run.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { now } from "../training/clock.ts";
import type { LoopControl } from "../training/control.ts";
import type { Pictures } from "../findings/layerPictures.ts";
import type { EndReport, LayerReport } from "../findings/runFindings.ts";
import { stepsPerEpoch, type Limits } from "../training/limits.ts";
import { ProcessorUse } from "./processorUse.ts";
import { Means } from "../training/means.ts";
import { Measurement } from "../training/metrics.ts";
import { described, NonFinite, nonFiniteParameters } from "../training/nonFinite.ts";
import type { Prepared } from "../training/prepare.ts";
import type { Reporter } from "./reporter.ts";
import { Speed } from "../training/speed.ts";
import type { TrainerState } from "../training/trainerState.ts";
import type { Values } from "../training/stepResult.ts";

/** Most batches with unread values. */
const MOST_UNREAD = 512;
/** Step rows of a run of known length at most; longer runs write means of several steps. */
const MAX_STEP_ROWS = 20_000;

/** A trained batch with unread values. */
export interface TrainedBatch {
  read: () => Values;
  samples: number;
  /** The optimizer step it belongs to, and whether it was its last batch. */
  step: number;
  steps: boolean;
}

/** The training's state at a batch. */
interface Unread extends TrainedBatch {
  epoch: number;
  time: number;
  /** Learning rates of the step, where they change within epochs. */
  rates: Readonly<Values> | undefined;
}

/** Running means and metrics as plain data. */
export interface RecorderState {
  epochMeans: Readonly<Record<string, unknown>>;
  stepMeans: Readonly<Record<string, unknown>>;
  measurement: Readonly<Record<string, unknown>>;
}

/** Collects the numbers of a training and makes the rows of its curves and its progress from them. */
export class Recorder {
  readonly #prepared: Prepared;
  readonly #limits: Limits;
  readonly #state: TrainerState;
  readonly #reporter: Reporter;
  readonly #control: LoopControl;
  readonly #checkpoints: { readonly seconds: number };
  readonly #speed: Speed;
  readonly #processor = new ProcessorUse();
  /** Steps of the whole run at its start; 0 if unknown. */
  readonly #total: number;
  readonly #started = performance.now();
  readonly #began = now();
  /** Means of the epoch so far, and of the steps since the last row. */
  #epochMeans = new Means();
  readonly #stepMeans = new Means();
  readonly #unread: Unread[] = [];
  /** Seconds of validation since the last epoch's row, and when the last validation began. */
  #validated = 0;
  #validationStart = 0;
  /** Seconds of saving before the last epoch's row. */
  #saved = 0;
  #warnedOfNaN = false;
  /** The experiment's metrics over the epoch so far. */
  measurement: Measurement;
  /** Told of each step's loss, where the step has one of that name. */
  onLoss: ((loss: number | undefined) => void) | undefined;

  constructor(
    prepared: Prepared,
    limits: Limits,
    state: TrainerState,
    {
      reporter,
      control,
      checkpoints,
    }: { reporter: Reporter; control: LoopControl; checkpoints: { readonly seconds: number } },
  ) {
    this.#prepared = prepared;
    this.#limits = limits;
    this.#state = state;
    this.#reporter = reporter;
    this.#control = control;
    this.#checkpoints = checkpoints;
    this.measurement = new Measurement(prepared.measures);
    this.#total = totalSteps(limits);
    this.#speed = new Speed(this.#total);
  }

  /** Seconds of training so far, pauses left out. */
  get time(): number {
    const here = (performance.now() - this.#started) / 1000 - this.#control.pausedSeconds;
    return this.#state.seconds + here;
  }

  /** The same for decisions: in a team, by the first worker's clock. */
  get agreedTime(): number {
    if (this.#control.team === undefined) return this.time;
    return this.#state.seconds + (now() - this.#began) / 1000;
  }

  /** The argument of {@link restore}; reads all unread values first. */
  numbers(): RecorderState {
    this.read();
    return {
      epochMeans: this.#epochMeans.state(),
      stepMeans: this.#stepMeans.state(),
      measurement: this.measurement.state(),
    };
  }

  /** Restores {@link numbers}. */
  restore({ epochMeans, stepMeans, measurement }: RecorderState): void {
    this.#epochMeans.restore(epochMeans);
    this.#stepMeans.restore(stepMeans);
    this.measurement.restore(measurement);
  }

  startEpoch(): void {
    this.#epochMeans = new Means();
    this.measurement = new Measurement(this.#prepared.measures);
  }

  /** Notes a trained batch: its values are read later, so that several steps can be computed at once. */
  trained(batch: TrainedBatch): void {
    const { read, samples, step, steps } = batch;
    const { schedules } = this.#prepared;
    const rates = steps && schedules.withinEpochs ? schedules.rates() : undefined;
    this.#unread.push({ read, samples, step, steps, epoch: this.#state.epoch, time: this.time, rates });
  }

  /** Forgets unread batches, which are trained again. */
  forget(): void {
    this.#unread.length = 0;
  }

  /** Whether no more batches should be trained on without reading them. */
  get full(): boolean {
    return this.#unread.length >= MOST_UNREAD;
  }

  /**
   * Reads the values of the batches since, in order.
   * @param waiting how many of the last steps to leave unread
   */
  read(waiting = 0): void {
    for (const { read, samples, step, steps, epoch, time, rates } of this.#unread.splice(
      0,
      this.#ready(waiting),
    )) {
      const values = read();
      this.#state.metrics = values;
      this.onLoss?.(values["loss"]);
      this.#epochMeans.add(values, samples);
      this.#stepMeans.add(values, samples);
      // A row for each optimizer step, or one for the mean of several.
      if (steps && step % stepsPerRow(step, this.#total) === 0) {
        const row = { ...this.#stepMeans.take(), ...rates };
        this.#reporter.row({ kind: "step", step, epoch, time, values: row });
      }
      this.#watchForNaN(values, step, epoch);
    }
  }

  /** How many of the batches were before the last steps. */
  #ready(waiting: number): number {
    const unread = this.#unread;
    const newest = unread.at(-1);
    if (waiting === 0 || newest === undefined) return unread.length;
    const last = newest.step - waiting - (newest.steps ? 0 : 1);
    let ready = 0;
    while (unread[ready]!.step <= last) ready++;
    return ready;
  }

  /** The values of an epoch: means and metrics of training, its validation if any, and its learning rates. */
  epochMetrics(): Record<string, number> {
    const { validatedIn, epoch, validation } = this.#state;
    return {
      ...this.#epochMeans.get(),
      ...this.measurement.get(),
      ...(validatedIn === epoch ? validation : {}),
      ...this.#prepared.schedules.rates(),
    };
  }

  row(kind: MetricRow["kind"], values: Record<string, number>): void {
    const { step, epoch } = this.#state;
    const spent = kind === "epoch" ? { spent: this.#spent() } : {};
    this.#reporter.row({ kind, step, epoch, time: this.time, ...spent, values });
  }

  validationStarts(): void {
    this.#validationStart = this.#timeWithoutSaves;
  }

  validationEnds(): void {
    this.#validated += this.#timeWithoutSaves - this.#validationStart;
  }

  /** A save in the middle of a validation counts as a save. */
  get #timeWithoutSaves(): number {
    return this.time - this.#checkpoints.seconds;
  }

  #spent(): NonNullable<MetricRow["spent"]> {
    const { seconds } = this.#checkpoints;
    const spent = { validation: this.#validated, checkpoints: seconds - this.#saved };
    this.#validated = 0;
    this.#saved = seconds;
    return spent;
  }

  /** Marks an event at this step on the curves and in the log. */
  event(text: string, values: Record<string, number> = {}, rollback?: number): void {
    const { step, epoch } = this.#state;
    this.mark(text, values, rollback);
    this.#reporter.log("info", `${text} After step ${step}, in epoch ${epoch}.`);
  }

  /** Marks an event on the curves alone. */
  mark(text: string, values: Record<string, number> = {}, rollback?: number): void {
    const { step, epoch } = this.#state;
    const back = rollback === undefined ? {} : { rollback };
    this.#reporter.row({ kind: "event", step, epoch, time: this.time, values, text, ...back });
  }

  /** Records the layers' figures of the last step: their sums as curves, findings as events. */
  watched({ layers, kept, pictures, findings }: LayerReport): void {
    const { step, epoch } = this.#state;
    if (kept) this.#reporter.layers({ step, epoch, layers });
    this.#pictures(pictures);
    const all = Object.values(layers);
    const norm = Math.hypot(...all.map(({ gradNorm = 0 }) => gradNorm));
    this.row("step", {
      grad_norm: norm,
      update_ratio: Math.max(...all.map(({ updateRatio = 0 }) => updateRatio)),
    });
    this.findings(findings);
  }

  /** Records what the end of a watched training shows. */
  watchEnded(report: EndReport | undefined): void {
    this.#pictures(report?.pictures);
    this.findings(report?.findings ?? []);
  }

  #pictures(pictures: Pictures | undefined): void {
    const { step, epoch } = this.#state;
    if (pictures !== undefined) this.#reporter.pictures({ step, epoch, ...pictures });
  }

  /** Records findings as events, and for other views. */
  findings(findings: readonly Finding[]): void {
    for (const finding of findings) {
      this.#reporter.finding({ ...finding, step: this.#state.step });
      this.event(finding.text);
    }
  }

  /** The run's end has moved. */
  limitsChanged(): void {
    this.#speed.totalSteps = totalSteps(this.#limits);
  }

  progress(): void {
    const { epoch, completed, batch, samples, step, metrics } = this.#state;
    const { epochs, train, accumulate } = this.#limits;
    const done = Math.ceil(batch / accumulate);
    const { cores } = this.#processor;
    const { time } = this;
    const tensors = runtime.executor?.tensors;
    const progress: Progress = {
      epoch: Math.max(1, epoch),
      epochs,
      stepInEpoch: done,
      stepsPerEpoch: train === Infinity ? done : stepsPerEpoch(this.#limits),
      ...this.#speed.measure(time, samples, step),
      seconds: time,
      memory: process.memoryUsage.rss(),
      // WebAssembly's small tensors are plain arrays, which nothing counts.
      ...(tensors === undefined || tensors === 0 ? {} : { tensors }),
      ...(cores === undefined ? {} : { processor: cores }),
      metrics: completed === epoch ? { ...metrics } : this.#epochMeans.get(),
    };
    this.#reporter.progress(progress);
  }

  #watchForNaN(values: Readonly<Values>, step: number, epoch: number): void {
    const name = firstNonFinite(values);
    if (name === undefined) return;
    const { terminateOnNan = true } = this.#prepared.experiment.options;
    const what = `The ${name} is ${described(values[name]!)} in step ${step} (epoch ${epoch})`;
    // Only the loss is known to be a number; what a `trainStep` gives beside it may be none on purpose.
    if (terminateOnNan && (name === "loss" || nonFiniteParameters(this.#prepared.model).length > 0))
      throw new NonFinite(what, step);
    if (this.#warnedOfNaN) return;
    this.#warnedOfNaN = true;
    this.#reporter.log(
      "warning",
      `${what}. The training continues; a smaller learning rate or clipped gradients often help.`,
    );
  }
}

function firstNonFinite(values: Readonly<Values>): string | undefined {
  for (const name in values) if (!Number.isFinite(values[name])) return name;
  return undefined;
}

/**
 * Steps whose mean is one row of the curves, after so many steps of a run of `total` (0 if unknown): a power of 2, so that
 * rows stay where they were, or every other one does, when a run's end is moved. A run of unknown length writes fewer
 * rows the longer it gets.
 */
export function stepsPerRow(step: number, total: number): number {
  let steps = 1;
  while (Math.max(step, total) / steps > MAX_STEP_ROWS) steps *= 2;
  return steps;
}

/** Optimizer steps of the whole run, as far as its end is known; else 0. */
function totalSteps(limits: Limits): number {
  const total = Math.min(limits.epochs * stepsPerEpoch(limits), limits.steps);
  return Number.isFinite(total) ? total : 0;
}
