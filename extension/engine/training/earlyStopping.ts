import type { EarlyStoppingOptions, ExperimentOptions } from "../../nn/experiment/experiment.ts";
import { checkMonitor, isBetter, monitored, worst, type Mode } from "./monitor.ts";

/** State of early stopping. */
export interface EarlyStoppingState {
  /** Null before the first check. */
  best: number | null;
  /** Checks since the best one. */
  waited: number;
}

/** Ends a training whose metric has stopped improving, by Lightning's rules. */
export class EarlyStopping {
  readonly monitor: string;
  readonly #options: EarlyStoppingOptions;
  readonly #mode: Mode;

  /** @throws TensorError when it monitors a validation that doesn't exist */
  constructor(options: EarlyStoppingOptions, validated: boolean) {
    this.#options = options;
    this.monitor = options.monitor ?? (validated ? "val_loss" : "loss");
    checkMonitor("earlyStopping", this.monitor, validated);
    this.#mode = options.mode ?? "min";
  }

  /** An experiment's early stopping, if it has any. */
  static of({ earlyStopping = false }: ExperimentOptions, validated: boolean): EarlyStopping | undefined {
    if (earlyStopping === false) return undefined;
    return new EarlyStopping(earlyStopping === true ? {} : earlyStopping, validated);
  }

  start(): EarlyStoppingState {
    return { best: null, waited: 0 };
  }

  /** Checks new metrics; returns why the training should end, if it should. */
  check(state: EarlyStoppingState, metrics: Readonly<Record<string, number>>): string | undefined {
    const { monitor } = this;
    const mode = this.#mode;
    const { patience = 3, minDelta = 0, checkFinite = true } = this.#options;
    const { stoppingThreshold, divergenceThreshold } = this.#options;
    const value = monitored("earlyStopping", metrics, monitor);
    const reached = state.best ?? worst(mode);
    const best = text(reached);
    if (checkFinite && !Number.isFinite(value))
      return `${monitor} = ${value} is not finite; the best value was ${best}`;
    if (stoppingThreshold !== undefined && isBetter(mode, value, stoppingThreshold))
      return `${monitor} = ${text(value)} has reached the stopping threshold ${stoppingThreshold}`;
    if (divergenceThreshold !== undefined && isBetter(mode, divergenceThreshold, value))
      return `${monitor} = ${text(value)} has reached the divergence threshold ${divergenceThreshold}`;
    if (isBetter(mode, value, reached, minDelta)) {
      state.best = value;
      state.waited = 0;
      return undefined;
    }
    state.waited++;
    if (state.waited < patience) return undefined;
    return `${monitor} has not improved in the last ${state.waited} checks; the best value was ${best}`;
  }
}

function text(value: number): string {
  return Number.isFinite(value) ? value.toFixed(4) : String(value);
}
