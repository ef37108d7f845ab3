import type { Batch } from "../../nn/experiment/experiment.ts";
import { flawedRows, type ReturnedRows } from "../../tensor/recording/anomaly.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Batches } from "../training/batches.ts";
import { batchLength } from "../evaluation/evaluator.ts";
import { some } from "../training/nonFinite.ts";

/** Samples that are compared at a time. */
const CHUNK = 256;

/**
 * Names the samples of a batch that values which are not finite come from: "They come from sample 17 of the training set".
 * @param rows of the first tensor that has such values: samples, if it is made of the batch and as long
 * @param until time of `performance.now()` at which the search in the set ends
 * @returns undefined where it comes from no sample more than from others
 */
export function badSamples(
  batch: Batch,
  rows: ReturnedRows | undefined,
  train: Batches,
  until: number,
): string | undefined {
  const size = batchLength(batch);
  const all = batch.flatMap((tensor) => flawedRows(valuesOf(tensor.value), tensor.shape) ?? []);
  // A weight may have as many rows as the batch has samples.
  if (rows !== undefined && batch.some(({ value }) => rows.madeOf(value))) all.push(rows);
  const found = all.find((one) => one.of === size && one.numbers.length > 0);
  if (found === undefined || (found.numbers.length === size && size > 1)) return undefined;
  const numbers = numbersIn(train, batch, found.numbers, until);
  const [named, where] = numbers.length > 0 ? [numbers, "the training set"] : [found.numbers, "its batch"];
  const word = named.length === 1 ? "sample" : "samples";
  return `They come from ${word} ${some(named.map(String))} of ${where} (counted from 0)`;
}

/** The numbers of samples in the whole set, found by their values: a loader's order isn't known any more. */
function numbersIn(train: Batches, batch: Batch, rows: readonly number[], until: number): number[] {
  // Where samples are drawn or augmented, they are others each time.
  if (!train.fixed || !train.listed) return [];
  const wanted = new Map(rows.map((row) => [keyOf(batch, row), row]));
  const found = new Map<number, number>();
  const count = train.samples ?? 0;
  for (
    let start = 0;
    start < count && found.size < wanted.size && performance.now() < until;
    start += CHUNK
  ) {
    const indices = Array.from({ length: Math.min(CHUNK, count - start) }, (_, i) => start + i);
    const chunk = train.pick(indices);
    indices.forEach((index, i) => {
      const row = wanted.get(keyOf(chunk, i));
      if (row !== undefined && !found.has(row)) found.set(row, train.numberInSource(index));
    });
  }
  return rows.flatMap((row) => found.get(row) ?? []);
}

/** Equal for samples of equal bytes. */
const keyOf = (batch: Batch, row: number): string =>
  batch.map((tensor) => rowOf(tensor, row).toString("latin1")).join("|");

function rowOf({ value, shape }: Tensor, row: number): Buffer {
  const { buffer, byteOffset, byteLength } = valuesOf(value);
  const width = byteLength / (shape[0] ?? 1);
  return Buffer.from(buffer as ArrayBuffer, byteOffset + row * width, width);
}
