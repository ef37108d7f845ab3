import { allocate, type DType, type HostArray } from "../core/dtype.ts";
import { TensorError } from "../core/errors.ts";
import { Value, type Draw } from "../recording/graph.ts";
import type { Shape } from "../core/shape.ts";
import { numel } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { Device, requireCpu, type DeviceLike } from "../platform/device.ts";
import { valuesOf } from "../planning/barrier.ts";
import { Generator, type RngState } from "./generator.ts";

/** A draw whose inputs are known: fills an array, or only advances the generator as far. */
export interface ReadyDraw {
  fill(generator: Generator, out: HostArray): void;
  skip(generator: Generator): void;
}

/** A generator since its last seed, and the draws that wait for its numbers, in program order. */
class Sequence {
  readonly generator = new Generator();
  readonly queue: PendingDraw[] = [];

  /** Makes the waiting draws, up to and including `last` (default: all). */
  settle(last?: PendingDraw): void {
    const at = last === undefined ? this.queue.length - 1 : this.queue.indexOf(last);
    for (let i = 0; i <= at; i++) this.queue[i]!.run(this.generator);
    this.queue.splice(0, at + 1);
  }
}

/** A draw that has a place in the generator's order, but may have no values yet. */
export class PendingDraw implements Draw {
  #data: HostArray | undefined;
  #users = 1;
  readonly #sequence: Sequence;
  readonly #draw: ReadyDraw;
  readonly #allocate: () => HostArray;

  constructor(sequence: Sequence, draw: ReadyDraw, allocate: () => HostArray) {
    this.#sequence = sequence;
    this.#draw = draw;
    this.#allocate = allocate;
  }

  /** Returns the values. Makes all draws that come before in program order. */
  values(): HostArray {
    if (this.#data === undefined) this.#sequence.settle(this);
    return (this.#data ??= this.#allocate());
  }

  /** Notes that one more place holds these values: a copy of a parameter. */
  share(): void {
    this.#users++;
  }

  /** Notes that a place now holds other values. After the last place, the draw only advances the generator. */
  abandon(): void {
    this.#users--;
  }

  run(generator: Generator): void {
    if (this.#data !== undefined) return;
    if (this.#users <= 0) {
      this.#draw.skip(generator);
    } else {
      this.#data = this.#allocate();
      this.#draw.fill(generator, this.#data);
    }
  }
}

/** Draws of a piece of program, for a second run with the same numbers. */
interface Tape {
  readonly draws: Value[];
  /** The generator's states before draws whose values were needed at once. */
  readonly states: Uint8Array[];
  /** Error message for any draw, where none is allowed. */
  readonly refusal?: string | undefined;
  /** Takes the place of all draws. */
  readonly collector?: DrawCollector | undefined;
  /** How many of each a second run has taken; undefined for the first run. */
  taken?: { draws: number; states: number };
}

/** A draw that is not made yet. */
export interface CollectedDraw {
  readonly shape: Shape;
  readonly dtype: DType;
  make(): Value;
}

/** Collects the draws of a piece of program instead of making them. */
export interface DrawCollector {
  /** Returns the value that the program gets in place of the numbers. */
  collect(draw: CollectedDraw): Value;
  /** Called where the program needs the numbers at once. */
  refuse(): never;
}

/** Tapes of the runs under way, the innermost last. */
const tapes: Tape[] = [];

/** Takes an entry from the innermost tape that replays, else makes one. Recording tapes inside that tape keep it. */
function taped<T>(
  list: "draws" | "states",
  make: () => T,
  collected: (collector: DrawCollector) => T = (collector) => collector.refuse(),
): T {
  let found: T | undefined;
  let from = 0;
  for (let i = tapes.length - 1; i >= 0 && found === undefined; i--) {
    const { refusal, collector, taken, [list]: all } = tapes[i]!;
    if (refusal !== undefined) throw new TensorError("value", refusal);
    if (collector !== undefined) found = collected(collector);
    else if (taken === undefined) continue;
    else found = all[taken[list]++] as T | undefined;
    from = i;
  }
  found ??= make();
  for (const tape of tapes.slice(from)) if (tape.taken === undefined) (tape[list] as T[]).push(found);
  return found;
}

/** Runs `body` with a tape that is closed afterwards. */
function within<T>(tape: Tape, body: () => T): T {
  tapes.push(tape);
  try {
    return body();
  } finally {
    tapes.splice(tapes.indexOf(tape), 1);
  }
}

/** Runs `body` and returns a function that runs another body with the same random numbers, without drawing new ones. */
export function recordDraws<T>(body: () => T): { result: T; replay: <R>(again: () => R) => R } {
  const tape: Tape = { draws: [], states: [] };
  const result = within(tape, body);
  return {
    result,
    replay: (again) => within({ ...tape, taken: { draws: 0, states: 0 } }, again),
  };
}

/** Runs `body`, in which every draw throws. */
export const refuseDraws = <T>(refusal: string, body: () => T): T =>
  within({ draws: [], states: [], refusal }, body);

/** Runs `body` without drawing: `collector` takes its draws, to make them later. */
export const collectDraws = <T>(collector: DrawCollector, body: () => T): T =>
  within({ draws: [], states: [], collector }, body);

/** Refuses to collect draws: made later, they would come from another state. */
function refuseCollecting(): void {
  for (const { collector } of tapes) collector?.refuse();
}

/** Generators made since `listGenerators` was called. */
let listed: RandomStream[] | undefined;

/** Lists the generators that are made from now on, in order, until `end` is called. */
export function listGenerators(): { made: readonly RandomStream[]; end: () => void } {
  const made: RandomStream[] = (listed = []);
  return { made, end: () => void (listed = undefined) };
}

/**
 * PyTorch's `torch.Generator`: a stream of random numbers. Random tensors are lazy like all others, yet take their
 * numbers in program order.
 */
export class RandomStream {
  #sequence = new Sequence();

  /** @throws TensorError "Torch not compiled with CUDA enabled" for another device than the CPU */
  constructor(device?: DeviceLike | { device?: DeviceLike }) {
    const isOptions = typeof device === "object" && !(device instanceof Device);
    const asked = isOptions ? device.device : device;
    if (asked !== undefined) requireCpu(asked);
    listed?.push(this);
  }

  /** @internal The generator with every pending draw done: for draws that are needed at once. */
  get generator(): Generator {
    this.#sequence.settle();
    const { generator } = this.#sequence;
    if (tapes.length === 0) return generator;
    const now = generator.getState();
    const state = taped("states", () => now);
    if (state === now) return generator;
    const again = new Generator();
    again.setState(state);
    return again;
  }

  /**
   * Restarts the generator: equal seeds give equal numbers, here and in PyTorch. Pending draws keep their numbers.
   * @param seed an integer from -2^63 to 2^64-1
   */
  manualSeed(seed: number | bigint): this {
    refuseCollecting();
    if (this.#sequence.queue.length > 0) {
      const fresh = new Sequence();
      fresh.generator.manualSeed(seed);
      this.#sequence = fresh;
    } else {
      this.#sequence.generator.manualSeed(seed);
    }
    return this;
  }

  /**
   * @internal Runs `body` with draws from another sequence, for numbers that don't matter: only numbers that code reads
   * are drawn.
   */
  apart<T>(body: () => T): T {
    const before = this.#sequence;
    this.#sequence = new Sequence();
    try {
      return body();
    } finally {
      this.#sequence = before;
    }
  }

  /** The seed in use, 0 to 2^64-1. */
  initialSeed(): bigint {
    return this.#sequence.generator.initialSeed();
  }

  /** Seeds from the system's entropy and returns that seed. */
  seed(): bigint {
    return this.generator.seed();
  }

  /** The state as the bytes of PyTorch's `get_state()`. */
  getState(): RngState {
    return this.generator.getState();
  }

  /** Continues from a state of `getState()`, here or in PyTorch, also as the tensor of bytes that a file has. */
  setState(state: Uint8Array | Tensor): this {
    refuseCollecting();
    this.generator.setState(state instanceof Tensor ? bytesOf(state) : state);
    return this;
  }

  /**
   * @internal A random tensor, drawn when its values are needed.
   * @param wide holds integers that don't fit into 32 bits
   */
  tensor(draw: ReadyDraw, shape: Shape, dtype: DType, wide = false): Tensor {
    if (tapes.length === 0) return new Tensor(this.#value(draw, shape, dtype, wide));
    const make = (): Value => this.tensor(draw, shape, dtype, wide).value;
    return new Tensor(
      taped(
        "draws",
        () => this.#value(draw, shape, dtype, wide),
        (collector) => collector.collect({ shape, dtype, make }),
      ),
    );
  }

  #value(draw: ReadyDraw, shape: Shape, dtype: DType, wide: boolean): Value {
    const length = numel(shape);
    const sequence = this.#sequence;
    const pending = new PendingDraw(sequence, draw, () =>
      wide ? new Float64Array(length) : allocate(dtype, length),
    );
    sequence.queue.push(pending);
    return new Value({ kind: "random", draw: pending }, 0, shape, dtype);
  }
}

/** @throws TensorError in PyTorch's words for a tensor of other elements */
function bytesOf(state: Tensor): Uint8Array {
  const values = state.dtype === "int64" ? valuesOf(state.value) : undefined;
  if (values?.every((x: number) => x >= 0 && x < 256) !== true)
    throw new TensorError("dtype", "RNG state must be a torch.ByteTensor");
  return Uint8Array.from(values);
}

/** The generator that `torch.rand` and all other functions draw from by default. */
export const defaultStream = new RandomStream();
