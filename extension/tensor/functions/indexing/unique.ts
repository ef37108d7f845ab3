// Distinct elements: their number depends on the values, so these functions compute them at once.
import { valuesOf } from "../../planning/barrier.ts";
import { filled, type HostArray } from "../../core/dtype.ts";
import { normalizeDim, numel, strides } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { indexSelect } from "./gathering.ts";
import { flagsOf, placesOf } from "./places.ts";
import { noGrad } from "../../recording/scope.ts";
import { MAX_COUNTED_WIDTH } from "../../tuning.ts";

export interface UniqueOptions {
  /** Also returns the place of every element among the distinct ones. Default false. */
  returnInverse?: boolean;
  /** Also returns how often each distinct element occurs. Default false. */
  returnCounts?: boolean;
  /** Rows of this dimension are compared; by default single elements. */
  dim?: number;
}

/** Distinct elements, with the inverse and the counts if the options ask for them. */
export type Unique<O> = O extends { returnInverse: true } | { returnCounts: true } ? Tensor[] : Tensor;

/** Rows of a dimension as keys that compare like them. */
interface Items {
  readonly count: number;
  readonly compare: (a: number, b: number) => number;
}

function itemsOf(input: Tensor, dim: number): Items {
  const values = valuesOf(input.value);
  const steps = strides(input.shape);
  const others = input.shape.map((n, d) => (d === dim ? 1 : n));
  const own = strides(others);
  const offsets = Array.from({ length: numel(others) }, (_, i) =>
    own.reduce((at, step, d) => at + (Math.floor(i / step) % others[d]!) * steps[d]!, 0),
  );
  const compare = (a: number, b: number): number => {
    for (const at of offsets) {
      const difference = values[at + a * steps[dim]!]! - values[at + b * steps[dim]!]!;
      if (difference !== 0) return difference;
    }
    return 0;
  };
  return { count: input.shape[dim]!, compare };
}

const vector = (data: number[] | Int32Array): Tensor =>
  fromHost(Int32Array.from(data), [data.length], "int64");

/** Distinct elements of the numbers themselves: sorting them takes a fifth of the time of sorting their places. */
function distinctElements(input: Tensor, options: UniqueOptions, sorted: boolean): Tensor[] {
  const given = valuesOf(input.value);
  const { values, inverse, counts } = (sorted ? countedOf(given) : undefined) ?? runsOf(given, sorted);
  const found = [fromHost(values, [values.length], input.dtype)];
  if (options.returnInverse === true) found.push(fromHost(inverse(), input.shape, "int64"));
  if (options.returnCounts === true) found.push(vector(counts()));
  return found;
}

/** Distinct numbers, the place of each given one among them, and how often each occurs. */
interface Distinct {
  readonly values: HostArray;
  readonly inverse: () => Int32Array;
  readonly counts: () => Int32Array;
}

/** Counts whole numbers; undefined where they lie far apart. */
function countedOf(given: HostArray): Distinct | undefined {
  if (given instanceof Float32Array || given.length === 0) return undefined;
  let [least, most] = [given[0]!, given[0]!];
  for (let i = 1; i < given.length; i++) {
    const x = given[i]!;
    least = x < least ? x : least;
    most = x > most ? x : most;
  }
  const width = most - least + 1;
  if (width > MAX_COUNTED_WIDTH * given.length) return undefined;
  const all = new Int32Array(width);
  for (let i = 0; i < given.length; i++) all[given[i]! - least]!++;
  const places = placesOf(flagsOf(all));
  return {
    values: filled(
      given instanceof Uint8Array ? new Uint8Array(places.length) : new Int32Array(places.length),
      (k) => places[k]! + least,
    ),
    inverse() {
      const ranks = new Int32Array(width);
      for (let k = 0; k < places.length; k++) ranks[places[k]!] = k;
      // No function is called for each number: that would take most of the time.
      const inverse = new Int32Array(given.length);
      for (let i = 0; i < inverse.length; i++) inverse[i] = ranks[given[i]! - least]!;
      return inverse;
    },
    counts: () => filled(new Int32Array(places.length), (k) => all[places[k]!]!),
  };
}

/** Runs of equal numbers, of the given ones or of these in order. */
function runsOf(given: HostArray, sorted: boolean): Distinct {
  const ordered = sorted ? given.slice().sort() : given;
  const starts = new Uint8Array(ordered.length).fill(1, 0, 1);
  for (let i = 1; i < starts.length; i++) starts[i] = Number(ordered[i] !== ordered[i - 1]);
  const places = placesOf(starts);
  const values = ordered.slice(0, places.length);
  for (let k = 0; k < places.length; k++) values[k] = ordered[places[k]!]!;
  return {
    values,
    inverse() {
      if (sorted) return placesAmong(values, given);
      const runs = new Int32Array(given.length);
      for (let i = 0, run = -1; i < runs.length; i++) runs[i] = run += starts[i]!;
      return runs;
    },
    counts() {
      const counts = new Int32Array(places.length);
      for (let k = 0; k < counts.length; k++) counts[k] = (places[k + 1] ?? ordered.length) - places[k]!;
      return counts;
    },
  };
}

/** The place of each number in ascending ones. Every NaN has a place of its own, at the end. */
function placesAmong(ascending: HostArray, numbers: HostArray): Int32Array {
  let known = ascending.length;
  while (known > 0 && Number.isNaN(ascending[known - 1]!)) known--;
  const places = new Int32Array(numbers.length);
  let next = known;
  for (let i = 0; i < numbers.length; i++) {
    const x = numbers[i]!;
    if (Number.isNaN(x)) {
      places[i] = next++;
      continue;
    }
    let [low, high] = [0, known - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ascending[middle]! < x) low = middle + 1;
      else high = middle;
    }
    places[i] = low;
  }
  return places;
}

function distinct<O extends UniqueOptions>(input: Tensor, options: O, sorted: boolean): Unique<O> {
  if (options.dim === undefined) return only(distinctElements(input, options, sorted)) as Unique<O>;
  const dim = normalizeDim(options.dim, input.ndim);
  const { count, compare } = itemsOf(input, dim);
  const order = Array.from({ length: count }, (_, i) => i);
  if (sorted) order.sort((a, b) => compare(a, b) || a - b);
  const firsts: number[] = [];
  const counts: number[] = [];
  const inverse = new Int32Array(count);
  order.forEach((at, i) => {
    const before = order[i - 1];
    if (before === undefined || compare(before, at) !== 0) {
      firsts.push(at);
      counts.push(0);
    }
    counts[counts.length - 1]!++;
    inverse[at] = firsts.length - 1;
  });
  const values = noGrad(() => indexSelect(input, dim, vector(firsts)));
  return only([
    values,
    ...(options.returnInverse === true ? [fromHost(inverse, [count], "int64")] : []),
    ...(options.returnCounts === true ? [vector(counts)] : []),
  ]) as Unique<O>;
}

const only = (found: Tensor[]): Tensor | Tensor[] => (found.length === 1 ? found[0]! : found);

/** The distinct elements of a tensor in ascending order: reads it now. */
export function unique<O extends UniqueOptions & { sorted?: boolean }>(
  input: Tensor,
  options: O = {} as O,
): Unique<O> {
  return distinct(input, options, true);
}

/** The elements that differ from the one before them: reads the tensor now. */
export function uniqueConsecutive<O extends UniqueOptions>(input: Tensor, options: O = {} as O): Unique<O> {
  return distinct(input, options, false);
}
