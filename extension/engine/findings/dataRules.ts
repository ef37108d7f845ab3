import type { Loss } from "../../nn/experiment/experiment.ts";
import { BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, NLLLoss } from "../../nn/modules/loss/loss.ts";
import { MAX_PAIRS, type SamplePlace } from "../../protocol/data/data.ts";
import { findingOf, type Finding } from "../../protocol/findings.ts";
import { columnOf, correlationRatio, squaredCorrelation } from "./statistics.ts";
import { inputKeys, type Part, type Split } from "../data/splits.ts";
import { guessedClass, guessedNumber, type Guessing } from "./trainingRules.ts";

/** Fewest samples for claiming a relation. */
const ENOUGH = 50;
/** Most columns of an input that are searched for a leak. */
const MAX_COLUMNS = 4096;
/** Numbers of a target that are compared with each column. */
const MAX_TARGETS = 8;
const LEAKED = { ratio: 0.99, correlation: 0.999, alone: 10, chance: 0.2 };
/** Standard errors above the usual share of copies from which copies aren't natural. */
const NATURAL_ERRORS = 3;
const IMBALANCED = 10;
/** Distinct targets above which int64 inputs and targets may be tokens of one vocabulary. */
const VOCABULARY = 20;
const MAX_CLASSES = 1000;

/** Samples of each class; undefined where the target is no class. */
export function classesOf({ target }: Split, loss: Loss | undefined): Map<number, number> | undefined {
  if (target === undefined || target.size !== 1) return undefined;
  const binary = loss instanceof BCELoss || loss instanceof BCEWithLogitsLoss;
  if (target.dtype !== "int64" && !binary) return undefined;
  const counts = new Map<number, number>();
  for (const value of target.values) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
    if (counts.size > MAX_CLASSES || (binary && value !== 0 && value !== 1)) return undefined;
  }
  return counts;
}

/** A copy of a sample in two splits, or twice in one. */
export interface Duplicates {
  /** Further copies within a split, by its name. */
  repeated: Map<string, number>;
  /** Samples of another split that are also in the training set. */
  inTraining: Map<string, number>;
  /** The share of training samples that have a copy among the others. */
  usual: number;
  /** The first copies, each with the sample that it equals: those across splits come first. */
  pairs: [SamplePlace, SamplePlace][];
}

export function duplicatesOf(splits: readonly Split[]): Duplicates {
  const repeated = new Map<string, number>();
  const inTraining = new Map<string, number>();
  const across: Duplicates["pairs"] = [];
  const within: Duplicates["pairs"] = [];
  let train: ReadonlyMap<string, SamplePlace> | undefined;
  let usual = 0;
  for (const split of splits) {
    const { name, indices } = split;
    const keys = inputKeys(split);
    const counts = new Map<string, number>();
    const places = new Map<string, SamplePlace>();
    let copied = 0;
    for (const [i, key] of keys.entries()) {
      const place = { split: name, index: indices[i]! };
      const [own, trained] = [places.get(key), train?.get(key)];
      if (own === undefined) places.set(key, place);
      else if (within.length < MAX_PAIRS) within.push([own, place]);
      if (trained !== undefined && ++copied <= MAX_PAIRS) across.push([trained, place]);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    repeated.set(name, keys.length - counts.size);
    if (name === "train") {
      train = places;
      usual = keys.filter((key) => counts.get(key)! > 1).length / keys.length;
    } else if (train !== undefined) inTraining.set(name, copied);
  }
  return { repeated, inTraining, usual, pairs: [...across, ...within].slice(0, MAX_PAIRS) };
}

/** Findings in the data alone. @param weighted Whether a sampler or weights of the loss treat classes differently */
export function dataFindings(
  splits: readonly Split[],
  {
    loss,
    weighted,
    names,
    duplicates,
  }: {
    loss: Loss | undefined;
    weighted: boolean;
    names: readonly string[] | undefined;
    duplicates: Duplicates;
  },
): Finding[] {
  const train = splits.find(({ name }) => name === "train");
  if (train === undefined) return [];
  const classes = classesOf(train, loss);
  return [
    ...leaks(train, classes, names),
    ...copies(splits, duplicates),
    ...(classes === undefined || weighted ? [] : imbalance(train, classes, loss)),
  ];
}

function copies(splits: readonly Split[], { inTraining, usual }: Duplicates): Finding[] {
  return splits.flatMap(({ name, read, inputs }) => {
    const copied = inTraining.get(name) ?? 0;
    if (copied === 0) return [];
    // Rows of whole numbers, such as words, repeat by nature: in the training set, too.
    const natural = inputs.every(({ values }) => values.every(Number.isInteger))
      ? usual + NATURAL_ERRORS * Math.sqrt((usual * (1 - usual)) / read)
      : 0;
    if (copied / read <= Math.max(0.5 / Math.sqrt(read), natural)) return [];
    const share = ((100 * copied) / read).toFixed(1);
    return [
      findingOf(
        "duplicates",
        `${copied} of ${read} ${name} samples (${share} %) have the same inputs as a training sample.`,
      ),
    ];
  });
}

function imbalance(train: Split, classes: Map<number, number>, loss: Loss | undefined): Finding[] {
  // Only for losses that are known to count each sample alike.
  const plain = [CrossEntropyLoss, NLLLoss, BCELoss, BCEWithLogitsLoss].some((type) => loss instanceof type);
  const counts = [...classes].sort((a, b) => b[1] - a[1]);
  const [largest, smallest] = [counts[0]!, counts.at(-1)!];
  if (!plain || classes.size < 2 || train.read < ENOUGH || isVocabulary(train.inputs, classes)) return [];
  if (largest[1] < IMBALANCED * smallest[1]) return [];
  const share = ((100 * largest[1]) / train.read).toFixed(1);
  return [
    findingOf(
      "classImbalance",
      `Class ${largest[0]} has ${largest[1]} samples (${share} %), class ${smallest[0]} has ${smallest[1]}.`,
    ),
  ];
}

/** Whether inputs and targets are tokens of one vocabulary, whose frequencies differ by nature. */
function isVocabulary(inputs: readonly Part[], classes: ReadonlyMap<number, number>): boolean {
  if (classes.size <= VOCABULARY) return false;
  return inputs.some(({ dtype, values }) => {
    if (dtype !== "int64") return false;
    const tokens = new Set(values);
    return [...classes.keys()].filter((one) => tokens.has(one)).length >= 0.9 * classes.size;
  });
}

/** Columns that reveal the target. */
function leaks(
  { inputs, target, read }: Split,
  classes: ReadonlyMap<number, number> | undefined,
  names: readonly string[] | undefined,
): Finding[] {
  const columns = inputs.reduce((sum, { size }) => sum + size, 0);
  if (target === undefined || read < ENOUGH || columns < 2 || columns > MAX_COLUMNS) return [];
  if (classes !== undefined && (classes.size < 2 || (classes.size - 1) / (read - 1) > LEAKED.chance))
    return [];
  if (classes === undefined && target.size > MAX_TARGETS) return [];
  const found: Finding[] = [];
  const targets = Array.from({ length: target.size }, (_, k) => columnOf(target, k, read));
  const scores = inputs.flatMap((input, n) =>
    Array.from({ length: input.size }, (_, column) => {
      const values = columnOf(input, column, read);
      const name = nameOf(inputs, n, column, names);
      if (classes !== undefined) return { name, scores: [correlationRatio(values, targets[0]!)] };
      return { name, scores: targets.map((one) => squaredCorrelation(values, one)) };
    }),
  );
  for (const k of targets.keys()) {
    const [first, second] = scores
      .map(({ name, scores: all }) => ({ name, score: all[k]! }))
      .filter(({ score }) => !Number.isNaN(score))
      .sort((a, b) => b.score - a.score);
    if (first === undefined) continue;
    const rest = 1 - first.score;
    const leaked =
      classes !== undefined
        ? first.score >= LEAKED.ratio
        : first.score >= LEAKED.correlation && 1 - (second?.score ?? 0) >= LEAKED.alone * rest;
    if (!leaked) continue;
    const share = Number((100 * first.score).toPrecision(5));
    found.push(
      findingOf(
        "labelLeak",
        classes !== undefined
          ? `The class explains ${share} % of the variance of ${first.name}.`
          : `${first.name} alone explains ${share} % of the target's variance.`,
      ),
    );
  }
  return found.slice(0, 1);
}

function nameOf(
  inputs: readonly Part[],
  input: number,
  column: number,
  names: readonly string[] | undefined,
): string {
  const own = inputs.length === 1 && names?.length === inputs[0]!.size ? names[column] : undefined;
  const of = inputs.length === 1 ? "" : ` of input ${input + 1}`;
  return own === undefined ? `column ${column}${of}` : `column "${own}"`;
}

/** Samples among which a nearest neighbour is searched, and numbers that are compared. */
const NEIGHBOURS = 500;
const MAX_DISTANCES = 3e8;

/**
 * How well the nearest neighbour's target, among up to 500 training samples, predicts a sample's target; undefined
 * where inputs are no numbers to measure distances of.
 */
export function neighbourScore(
  { inputs, target, read }: Split,
  classes: ReadonlyMap<number, number> | undefined,
): Guessing | undefined {
  const [input] = inputs;
  if (input === undefined || target?.size !== 1 || inputs.length > 1 || input.dtype !== "float32")
    return undefined;
  const samples = Math.min(read, NEIGHBOURS);
  if (samples < ENOUGH || samples ** 2 * input.size > MAX_DISTANCES) return undefined;
  const rows = Array.from({ length: samples }, (_, i) => Math.floor((i * read) / samples));
  const own = Float32Array.from(rows, (row) => target.values[row]!);
  const nearest = Float32Array.from(rows, (row) => target.values[nearestOf(row, rows, input)]!);
  if (classes === undefined) return guessedNumber(squaredCorrelation(own, nearest) ** 0.5, samples);
  const agree = own.reduce((sum, value, i) => sum + (value === nearest[i] ? 1 : 0), 0);
  return guessedClass(agree / samples, Math.max(...classes.values()) / read, samples);
}

function nearestOf(row: number, rows: readonly number[], { values, size }: Part): number {
  let [nearest, least] = [row, Infinity];
  for (const other of rows) {
    if (other === row) continue;
    let distance = 0;
    for (let k = 0; k < size && distance < least; k++)
      distance += (values[row * size + k]! - values[other * size + k]!) ** 2;
    if (distance < least) [nearest, least] = [other, distance];
  }
  return nearest;
}
