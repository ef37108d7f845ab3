import { kindOf, TensorError } from "../../../tensor/core/errors.ts";
import type { EventHistogram } from "./events.ts";

/** How values are divided into buckets. */
export type Bins = "tensorflow" | number | readonly number[];

/** TensorFlow's edges: each 1.1 times the one before it, from 1e-12 to 1e20 on both sides of 0. */
function tensorflowEdges(): number[] {
  const positive: number[] = [];
  for (let edge = 1e-12; edge < 1e20; edge *= 1.1) positive.push(edge);
  return [...positive.map((edge) => -edge).reverse(), 0, ...positive];
}

let defaultEdges: readonly number[] | undefined;

function edgesOf(bins: Bins, min: number, max: number): readonly number[] {
  if (bins === "tensorflow") return (defaultEdges ??= tensorflowEdges());
  if (typeof bins === "number") {
    if (!Number.isInteger(bins) || bins < 1)
      throw new TensorError("value", "`bins` must be positive, when an integer");
    if (!Number.isFinite(min) || !Number.isFinite(max))
      throw new TensorError("value", `autodetected range of [${min}, ${max}] is not finite`);
    // NumPy's range of values that are all equal.
    const [first, last] = min === max ? [min - 0.5, max + 0.5] : [min, max];
    return Array.from({ length: bins + 1 }, (_, i) =>
      i === bins ? last : i * ((last - first) / bins) + first,
    );
  }
  if (!Array.isArray(bins))
    throw new TensorError(
      "unsupported",
      `addHistogram(): expected bins to be "tensorflow", a number or a list of edges, got ${typeof bins === "string" ? `"${bins as string}"` : kindOf(bins)}`,
    );
  if (bins.some((edge, i) => i > 0 && !(edge >= bins[i - 1]!)))
    throw new TensorError("value", "`bins` must increase monotonically, when an array");
  return bins as readonly number[];
}

/** The bucket of a value, or -1: buckets include their left edge, and the last one its right edge too. */
function bucketOf(value: number, edges: readonly number[]): number {
  const last = edges.length - 1;
  if (!(value >= edges[0]! && value <= edges[last]!)) return -1;
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (edges[middle]! <= value) low = middle;
    else high = middle;
  }
  return low;
}

/** At most about `most` buckets, each the sum of several neighbours. */
function merged(
  counts: readonly number[],
  edges: readonly number[],
  most: number,
): { counts: number[]; edges: readonly number[] } {
  const each = Math.floor(counts.length / most);
  const length = Math.ceil(counts.length / each);
  const sums = Array.from({ length }, (_, i) =>
    counts.slice(i * each, (i + 1) * each).reduce((sum, count) => sum + count, 0),
  );
  return { counts: sums, edges: [...sums.map((_, i) => edges[i * each]!), edges.at(-1)!] };
}

/**
 * The histogram that PyTorch's `add_histogram` writes: only buckets from the first to the last one with values, and an
 * empty one before them for its edge.
 * @throws TensorError "The input has no element."
 */
export function histogramOf(values: ArrayLike<number>, bins: Bins, maxBins: number | null): EventHistogram {
  if (values.length === 0) throw new TensorError("value", "The input has no element.");
  let [min, max, sum, sumSquares] = [Infinity, -Infinity, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    sumSquares += value * value;
  }
  let edges = edgesOf(bins, min, max);
  let counts = Array.from<number>({ length: edges.length - 1 }).fill(0);
  for (let i = 0; i < values.length; i++) {
    const bucket = bucketOf(values[i]!, edges);
    if (bucket >= 0) counts[bucket]!++;
  }
  if (maxBins !== null && counts.length > maxBins) ({ counts, edges } = merged(counts, edges, maxBins));
  const first = counts.findIndex((count) => count > 0);
  if (first < 0)
    throw new TensorError(
      "value",
      `addHistogram(): none of the ${values.length} values is in a bucket (${min} to ${max})`,
    );
  const end = counts.findLastIndex((count) => count > 0) + 1;
  return {
    min,
    max,
    num: values.length,
    sum,
    sumSquares,
    limits: edges.slice(first, end + 1),
    counts: [first === 0 ? 0 : counts[first - 1]!, ...counts.slice(first, end)],
  };
}
