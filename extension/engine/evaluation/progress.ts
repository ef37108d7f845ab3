import type { Progress } from "../../protocol/engine.ts";
import type { Batches } from "../training/batches.ts";

/** How far an evaluation has come, as a training of one epoch would say it. */
export class EvaluationProgress {
  readonly #held: Batches;
  readonly #began = performance.now();
  /** Batches that are through. */
  done = 0;

  constructor(held: Batches) {
    this.#held = held;
  }

  now(): Progress {
    const { length, samples } = this.#held;
    const seconds = (performance.now() - this.#began) / 1000;
    const share = Number.isFinite(length) ? this.done / length : 0;
    return {
      epoch: 1,
      epochs: 1,
      stepInEpoch: this.done,
      stepsPerEpoch: Number.isFinite(length) ? length : 0,
      samplesPerSecond: samples === undefined ? 0 : (share * samples) / seconds,
      eta: share > 0 ? (seconds / share) * (1 - share) : 0,
      memory: process.memoryUsage.rss(),
      metrics: {},
    };
  }
}
