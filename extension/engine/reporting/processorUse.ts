/** Milliseconds over which the use of the processor is measured. */
const WINDOW = 1000;

/** How many processor cores this process uses. */
export class ProcessorUse {
  #since = performance.now();
  #used = process.cpuUsage();
  #cores: number | undefined;

  /** Cores used in the last whole second; undefined before there is one. */
  get cores(): number | undefined {
    const now = performance.now();
    const elapsed = now - this.#since;
    if (elapsed < WINDOW) return this.#cores;
    // Both are counted in microseconds.
    const { user, system } = process.cpuUsage(this.#used);
    this.#cores = (user + system) / 1000 / elapsed;
    this.#since = now;
    this.#used = process.cpuUsage();
    return this.#cores;
  }
}
