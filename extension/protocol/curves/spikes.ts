// Spikes of a curve, found while its points come: by the training panel and by the tools for agents.

/** Points whose median is a curve's level. */
const RECENT = 20;
/** Points with a level that are needed before the first spike. */
const FEWEST = 40;
/** A spike shows within so many points. */
const LONGEST_RISE = 3;
/** How far they exceed the highest point before, in units of that point's distance to the median. */
const HEIGHT = 2;
/** The latest spikes that don't count as noise. One that recurs more often is the curve's nature. */
const LEFT_OUT = 3;
/** Relative change that is none: the threshold of PyTorch's ReduceLROnPlateau. */
const UNCHANGED = 1e-4;

export const SPIKE_RULE =
  `A point's height is its distance to the median of the ${RECENT} points before. A spike is up to ${LONGEST_RISE} points ` +
  "in a row that are higher than the later half of all points before, and exceed the highest of those together by " +
  `${HEIGHT} times its distance to their median. The first ${RECENT + FEWEST} points have no spike, and the last ` +
  `${LEFT_OUT} spikes don't count as points before.`;

export interface Spike {
  /** Its highest point so far. */
  step: number;
  value: number;
  /** The curve's level before: a median. */
  before: number;
}

interface Point {
  step: number;
  value: number;
  height: number;
}

/**
 * Finds spikes by ratios alone: a curve's unit, offset and length make no difference. The highest of n points grows with n
 * as fast as the tail of their noise lets it: of noise with an exponential tail, the next point is a spike with a
 * probability of about 6 / n³. Since n is half of all points, false spikes get rarer the longer a training is.
 */
export class SpikeFinder {
  /** The latest values outside of spikes, and the heights of all. */
  #recent: readonly number[] = [];
  readonly #heights: number[] = [];
  /** Heights of the latest spikes. */
  readonly #spikes: number[][] = [];
  /** The latest points, if they are higher than the later half. */
  #rise: Point[] = [];
  /** {@link #recent} before them. */
  #before: readonly number[] = [];
  #top = 0;
  /** How far the rise is to exceed the top to be a spike. */
  #enough = 0;
  #spiking = false;
  #last = Number.NEGATIVE_INFINITY;

  /** Takes the curve's next point; ignores earlier steps and values that aren't finite. @returns the spike, once, if it shows here */
  add(step: number, value: number): Spike | undefined {
    if (step <= this.#last || !Number.isFinite(value)) return undefined;
    this.#last = step;
    if (this.#recent.length < RECENT) {
      this.#recent = [...this.#recent, value];
      return undefined;
    }
    const level = median(this.#recent);
    const height = value - level;
    if (this.#rise.length > 0 && height <= this.#top) this.#settle();
    if (this.#rise.length === 0) {
      if (!this.#isHigh(height)) {
        this.#heights.push(height);
        this.#follow(value);
        return undefined;
      }
      this.#measure(level);
    }
    this.#rise.push({ step, value, height });
    if (this.#spiking) {
      // The curve stays up: that is its new level.
      if (this.#rise.length === RECENT) this.#recent = this.#settle().map((one) => one.value);
      return undefined;
    }
    this.#follow(value);
    const excess = this.#rise.reduce((sum, one) => sum + one.height - this.#top, 0);
    this.#spiking = excess >= this.#enough;
    if (this.#spiking) {
      this.#recent = this.#before;
      const highest = this.#rise.reduce((a, b) => (b.value > a.value ? b : a));
      return { step: highest.step, value: highest.value, before: median(this.#before) };
    }
    if (this.#rise.length === LONGEST_RISE) this.#settle();
    return undefined;
  }

  #follow(value: number): void {
    this.#recent = [...this.#recent.slice(1), value];
  }

  /** From the end: most points are lower than one of the last few. */
  #isHigh(height: number): boolean {
    const { length } = this.#heights;
    if (length < FEWEST) return false;
    for (let i = length - 1; i >= length >> 1; i--) if (this.#heights[i]! >= height) return false;
    return true;
  }

  #measure(level: number): void {
    this.#before = this.#recent;
    const half = this.#heights.slice(this.#heights.length >> 1);
    this.#top = half.reduce((a, b) => Math.max(a, b));
    this.#enough = HEIGHT * Math.max(this.#top - median(half), UNCHANGED * Math.abs(level));
  }

  /** Ends a rise: its points are those of a spike, or calm ones. */
  #settle(): Point[] {
    const rise = this.#rise;
    const heights = rise.slice(0, LONGEST_RISE).map(({ height }) => height);
    if (this.#spiking) this.#spikes.push(heights);
    else this.#heights.push(...heights);
    if (this.#spikes.length > LEFT_OUT) this.#heights.push(...this.#spikes.shift()!);
    this.#rise = [];
    this.#spiking = false;
    return rise;
  }
}

/** Of an even number of values, the upper of the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[sorted.length >> 1] ?? 0;
}
