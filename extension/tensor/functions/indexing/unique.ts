// Distinct elements: their number depends on the values, so these functions compute them at once.
import { valuesOf } from "../../planning/barrier.ts";
import { normalizeDim, numel, strides } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { indexSelect } from "./gathering.ts";
import { reshape } from "../shape/shape.ts";
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

/** Elements or rows of a dimension as keys that compare like them. */
interface Items {
  readonly count: number;
  readonly compare: (a: number, b: number) => number;
}

function itemsOf(input: Tensor, dim: number | undefined): Items {
  const values = valuesOf(input.value);
  if (dim === undefined) {
    return { count: values.length, compare: (a, b) => values[a]! - values[b]! };
  }
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

/** Distinct elements of the sorted numbers themselves, which takes a fifth of the time of sorting their places. */
function distinctElements(input: Tensor, withCounts: boolean): Tensor | Tensor[] {
  const sorted = valuesOf(input.value).slice().sort();
  const counts: number[] = [];
  let length = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (i === 0 || sorted[i] !== sorted[length - 1]) {
      sorted[length++] = sorted[i]!;
      counts.push(0);
    }
    counts[length - 1]!++;
  }
  const values = fromHost(sorted.slice(0, length), [length], input.dtype);
  return withCounts ? [values, vector(counts)] : values;
}

function distinct<O extends UniqueOptions>(input: Tensor, options: O, sorted: boolean): Unique<O> {
  if (sorted && options.dim === undefined && options.returnInverse !== true)
    return distinctElements(input, options.returnCounts === true) as Unique<O>;
  const dim = options.dim === undefined ? undefined : normalizeDim(options.dim, input.ndim);
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
  const values = noGrad(() =>
    dim === undefined
      ? indexSelect(reshape(input, [count]), 0, vector(firsts))
      : indexSelect(input, dim, vector(firsts)),
  );
  const places = fromHost(inverse, dim === undefined ? input.shape : [count], "int64");
  const more = [
    ...(options.returnInverse === true ? [places] : []),
    ...(options.returnCounts === true ? [vector(counts)] : []),
  ];
  return (more.length > 0 ? [values, ...more] : values) as Unique<O>;
}

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
