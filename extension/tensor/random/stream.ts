import { allocate, type DType, type HostArray } from "../dtype.ts";
import { Value } from "../graph.ts";
import type { Shape } from "../shape.ts";
import { numel } from "../shape.ts";
import { Tensor } from "../tensor.ts";
import { Generator } from "./generator.ts";

/** A draw of ./draws.ts whose inputs are known: fills an array, or only moves the generator on as far. */
export interface ReadyDraw {
  fill(generator: Generator, out: HostArray): void;
  skip(generator: Generator): void;
}

/** A draw that has its place in the generator's order but not its values yet. */
export class PendingDraw {
  private data: HostArray | undefined;
  private abandoned = false;
  private readonly stream: RandomStream;
  private readonly draw: ReadyDraw;
  private readonly length: number;
  private readonly dtype: DType;

  constructor(stream: RandomStream, draw: ReadyDraw, length: number, dtype: DType) {
    this.stream = stream;
    this.draw = draw;
    this.length = length;
    this.dtype = dtype;
  }

  /** The values; draws everything that comes before in program order. */
  values(): HostArray {
    if (this.data === undefined) this.stream.settle(this);
    return (this.data ??= allocate(this.dtype, this.length));
  }

  /** Nobody will ask for the values: the generator only has to move on. */
  abandon(): void {
    this.abandoned = true;
  }

  run(generator: Generator): void {
    if (this.data !== undefined) return;
    if (this.abandoned) {
      this.draw.skip(generator);
    } else {
      this.data = allocate(this.dtype, this.length);
      this.draw.fill(generator, this.data);
    }
  }
}

/**
 * A generator and the draws that wait for it. Random tensors are lazy like all others, yet take their numbers in the
 * order in which the program asked for them.
 */
export class RandomStream {
  private current = new Generator();
  private queue: PendingDraw[] = [];

  /** The generator with every pending draw done: for draws that are needed at once. */
  get generator(): Generator {
    this.settle();
    return this.current;
  }

  /** Starts anew from a seed. Draws that still wait keep the old generator. */
  manualSeed(seed: number | bigint): void {
    if (this.queue.length > 0) this.settle();
    this.current.manualSeed(seed);
  }

  /** A random tensor, drawn when somebody needs its values. */
  tensor(draw: ReadyDraw, shape: Shape, dtype: DType): Tensor {
    const pending = new PendingDraw(this, draw, numel(shape), dtype);
    this.queue.push(pending);
    return new Tensor(new Value({ kind: "random", draw: pending }, 0, shape, dtype));
  }

  /** Draws all that wait, up to and including `last` (all by default). */
  settle(last?: PendingDraw): void {
    const at = last === undefined ? this.queue.length - 1 : this.queue.indexOf(last);
    for (let i = 0; i <= at; i++) this.queue[i]!.run(this.current);
    this.queue.splice(0, at + 1);
  }
}

/** What `torch.rand` and all others draw from unless they are given a generator. */
export const defaultStream = new RandomStream();
