/** How long the epochs of a training take, by the clock of its rows: pauses are no part of it. */
import type { MetricRow } from "../../extension/protocol/run.ts";

/** The mean is over so many of the last epochs. */
const LAST_EPOCHS = 5;

interface Epoch extends Pick<MetricRow, "epoch" | "step" | "time" | "spent"> {
  /** The training rolled back in it. */
  rolledBack?: boolean;
}

/** An epoch, or several whose rows were left out. */
interface Stretch {
  epochs: number;
  steps: number;
  seconds: number;
  /** Seconds of its last epoch. */
  spent: MetricRow["spent"];
}

/** Means of the last epochs. */
export interface Timing {
  /** Number of these epochs. */
  epochs: number;
  secondsPerEpoch: number;
  /** Of training alone, if the shares are known; else of the whole epoch. */
  stepsPerSecond: number;
  /** Shares of the time; undefined if the run doesn't say. */
  shares: { validation: number; checkpoints: number } | undefined;
}

const START: Epoch = { epoch: 0, step: 0, time: 0 };

export class EpochClock {
  readonly #epochs: Epoch[] = [];
  #rolledBack = false;

  add({ kind, epoch, step, time, spent }: MetricRow): void {
    // A snapshot and the rows after it may both have it.
    if (kind !== "epoch" || step <= (this.#epochs.at(-1)?.step ?? 0)) return;
    this.#epochs.push({ epoch, step, time, spent, rolledBack: this.#rolledBack });
    this.#rolledBack = false;
  }

  /** Removes the epochs after a step that the training rolled back to. */
  cut(step: number): void {
    this.#epochs.length = this.#epochs.findLastIndex((one) => one.step <= step) + 1;
    this.#rolledBack = true;
  }

  /** Undefined before the first epoch is over. */
  timing(stepsPerEpoch = 0): Timing | undefined {
    const epochs = this.#epochs;
    const last: Stretch[] = [];
    // The first epoch has one-time work, such as compiling: the mean leaves it out as soon as there is another.
    const first = epochs.length > 1 ? 1 : 0;
    for (let i = epochs.length - 1; i >= first && total(last, "epochs") < LAST_EPOCHS; i--) {
      const [before, now] = [epochs[i - 1] ?? START, epochs[i]!];
      const one: Stretch = {
        epochs: now.epoch - before.epoch,
        steps: now.step - before.step,
        seconds: now.time - before.time,
        spent: now.spent,
      };
      // An epoch may end early, at a limit.
      const whole = one.steps >= stepsPerEpoch * one.epochs && now.rolledBack !== true;
      if (whole && one.seconds > 0) last.push(one);
    }
    return last.length === 0 ? undefined : mean(last);
  }
}

function mean(all: readonly Stretch[]): Timing {
  const [epochs, seconds] = [total(all, "epochs"), total(all, "seconds")];
  const shares = all.every(({ spent }) => spent !== undefined)
    ? { validation: share(all, "validation"), checkpoints: share(all, "checkpoints") }
    : undefined;
  const training = 1 - (shares?.validation ?? 0) - (shares?.checkpoints ?? 0);
  return {
    epochs,
    secondsPerEpoch: seconds / epochs,
    stepsPerSecond: total(all, "steps") / (seconds * training),
    shares,
  };
}

const total = (all: readonly Stretch[], what: "epochs" | "steps" | "seconds"): number =>
  all.reduce((sum, one) => sum + one[what], 0);

function share(all: readonly Stretch[], part: "validation" | "checkpoints"): number {
  const seconds = all.reduce((sum, { spent, epochs }) => sum + epochs * spent![part], 0);
  return seconds / total(all, "seconds");
}
