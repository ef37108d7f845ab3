import { createHash } from "node:crypto";
import type { Batch } from "../../nn/experiment/experiment.ts";
import { defaultStream } from "../../tensor/random/stream.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Batches } from "../training/batches.ts";
import type { Prepared } from "../training/prepare.ts";

/** Samples and numbers that are read of a split at most: a second and some hundred megabytes. */
const MAX_SAMPLES = 20_000;
const MAX_VALUES = 2 ** 23;
/** Samples that are read at a time. */
const CHUNK = 256;

export type SplitName = "train" | "validation" | "test";

/** One tensor of every sample that was read, one after the other. */
export interface Part {
  dtype: Tensor["dtype"];
  /** Of one sample. */
  shape: Shape;
  /** Numbers of one sample. */
  size: number;
  values: Float32Array;
}

/** The samples of a split, as far as they were read. */
export interface Split {
  name: SplitName;
  /** Undefined for a stream of unknown length. */
  samples: number | undefined;
  read: number;
  inputs: Part[];
  /** Undefined where a sample is a single tensor, its own target. */
  target: Part | undefined;
}

/**
 * Reads the splits of an experiment, evenly spaced samples of large ones. Random numbers that a data set draws leave no trace.
 * @param fixedOnly Only sets for which no code of the user's is called
 */
export function readSplits(prepared: Prepared, fixedOnly: boolean): Split[] {
  const state = defaultStream.getState();
  try {
    return (["train", "validation", "test"] as const).flatMap((name): Split[] => {
      const batches = prepared[name];
      if (batches === undefined || (fixedOnly && !batches.fixed)) return [];
      const split = readSplit(name, batches);
      return split === undefined ? [] : [split];
    });
  } finally {
    defaultStream.setState(state);
  }
}

/** Undefined where a batch's tensors don't have a row for each sample. */
function readSplit(name: SplitName, batches: Batches): Split | undefined {
  const chunks: Batch[] = [];
  let read = 0;
  let values = 0;
  for (const batch of batchesOf(batches)) {
    const rows = batch[0]?.shape[0];
    if (rows === undefined || batch.some(({ shape }) => shape[0] !== rows)) return undefined;
    chunks.push(batch);
    read += rows;
    values += batch.reduce((sum, tensor) => sum + tensor.numel(), 0);
    if (read >= MAX_SAMPLES || values >= MAX_VALUES) break;
  }
  const first = chunks[0];
  if (first === undefined || chunks.some((batch) => !alike(batch, first))) return undefined;
  const parts = first.map(({ dtype, shape }, i): Part => {
    const size = numel(shape.slice(1));
    const joined = new Float32Array(read * size);
    let at = 0;
    for (const batch of chunks) {
      const some = valuesOf(batch[i]!.value);
      joined.set(some, at);
      at += some.length;
    }
    return { dtype, shape: shape.slice(1), size, values: joined };
  });
  const target = parts.length > 1 ? parts.pop() : undefined;
  return { name, samples: batches.samples, read, inputs: parts, target };
}

const alike = (a: Batch, b: Batch): boolean =>
  a.length === b.length &&
  a.every(
    ({ dtype, shape }, i) =>
      dtype === b[i]!.dtype && shape.slice(1).join() === b[i]!.shape.slice(1).join() && dtype !== undefined,
  );

/** Evenly spaced samples of a set, the first ones of a stream. */
function* batchesOf(batches: Batches): Iterable<Batch> {
  const { samples } = batches;
  if (!batches.listed || samples === undefined) {
    yield* batches.inOrder();
    return;
  }
  const size = Math.max(
    1,
    batches.sample().reduce((sum, tensor) => sum + tensor.numel(), 0),
  );
  const count = Math.max(1, Math.min(samples, MAX_SAMPLES, Math.floor(MAX_VALUES / size)));
  const indices = Array.from({ length: count }, (_, i) => Math.floor((i * samples) / count));
  for (let at = 0; at < count; at += CHUNK) yield batches.pick(indices.slice(at, at + CHUNK));
}

/** A key for each sample's inputs: samples with equal keys have the same bytes. */
export function inputKeys({ inputs, read }: Split): string[] {
  const bytes = inputs.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  return Array.from({ length: read }, (_, i) => {
    const hash = createHash("sha1");
    inputs.forEach(({ size }, k) => hash.update(bytes[k]!.subarray(4 * i * size, 4 * (i + 1) * size)));
    return hash.digest("base64");
  });
}
