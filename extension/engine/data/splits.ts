import { createHash } from "node:crypto";
import { lastOf } from "../../formats/statistics.ts";
import type { DataLoader } from "../../nn/data/loader.ts";
import type { SplitName } from "../../protocol/data/data.ts";
import type { UserError } from "../../protocol/errors.ts";
import { defaultStream, RandomStream } from "../../tensor/random/stream.ts";
import { describeError } from "../host/userErrors.ts";
import type { Batches } from "../training/batches.ts";
import type { Prepared } from "../training/prepare.ts";
import { inputNames } from "./fields.ts";
import { Rows, valueAt, type Field, type Part } from "./rows.ts";

export type { Part } from "./rows.ts";

/** Samples, and numbers or characters, that are read of a split at most: a second and some hundred megabytes. */
const MAX_SAMPLES = 20_000;
const MAX_VALUES = 2 ** 23;
/** Samples that are read at a time: as many as take about {@link CHUNK_TIME} milliseconds. */
const MAX_CHUNK = 256;
const CHUNK_TIME = 50;

/** The samples of a split, as far as they were read. */
export interface Split {
  name: SplitName;
  /** Undefined for a stream of unknown length. */
  samples: number | undefined;
  read: number;
  /** The number of each sample that was read, ascending. */
  indices: readonly number[];
  fields: readonly Field[];
  /** Inputs that have one shape. */
  inputs: Part[];
  /** Undefined where a sample is a single tensor, its own target; where it has several, or of several shapes. */
  target: Part | undefined;
  timedOut?: boolean;
  /** Why reading ended, and the number of the sample that failed. */
  failed?: { sample: number; error: UserError };
}

/** Splits of an experiment, in the order in which they are read. */
export function splitsOf(prepared: Prepared): [SplitName, Batches][] {
  return (["train", "validation", "test"] as const).flatMap((name): [SplitName, Batches][] => {
    const batches = prepared[name];
    return batches === undefined ? [] : [[name, batches]];
  });
}

/**
 * Reads the splits of an experiment, evenly spaced samples of large ones. Random numbers that a data set draws leave no trace.
 * @param fixedOnly Only sets for which no code of the user's is called
 */
export function readSplits(prepared: Prepared, fixedOnly: boolean): Split[] {
  return untraced(() =>
    splitsOf(prepared).flatMap(([name, batches]): Split[] => {
      if (fixedOnly && !batches.fixed) return [];
      const split = lastOf(readSteps(name, batches, Infinity, inputNames(prepared)));
      return split === undefined ? [] : [split];
    }),
  );
}

/** Runs what may draw random numbers: it leaves no trace in the default generator. */
export function untraced<T>(body: () => T): T {
  const state = defaultStream.getState();
  try {
    return body();
  } finally {
    defaultStream.setState(state);
  }
}

/** A sample that can't be read. */
export class SampleError extends Error {
  readonly sample: number;

  constructor(sample: number, cause: unknown) {
    super("", { cause });
    this.sample = sample;
  }
}

/**
 * Reads a split step by step; each yields the number of samples read so far. Undefined where samples have no values.
 * @param seconds Time after which it ends with what it has
 * @param names Names of the inputs of a list
 */
export function* readSteps(
  name: SplitName,
  batches: Batches,
  seconds: number,
  names: readonly string[],
): Generator<number, Split | undefined> {
  const rows = new Rows(names);
  const end = performance.now() + 1000 * seconds;
  const more: Pick<Split, "timedOut" | "failed"> = {};
  try {
    for (const _ of stepsOf(batches, rows)) {
      yield rows.read;
      if (rows.read >= MAX_SAMPLES || rows.size >= MAX_VALUES) break;
      if (performance.now() < end) continue;
      more.timedOut = true;
      break;
    }
  } catch (error) {
    if (!(error instanceof SampleError)) throw error;
    more.failed = { sample: error.sample, error: describeError(error.cause) };
  }
  const { fields, indices } = rows.fields();
  if (fields.length === 0 && more.failed === undefined) return undefined;
  const inputs = fields.flatMap(({ role, part }) => (role === "input" && part !== undefined ? [part] : []));
  const targets = fields.filter(({ role }) => role === "target");
  const target = targets.length === 1 ? targets[0]?.part : undefined;
  return { name, samples: batches.samples, read: rows.read, indices, fields, inputs, target, ...more };
}

function stepsOf(batches: Batches, rows: Rows): Iterable<void> {
  const { loader, samples } = batches;
  return batches.listed && samples !== undefined
    ? listedSteps(loader, samples, rows)
    : streamSteps(loader, rows);
}

/** Evenly spaced samples of a set. */
function* listedSteps(loader: Loader, samples: number, rows: Rows): Generator<void> {
  addOne(loader, 0, rows);
  yield;
  const count = Math.max(1, Math.min(samples, MAX_SAMPLES, Math.floor(MAX_VALUES / Math.max(1, rows.size))));
  const indices = Array.from({ length: count }, (_, i) => Math.floor((i * samples) / count));
  const order = spread(count).map((i) => indices[i]!);
  let size = MAX_CHUNK / 16;
  for (let at = 0; at < order.length;) {
    const began = performance.now();
    const chunk = order.slice(at, at + size);
    addSamples(loader, chunk, rows);
    yield;
    at += chunk.length;
    const quick = performance.now() - began < CHUNK_TIME;
    size = quick ? Math.min(MAX_CHUNK, 2 * size) : Math.max(1, size >> 1);
  }
}

/** Numbers from 1 to below `count`, ordered so that the first ones of them are spread over all. */
function spread(count: number): number[] {
  const order: number[] = [];
  for (let step = 2 ** Math.ceil(Math.log2(Math.max(1, count))); step >= 1; step /= 2)
    for (let i = step; i < count; i += 2 * step) order.push(i);
  return order;
}

type Loader = DataLoader<unknown, unknown>;

/** Adds samples by number, as the rows of a batch where they make one, else as the data set has them. */
export function addSamples(loader: Loader, indices: readonly number[], rows: Rows): void {
  try {
    if (rows.addBatch(loader.pick(indices), indices)) return;
  } catch {
    // Samples of several shapes make no batch, or one of them fails: the next lines tell which.
  }
  for (const index of indices) addOne(loader, index, rows);
}

/** @throws SampleError where the data set has no such sample */
function addOne(loader: Loader, index: number, rows: Rows): void {
  try {
    if (rows.addBatch(loader.pick([index]), [index])) return;
  } catch {
    // The sample itself may be sound.
  }
  try {
    rows.addSample((loader.samples as { get(index: number): unknown }).get(index), index);
  } catch (error) {
    throw new SampleError(index, error);
  }
}

/** The first samples of a stream. */
function* streamSteps(loader: Loader, rows: Rows): Generator<void> {
  try {
    let whole = true;
    for (const batch of loader.inOrder(new RandomStream())) {
      whole = rows.addBatch(batch);
      if (!whole) break;
      yield;
    }
    if (whole) return;
  } catch {
    // As with samples by number.
  }
  rows.clear();
  try {
    for (const sample of loader.samples) {
      rows.addSample(sample, rows.read);
      yield;
    }
  } catch (error) {
    throw new SampleError(rows.read, error);
  }
}

/** A key for each sample's inputs: samples with equal keys have the same bytes. */
export function inputKeys({ name, fields, read }: Pick<Split, "name" | "fields" | "read">): string[] {
  const inputs = fields.filter(({ role }) => role === "input");
  // Without inputs, nothing tells samples apart.
  if (inputs.length === 0) return Array.from({ length: read }, (_, i) => `${name} ${i}`);
  return Array.from({ length: read }, (_, i) => {
    const hash = createHash("sha1");
    for (const field of inputs) {
      const value = valueAt(field, i);
      if (value === undefined || typeof value === "string") {
        hash.update(`${value === undefined ? "none" : `text ${value.length} ${value}`}\n`);
        continue;
      }
      if (field.part === undefined) hash.update(`[${value.shape.join()}]\n`);
      hash.update(bytesOf(value.values));
    }
    return hash.digest("base64");
  });
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
