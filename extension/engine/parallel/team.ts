import type { Communicator } from "../../tensor/distributed/communicator.ts";
import { followClock } from "../training/clock.ts";

/** Milliseconds between two pulses, roughly. Each is an exchange and takes a millisecond or two. */
const PULSE = 100;
/** Steps between two pulses at most. */
const MOST_STEPS = 1000;

/** Message of the first worker to the others in a pulse. */
export interface Pulse {
  stopping: boolean;
  paused: boolean;
  /** Requests are waiting, or were served in a pause: all workers must compute the values that these read. */
  asked: boolean;
}

/**
 * The workers that train one model. Each runs the whole program, with the same numbers; only compiled steps are split.
 * So the first worker decides whatever depends on a clock or on requests, and sends its decision to the others at the
 * same place of the program.
 */
export class Team {
  readonly rank: number;
  readonly size: number;
  readonly #group: Communicator;
  #now = 0;
  /** Calls of {@link due} between two pulses, and since the last one. */
  #every = 1;
  #since = 0;

  constructor(group: Communicator) {
    this.#group = group;
    this.rank = group.rank;
    this.size = group.size;
    this.#now = this.#told([performance.now()])[0]!;
    followClock(() => this.#now);
  }

  /** Whether it is time for a pulse: at the same calls in all workers. */
  get due(): boolean {
    return ++this.#since >= this.#every;
  }

  pulse({ stopping, paused, asked }: Pulse): Pulse {
    const before = this.#now;
    const told = this.#told([performance.now(), Number(stopping), Number(paused), Number(asked)]);
    this.#now = told[0]!;
    const took = Math.max(this.#now - before, 1);
    this.#every = Math.min(
      Math.max(Math.round((this.#since * PULSE) / took), 1),
      2 * this.#every,
      MOST_STEPS,
    );
    this.#since = 0;
    return { stopping: told[1] === 1, paused: told[2] === 1, asked: told[3] === 1 };
  }

  /** The first worker's numbers, exactly. */
  #told(values: readonly number[]): number[] {
    return [...new Float64Array(this.#bytes(new Uint8Array(Float64Array.from(values).buffer)).buffer)];
  }

  /** The first worker's answer, where the workers' own answers may differ. */
  agreed(own: boolean): boolean {
    return this.#told([Number(own)])[0] === 1;
  }

  /** The first worker's text. */
  text(own: string): string {
    return new TextDecoder().decode(this.file(new TextEncoder().encode(own)));
  }

  /** The first worker's bytes, in any number. */
  file(own: Uint8Array): Uint8Array {
    const [length] = this.#told([own.length]) as [number];
    const padded = new Uint8Array(4 * Math.ceil(length / 4));
    if (this.rank === 0) padded.set(own);
    return this.#bytes(padded).subarray(0, length);
  }

  /** Waits for all workers. */
  together(): void {
    this.#told([0]);
  }

  /** Sends bytes as 32-bit integers, which are 0 in all other workers: their sum is exact. */
  #bytes(bytes: Uint8Array): Uint8Array {
    const words = new Int32Array(bytes.length / 4);
    if (this.rank === 0) words.set(new Int32Array(bytes.buffer, bytes.byteOffset, words.length));
    return new Uint8Array(this.#group.sum(words).buffer);
  }
}
