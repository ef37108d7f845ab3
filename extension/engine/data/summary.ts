import { TableDataset } from "../../nn/data/table.ts";
import { WeightedRandomSampler } from "../../nn/data/sampler.ts";
import {
  MAX_LISTED_CLASSES,
  MAX_LISTED_COLUMNS,
  type Axis,
  type DataSplit,
  type DataSummary,
  type DataTensor,
  type ValueRange,
} from "../../protocol/data/data.ts";
import type { Finding } from "../../protocol/findings.ts";
import type { Prepared } from "../training/prepare.ts";
import { classesOf, dataFindings, duplicatesOf, type Duplicates } from "../findings/dataRules.ts";
import { histogramOf, rangeOf } from "../findings/statistics.ts";
import { batchOf } from "./batch.ts";
import { valueAt, type Field, type Part } from "./rows.ts";
import { readSplits, untraced, type Split } from "./splits.ts";

/** Channels of an image, and features of a series, at most. */
const MAX_CHANNELS = 16;

/** Describes the data of an experiment, of which these splits were read. */
export function summaryOf(
  prepared: Prepared,
  splits: readonly Split[] = readSplits(prepared, false),
): DataSummary {
  const duplicates = duplicatesOf(splits);
  const train = splits.find(({ name }) => name === "train");
  const counts = splits.map((split) => classesOf(split, prepared.loss));
  const known = new Set(counts.flatMap((one) => [...(one?.keys() ?? [])]));
  const classes = [...known].sort((a, b) => a - b).slice(0, MAX_LISTED_CLASSES);
  return {
    splits: splits.map((split, i) => describeSplit(split, duplicates, counts[i], classes)),
    tensors: train?.fields.map((field) => tensorOf(field, prepared)) ?? [],
    batch: untraced(() => batchOf(prepared)),
    ...(classes.length === 0 ? {} : { classes: classes.map((one) => className(prepared, one)) }),
    ...(classes.every((one, i) => one === i) ? {} : { classIndices: classes }),
    pairs: duplicates.pairs,
    findings: findingsOf(prepared, splits, duplicates),
  };
}

/** A class's name, or its number where it has none. */
export const className = ({ classes }: Pick<Prepared, "classes">, index: number): string =>
  classes?.[index] ?? String(index);

/** Returns findings in a training's data and its splits, as far as they can be read without the user's code. */
export function findingsInData(prepared: Prepared): { findings: Finding[]; splits: Split[] } {
  const splits = readSplits(prepared, true);
  return { findings: findingsOf(prepared, splits, duplicatesOf(splits)), splits };
}

function findingsOf(prepared: Prepared, splits: readonly Split[], duplicates: Duplicates): Finding[] {
  const { loss, train } = prepared;
  const weights = [Reflect.get(loss ?? {}, "weight"), Reflect.get(loss ?? {}, "posWeight")];
  const weighted =
    weights.some((one) => one !== null && one !== undefined) ||
    train.sampler instanceof WeightedRandomSampler ||
    train.batchSampler;
  return dataFindings(splits, { loss, weighted, names: columnNames(prepared), duplicates });
}

/** Names of the columns, where the data set has some. */
export function columnNames({ train }: Prepared): readonly string[] | undefined {
  const names: unknown = Reflect.get(train.source, "featureNames");
  return Array.isArray(names) ? names.map(String) : undefined;
}

function describeSplit(
  { name, samples, read, fields, timedOut, failed }: Split,
  { repeated, inTraining }: Duplicates,
  counts: ReadonlyMap<number, number> | undefined,
  classes: readonly number[],
): DataSplit {
  const copied = inTraining.get(name);
  const missing = fields.reduce((sum, field) => sum + missingIn(field), 0);
  return {
    name,
    ...(samples === undefined ? {} : { samples }),
    read,
    ...(timedOut === undefined ? {} : { timedOut }),
    ...(failed === undefined ? {} : { failed }),
    repeated: repeated.get(name) ?? 0,
    ...(copied === undefined ? {} : { inTraining: copied }),
    missing,
    ...(counts === undefined ? {} : { classes: classes.map((one) => counts.get(one) ?? 0) }),
  };
}

function missingIn({ part, rows = [] }: Field): number {
  const arrays = part === undefined ? rows.map((row) => row?.values ?? []) : [part.values];
  let missing = 0;
  for (const values of arrays) for (const x of values) if (!Number.isFinite(x)) missing++;
  return missing;
}

function tensorOf(field: Field, prepared: Prepared): DataTensor {
  const { name, role, dtype, part } = field;
  if (part === undefined) return unevenOf(field);
  return {
    name,
    role,
    dtype,
    shape: [...part.shape],
    range: withHistogram(part.values),
    ...(role === "input" ? columnsOf(part, prepared) : {}),
  };
}

/** Describes a field of texts, or of tensors whose shapes differ. */
function unevenOf({ name, role, dtype, rows = [], texts }: Field): DataTensor {
  if (texts !== undefined) {
    const lengths = Float64Array.from(texts.flatMap((text) => text?.length ?? []));
    return { name, role, dtype, shape: [], range: withHistogram(lengths) };
  }
  const there = rows.flatMap((row) => row ?? []);
  const shapes = there.map(({ shape }) => shape);
  const rank = shapes[0]?.length ?? 0;
  const even = shapes.every(({ length }) => length === rank);
  const extents = (of: (...all: number[]) => number): number[] =>
    even
      ? Array.from({ length: rank }, (_, d) => shapes.map((one) => one[d]!).reduce((a, b) => of(a, b)))
      : [];
  const all = new Float64Array(there.reduce((sum, { values }) => sum + values.length, 0));
  let at = 0;
  for (const { values } of there) {
    all.set(values, at);
    at += values.length;
  }
  return {
    name,
    role,
    dtype,
    shape: extents(Math.min),
    largest: extents(Math.max),
    range: withHistogram(all),
  };
}

function withHistogram(values: ArrayLike<number>, start = 0, stride = 1): ValueRange {
  const range = rangeOf(values, start, stride);
  return { ...range, histogram: histogramOf(values, range, start, stride) };
}

function columnsOf(part: Part, prepared: Prepared): Pick<DataTensor, "axis" | "columns" | "allColumns"> {
  const axis = axisOf(part);
  if (axis === undefined) return {};
  const { shape, size, values } = part;
  const all = axis === "channel" ? shape[0]! : axis === "feature" ? shape[1]! : size;
  if (all === 1) return {};
  const names = columnNames(prepared);
  const absent = axis === "column" ? absentIn(prepared) : undefined;
  const columns = Array.from({ length: Math.min(all, MAX_LISTED_COLUMNS) }, (_, i) => {
    const own = names?.length === all ? names[i] : undefined;
    const gaps = own === undefined ? undefined : absent?.(own);
    return {
      name: own ?? String(i),
      range: axis === "channel" ? withHistogram(channelOf(part, i)) : withHistogram(values, i, all),
      ...(gaps === undefined ? {} : { absent: gaps }),
    };
  });
  return { axis, columns, ...(columns.length < all ? { allColumns: all } : {}) };
}

function axisOf({ shape, size, dtype }: Part): Axis | undefined {
  if (shape.length === 1 && size > 1) return "column";
  const [first = 0, second = 0] = shape;
  if (shape.length === 3 && dtype === "float32" && first <= MAX_CHANNELS) return "channel";
  return shape.length === 2 && second <= MAX_CHANNELS && second < first ? "feature" : undefined;
}

function channelOf({ values, size, shape }: Part, channel: number): Float32Array {
  const plane = size / shape[0]!;
  const samples = values.length / size;
  const out = new Float32Array(samples * plane);
  for (let i = 0; i < samples; i++) {
    const from = i * size + channel * plane;
    out.set(values.subarray(from, from + plane), i * plane);
  }
  return out;
}

/** Counts the cells of a column that are missing in the file, before something took their place. */
function absentIn({ train: { source } }: Prepared): ((column: string) => number | undefined) | undefined {
  if (!(source instanceof TableDataset)) return undefined;
  return (column) => {
    try {
      return source.column(column).filter((cell) => cell === undefined).length;
    } catch {
      // One of several features that stand for a category.
      return undefined;
    }
  };
}

/** Numbers of the samples of a class that were read. */
export function samplesOf({ fields, indices, read }: Split, target: number): number[] {
  const field = fields.find(({ role }) => role === "target");
  if (field === undefined) return [];
  return Array.from({ length: read }, (_, i) => i)
    .filter((i) => {
      const value = valueAt(field, i);
      return typeof value === "object" && value.values.length === 1 && value.values[0] === target;
    })
    .map((i) => indices[i]!);
}
