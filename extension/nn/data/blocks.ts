import * as sampling from "../../tensor/random/dataSamplers.ts";
import { defaultStream, type RandomStream } from "../../tensor/random/stream.ts";
import { Sampler } from "./sampler.ts";

/** How a data set is read that is larger than the memory: in blocks, such as the row groups of a file. */
export interface Blocks {
  readonly count: number;
  /** The block that a sample is in. */
  of(index: number): number;
  /** Bytes of a block in memory. */
  bytes(block: number): number;
  /** Bytes of the blocks that are shuffled together. */
  readonly window: number;
  /** The blocks that are read next. @param first Whether they take the place of those announced before */
  announce(blocks: readonly number[], first: boolean): void;
}

/** A data set that may have blocks. */
export interface InBlocks {
  readonly length: number;
  readonly blocks?: Blocks | undefined;
}

/**
 * A random order that reads each block once: blocks are shuffled, and then the samples of as many blocks at a time as fit into the
 * window. One seed is drawn for an epoch.
 */
export class BlockSampler extends Sampler {
  readonly #dataset: InBlocks;
  readonly #blocks: Blocks;
  readonly #source: RandomStream | null;

  constructor(dataset: InBlocks, blocks: Blocks, source: RandomStream | null) {
    super();
    sampling.checkSampleCount(dataset.length);
    this.#dataset = dataset;
    this.#blocks = blocks;
    this.#source = source;
  }

  get length(): number {
    return this.#dataset.length;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    const blocks = this.#blocks;
    const source = sampling.seededSource(this.#source ?? defaultStream);
    const { order, starts } = byBlock(this.#dataset.length, blocks);
    const windows: number[][] = [];
    let room = 0;
    for (const block of sampling.permutation(blocks.count, source)) {
      if (starts[block] === starts[block + 1]) continue;
      const bytes = blocks.bytes(block);
      if (bytes > room) {
        windows.push([]);
        room = blocks.window;
      }
      windows.at(-1)!.push(block);
      room -= bytes;
    }
    blocks.announce(windows[0] ?? [], true);
    for (const [i, window] of windows.entries()) {
      blocks.announce(windows[i + 1] ?? [], false);
      const parts = window.map((block) => order.subarray(starts[block], starts[block + 1]));
      const samples = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        samples.set(part, at);
        at += part.length;
      }
      for (const place of sampling.permutation(samples.length, source)) yield samples[place]!;
    }
  }
}

/** The samples of each block, one after the other, and where each block begins among them. */
function byBlock(length: number, blocks: Blocks): { order: Int32Array; starts: Int32Array } {
  const starts = new Int32Array(blocks.count + 1);
  for (let i = 0; i < length; i++) starts[blocks.of(i) + 1]!++;
  for (let block = 0; block < blocks.count; block++) starts[block + 1]! += starts[block]!;
  const next = starts.slice();
  const order = new Int32Array(length);
  for (let i = 0; i < length; i++) order[next[blocks.of(i)]!++] = i;
  return { order, starts };
}
