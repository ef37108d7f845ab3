// Distinct elements: their number depends on the values, so these functions compute them at once.
import { valuesOf } from "../../planning/barrier.ts";
import { allocate, type HostArray } from "../../core/dtype.ts";
import { normalizeDim, numel, strides } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { indexSelect } from "./gathering.ts";
import { noGrad } from "../../recording/scope.ts";

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
  const ordered = sorted ? given.slice().sort() : given;
  const ends: number[] = [];
  for (let i = 1; i <= ordered.length; i++)
    if (i === ordered.length || ordered[i] !== ordered[i - 1]) ends.push(i);
  const values = allocate(input.dtype, ends.length);
  for (let k = 0; k < ends.length; k++) values[k] = ordered[ends[k - 1] ?? 0]!;
  const found = [fromHost(values, [ends.length], input.dtype)];
  if (options.returnInverse === true)
    found.push(fromHost(sorted ? placesAmong(values, given) : runsOf(ends), input.shape, "int64"));
  if (options.returnCounts === true) found.push(vector(ends.map((end, k) => end - (ends[k - 1] ?? 0))));
  return found;
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

/** For each element the number of its run, of runs that end at `ends`. */
function runsOf(ends: readonly number[]): Int32Array {
  const runs = new Int32Array(ends.at(-1) ?? 0);
  ends.forEach((end, k) => runs.fill(k, ends[k - 1] ?? 0, end));
  return runs;
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
