/** Weighted means of values by name, over the batches of an epoch or of a few steps. */
export class Means {
  #sums = new Map<string, { sum: number; weight: number }>();

  /** @param weight Samples that the values stand for */
  add(values: Readonly<Record<string, number>>, weight: number): void {
    for (const name in values) {
      const value = values[name]!;
      const entry = this.#sums.get(name);
      if (entry === undefined) this.#sums.set(name, { sum: value * weight, weight });
      else {
        entry.sum += value * weight;
        entry.weight += weight;
      }
    }
  }

  /** The means so far, in the order in which the names came. */
  get(): Record<string, number> {
    const means: Record<string, number> = {};
    for (const [name, { sum, weight }] of this.#sums) means[name] = sum / weight;
    return means;
  }

  /** Sums so far, for {@link restore}. */
  state(): Record<string, unknown> {
    return Object.fromEntries(this.#sums);
  }

  /** Restores a {@link state}. */
  restore(state: Readonly<Record<string, unknown>>): void {
    this.#sums.clear();
    for (const [name, entry] of Object.entries(state))
      this.#sums.set(name, { ...(entry as { sum: number; weight: number }) });
  }

  /** The means so far; resets them. */
  take(): Record<string, number> {
    const means = this.get();
    // Replaced, not cleared: see `Runtime`.
    this.#sums = new Map();
    return means;
  }
}
