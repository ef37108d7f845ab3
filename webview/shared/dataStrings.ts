/** Texts of the panel of an experiment's data; part of strings.ts. */
import { formatCount } from "./format.ts";

const SPLITS = { train: "Training", validation: "Validation", test: "Test" };
type SplitName = keyof typeof SPLITS;
const count = (n: number, one: string, many: string): string => `${formatCount(n)} ${n === 1 ? one : many}`;

export const dataStrings = {
  loading: "Loading the data…",
  title: (file: string) => `Data of ${file}`,
  exportName: "Export",
  failed: "The data can't be shown",
  retry: "Try Again",
  noModel: "The model can't be made, so the splits may differ from those of a training",
  read: "Read the Data",
  unread: "The data has not been read. Reading it runs the file's code.",
  refresh: "Read Again",
  outdated: "The file has changed since the data was read.",
  train: "Train",
  cancel: "Cancel",
  reading: "Reading the data",
  starting: "Starting, and loading what the experiment calls its data…",
  progress: (split: SplitName, read: number, of: number | undefined) =>
    `Reading ${SPLITS[split].toLowerCase()} data: ${formatCount(read)}${
      of === undefined ? "" : ` of ${formatCount(of)}`
    } ${of === 1 ? "sample" : "samples"}`,
  splits: {
    title: "Splits",
    names: SPLITS,
    split: "Split",
    samples: "Samples",
    read: "Read",
    missing: "NaN or infinite",
    repeated: "Repeated",
    inTraining: "Also in training",
    stream: "a stream",
    all: "all",
    spaced: "evenly spaced",
    first: "the first",
    timedOut: "until the time was over",
    failed: (split: SplitName, sample: number) =>
      `${SPLITS[split]} sample ${formatCount(sample)} can't be read`,
    hint: "Repeated: samples whose inputs equal those of an earlier sample of the split, byte for byte.",
  },
  findings: {
    title: "Probable Mistakes",
    none: "No rule found a mistake in what was read.",
    rule: "Rule",
    reason: "Reason",
  },
  classes: {
    title: "Class Balance",
    name: "Class",
    bar: (name: string, split: string, n: number, share: string) =>
      `${split}, ${name}: ${formatCount(n)} (${share})`,
    first: (n: number) => `The first ${formatCount(n)} classes.`,
    show: (name: string) => `Show samples of ${name}`,
  },
  batch: {
    title: "Batch",
    failed: "A training can't use this batch",
    hint: "The first batch as the model and the loss get it.",
    name: "Name",
    role: "Role",
    roles: { input: "input", target: "target" },
    dtype: "Type",
    shape: "Shape",
  },
  columns: {
    title: "Values",
    hint: "Of the training samples that were read, as the model gets them: after scaling and transforms.",
    axes: { column: "Column", channel: "Channel", feature: "Feature" },
    all: "all",
    minimum: "min",
    maximum: "max",
    mean: "mean",
    std: "std",
    missing: "NaN or infinite",
    absent: "Empty in file",
    distribution: "Distribution",
    histogram: (name: string, from: string, to: string) => `Distribution of ${name} from ${from} to ${to}`,
    rest: (shown: number, all: number) =>
      `The first ${formatCount(shown)} of ${formatCount(all)}. The first row covers all.`,
    lengths: "lengths in characters",
  },
  pairs: {
    title: "Equal Samples",
    hint: "Pairs with the same inputs, those across splits first.",
    show: (n: number) => `Show ${count(n, "pair", "pairs")}`,
    loading: "Reading the samples…",
  },
  samples: {
    title: "Samples",
    split: "Split of the samples",
    classes: "Class of the samples",
    allClasses: "All classes",
    loading: "Reading samples…",
    none: "There is no sample.",
    page: (from: number, to: number, of: number) =>
      `${formatCount(from)} to ${formatCount(to)} of ${formatCount(of)}`,
    previous: "Previous page",
    next: "Next page",
    first: "First page",
    last: "Last page",
    sample: (index: number) => `Sample ${formatCount(index)}`,
    look: (index: number) => `Look at sample ${formatCount(index)}`,
    series: (name: string, points: number) => `${name}, ${formatCount(points)} points`,
    rest: (n: number) => `… ${formatCount(n)} characters`,
    unreadable: "can't be read",
  },
  look: {
    title: (split: SplitName, index: number) => `${SPLITS[split]} Sample ${formatCount(index)}`,
    close: "Close",
    original: "Before the transforms",
    draws: "What the transforms make of it",
    again: "Draw Again",
    fixed: "Each time the sample is read, it has the same values: nothing is drawn at random.",
    loading: "Reading the sample…",
    draw: (n: number) => `Draw ${n}`,
    view: (name: string) => `View Tensor ${name}`,
  },
};
