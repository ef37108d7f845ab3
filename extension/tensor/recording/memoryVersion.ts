/**
 * The state of a tensor's memory that a value is from: tensors that share memory share it. Values are never written to, so it
 * is needed to refuse what PyTorch refuses: a gradient of a value that the program has overwritten.
 */
export class MemoryVersion {
  readonly number: number;
  /** The memory's first version, which knows the newest. */
  readonly #first: MemoryVersion;
  #newest = 0;
  /** How many values there were when the function began that ended this version: its own nodes may use it. */
  until = 0;

  constructor(before?: MemoryVersion) {
    this.#first = before === undefined ? this : before.#first;
    this.number = before === undefined ? 0 : ++this.#first.#newest;
  }

  /** Number of the memory's version now. */
  get newest(): number {
    return this.#first.#newest;
  }
}
