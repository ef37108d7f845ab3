/** How fast a run goes: samples per second lately, and the time that is left. */
export class Speed {
  /** Steps of the whole run. */
  totalSteps: number;
  readonly #window: number;
  /** Marks of the last seconds: training time, samples and steps so far. */
  #marks: { time: number; samples: number }[] = [{ time: 0, samples: 0 }];

  /**
   * @param totalSteps Steps of the whole run
   * @param window Seconds over which the speed is measured
   */
  constructor(totalSteps: number, window = 3) {
    this.totalSteps = totalSteps;
    this.#window = window;
  }

  /**
   * @param time Seconds of training so far, pauses left out
   * @param samples Samples trained on so far
   * @param steps Steps done so far
   * @returns samples per second of the last seconds; seconds left at the average pace, validation included
   */
  measure(time: number, samples: number, steps: number): { samplesPerSecond: number; eta: number } {
    const marks = this.#marks;
    if (time - (marks.at(-1)?.time ?? 0) >= this.#window / 10) marks.push({ time, samples });
    while (marks.length > 2 && time - marks[1]!.time >= this.#window) marks.shift();
    const first = marks[0]!;
    const elapsed = time - first.time;
    return {
      samplesPerSecond: elapsed > 0 ? (samples - first.samples) / elapsed : 0,
      eta: steps > 0 ? (time / steps) * Math.max(this.totalSteps - steps, 0) : 0,
    };
  }
}
