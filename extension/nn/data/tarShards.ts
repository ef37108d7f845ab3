import { TensorError } from "../../tensor/core/errors.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { permutation, seededSource, type RandomSource } from "../../tensor/random/dataSamplers.ts";
import { defaultStream, type RandomStream } from "../../tensor/random/stream.ts";
import { getRank, getWorldSize, isInitialized } from "../distributed/processGroup.ts";
import {
  dataFiles,
  type DataFiles,
  type DecodedFile,
  type Pending,
  type RawSample,
  type Shard,
} from "./access.ts";
import { IterableDataset } from "./iterable.ts";
import { unitTensor } from "./vision.ts";

/** A sample of a tar file: its decoded files by their endings, and its name as `__key__`. */
export type TarSample = Readonly<Record<string, unknown>>;

/** How {@link tarShards} reads samples. */
export interface TarShardsOptions<Sample = unknown> {
  /**
   * Makes lists of the files with these endings, such as `["jpg;png", "cls"]`: the first that exists of those separated
   * by ";". Without it, a sample is an object of all its files.
   */
  keys?: readonly string[];
  /** Size of the buffer from which the next sample is drawn; 0 (default): the order of the files. */
  shuffle?: number;
  /** Whether each loop takes the shards in a new order; with `shuffle` by default. */
  shardShuffle?: boolean;
  /** Colours of images: "RGB" (default), "L" (grey), or "RGBA" with opacity. */
  mode?: "RGB" | "L" | "RGBA";
  /** Transform of each sample, as `keys` make it. */
  transform?: ((sample: never) => Sample) | null;
  /** Number of samples of a loop, if it is known: then progress and time left are known, too. */
  length?: number;
  /** How many processes share the shards: those of the group by default. Each takes every n-th shard. */
  numReplicas?: number;
  /** The number of this process: that of the group by default. */
  rank?: number;
  /** Where the order is drawn from; the global generator by default. */
  generator?: RandomStream | null;
}

const CHANNELS = { L: 1, RGB: 3, RGBA: 4 } as const;
/** Samples that threads decode ahead. */
const AHEAD = 16;

/** A sample in its shard. */
interface Placed {
  readonly shard: string;
  readonly sample: RawSample;
}

/** Samples of tar files, read one after the other. See {@link tarShards}. */
export class TarDataset<Sample = TarSample> extends IterableDataset<Sample> {
  /** Names of the tar files of this process. */
  readonly shards: readonly string[];
  readonly #files: DataFiles;
  readonly #options: TarShardsOptions<Sample>;
  readonly #wanted: readonly string[] | undefined;

  /** @internal See {@link tarShards}. */
  constructor(urls: string | readonly string[], options: TarShardsOptions<Sample>) {
    super();
    const { mode = "RGB", shuffle = 0 } = options;
    const { rank, numReplicas } = placeOf(options);
    if (!(mode in CHANNELS))
      throw new TensorError("value", `data.tarShards(): expected mode "RGB", "L" or "RGBA", got "${mode}"`);
    if (!(Number.isInteger(shuffle) && shuffle >= 0))
      throw new TensorError(
        "value",
        `data.tarShards(): expected shuffle to be a number of samples, got ${shuffle}`,
      );
    if (rank >= numReplicas || rank < 0)
      throw new TensorError(
        "value",
        `Invalid rank ${rank}, rank should be in the interval [0, ${numReplicas - 1}]`,
      );
    this.#files = dataFiles("tarShards");
    this.#options = options;
    this.#wanted = options.keys?.flatMap((one) => one.split(";"));
    const all = (typeof urls === "string" ? [urls] : urls).flatMap((one) => this.#files.expand(one));
    this.shards = all.filter((_, i) => i % numReplicas === rank);
    if (this.shards.length === 0)
      throw new TensorError(
        "value",
        all.length === 0
          ? "data.tarShards(): expected at least one tar file"
          : `data.tarShards(): ${all.length} shards are too few for ${numReplicas} processes`,
      );
  }

  override get length(): number | undefined {
    return this.#options.length;
  }

  [Symbol.iterator](): Iterator<Sample> {
    return this.#samples(0);
  }

  /** @internal Samples that are passed over are not decoded. */
  after(count: number): Iterator<Sample> | undefined {
    return this[Symbol.iterator] === TarDataset.prototype[Symbol.iterator] ? this.#samples(count) : undefined;
  }

  *#samples(passed: number): Iterator<Sample> {
    const { shuffle = 0, shardShuffle = shuffle > 0, generator, mode = "RGB" } = this.#options;
    const source = shuffle > 0 || shardShuffle ? seededSource(generator ?? defaultStream) : undefined;
    const shards = shardShuffle
      ? Array.from(permutation(this.shards.length, source!), (i) => this.shards[i]!)
      : this.shards;
    const raw = new RawSamples(this.#files, shards);
    const order = shuffle > 0 ? shuffled(raw, shuffle, source!) : raw;
    const queue: { placed: Placed; decoded: Pending<DecodedFile[]> }[] = [];
    let failure: { error: unknown } | undefined;
    let over = false;
    const fill = (): void => {
      // Samples that are not ready are waited for only when the queue is empty.
      while (!over && queue.length < AHEAD && (queue.length === 0 || raw.ready)) {
        try {
          const { done, value } = order.next();
          if (done === true) over = true;
          else if (passed > 0) passed--;
          else
            queue.push({
              placed: value,
              decoded: this.#files.decode(value.shard, value.sample, this.#wanted, CHANNELS[mode]),
            });
        } catch (error) {
          // The samples before it come first.
          failure = { error };
          over = true;
        }
      }
    };
    try {
      for (fill(); queue.length > 0; fill()) {
        const { placed, decoded } = queue.shift()!;
        yield this.#finished(placed, decoded.take());
      }
      if (failure !== undefined) throw failure.error;
    } finally {
      for (const { decoded } of queue) decoded.drop();
      raw.close();
    }
  }

  #finished({ shard, sample: { key } }: Placed, files: readonly DecodedFile[]): Sample {
    const { keys, transform } = this.#options;
    const values = new Map(files.map((file) => [file.name, valueOf(file)]));
    const sample =
      keys === undefined
        ? Object.fromEntries([["__key__", key], ...values])
        : keys.map((one) => {
            const name = one.split(";").find((each) => values.has(each));
            if (name !== undefined) return values.get(name);
            throw new TensorError("file", `${shard}: the sample "${key}" has no file "${one}"`);
          });
    return transform === undefined || transform === null
      ? (sample as Sample)
      : transform(sample as unknown as never);
  }
}

/** The place of this process. A training of several processes reads the same samples in all: each computes a part of a batch. */
function placeOf({ rank, numReplicas }: TarShardsOptions): { rank: number; numReplicas: number } {
  const group = isInitialized();
  return {
    rank: rank ?? (group ? getRank() : 0),
    numReplicas: numReplicas ?? (group ? getWorldSize() : 1),
  };
}

function valueOf(file: DecodedFile): unknown {
  if ("planes" in file) return unitTensor(file.planes, file.shape);
  if ("array" in file)
    return fromHost(file.array.values, file.array.shape, file.array.dtype) satisfies Tensor;
  return file.value;
}

/** The samples of several tar files, one after the other. The next file is opened while one is read. */
class RawSamples implements Iterator<Placed> {
  readonly #files: DataFiles;
  readonly #shards: readonly string[];
  readonly #open: Shard[] = [];
  #next = 0;

  constructor(files: DataFiles, shards: readonly string[]) {
    this.#files = files;
    this.#shards = shards;
  }

  /** Whether the next sample is there. */
  get ready(): boolean {
    return this.#open[0]?.ready ?? false;
  }

  next(): IteratorResult<Placed> {
    for (;;) {
      while (this.#open.length < 2 && this.#next < this.#shards.length && this.#openNext());
      const [first] = this.#open;
      if (first === undefined) return { done: true, value: undefined };
      const sample = first.next();
      if (sample !== undefined) return { done: false, value: { shard: first.path, sample } };
      this.#open.shift();
    }
  }

  /** Opens the next file. One that isn't there is an error when it is its turn: false before that. */
  #openNext(): boolean {
    const name = this.#shards[this.#next]!;
    try {
      this.#open.push(this.#files.shard(name));
      this.#next++;
      return true;
    } catch (error) {
      if (this.#open.length === 0) throw error;
      return false;
    }
  }

  close(): void {
    for (const shard of this.#open) shard.close();
    this.#open.length = 0;
    this.#next = this.#shards.length;
  }
}

/** Draws each sample from a buffer; a new one takes its place. */
function* shuffled(
  samples: Iterator<Placed>,
  size: number,
  { generator }: RandomSource,
): Generator<Placed, undefined> {
  const kept: Placed[] = [];
  for (;;) {
    const { done, value } = samples.next();
    if (done === true) break;
    if (kept.length < size) {
      kept.push(value);
      continue;
    }
    const place = generator.nextU32() % size;
    const drawn = kept[place]!;
    kept[place] = value;
    yield drawn;
  }
  while (kept.length > 0) {
    const place = generator.nextU32() % kept.length;
    const drawn = kept[place]!;
    kept[place] = kept.at(-1)!;
    kept.pop();
    yield drawn;
  }
  return undefined;
}

/**
 * Samples of tar files as WebDataset writes them, as a stream that may be larger than the memory. Files one after the
 * other that share a name up to its first dot are a sample: `00017.jpg`, `00017.cls`.
 *
 * ```ts
 * const pets = data.tarShards("shards/pets-{000..009}.tar", { keys: ["jpg;png", "cls"], shuffle: 1000 });
 * for (const [images, classes] of new data.DataLoader(pets, { batchSize: 32 })) …
 * ```
 *
 * By their endings, files are decoded to: `.jpg`, `.jpeg`, `.png` an image float32 [C, H, W] from 0 to 1; `.cls`, `.index`, `.id` a whole
 * number; `.txt` a string; `.json` its data; `.npy` a tensor; others a Uint8Array. Threads read and decode ahead, in the order of the
 * seed. Nothing is unpacked to the disk.
 *
 * @param urls names with braces, relative to the `.nn.ts` file or to the working directory, or absolute
 * @throws TensorError naming the tar file, for one that is no tar file or is truncated, and for links in it; naming a
 * sample that lacks one of the keys
 * @see https://github.com/webdataset/webdataset
 */
export function tarShards<Sample = TarSample>(
  urls: string | readonly string[],
  options: TarShardsOptions<Sample> = {},
): TarDataset<Sample> {
  return new TarDataset<Sample>(urls, options);
}
