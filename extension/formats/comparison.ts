import { differenceSteps, type Difference } from "./statistics.ts";
import { hasNumbers } from "./tensorData.ts";
import type { SourceTensor, TensorSource } from "./sourceTensor.ts";

/** How a tensor of one file differs from that of the same name in another. */
export type Change =
  | { name: string; change: "added" | "removed"; shape: readonly number[]; dtype: string }
  | { name: string; change: "shape"; shape: readonly number[]; other: readonly number[] }
  | ({ name: string; change: "type"; dtype: string; other: string } & Partial<Differing>)
  | ({ name: string; change: "values" } & Differing);

export interface Differing extends Difference {
  elements: number;
}

export interface Comparison {
  /** The largest differences first. */
  changes: Change[];
  /** How many tensors are in both, and the same. */
  same: number;
}

const numelOf = ({ shape }: SourceTensor): number => shape.reduce((product, extent) => product * extent, 1);
const sameShape = (a: SourceTensor, b: SourceTensor): boolean => a.shape.join() === b.shape.join();

/** Compares two files part by part: yields the bytes read since the last part, returns the changes. */
export function* comparisonSteps(a: TensorSource, b: TensorSource): Generator<number, Comparison> {
  const others = new Map(b.tensors.map((tensor) => [tensor.name, tensor]));
  const known = new Set(a.tensors.map(({ name }) => name));
  const changes: Change[] = [];
  for (const tensor of a.tensors) {
    const change = yield* changeOf(tensor, others.get(tensor.name));
    if (change !== undefined) changes.push(change);
  }
  const same = a.tensors.length - changes.length;
  for (const { name, shape, dtype } of b.tensors)
    if (!known.has(name)) changes.push({ name, change: "added", shape, dtype });
  // Changes without a numeric size come first.
  const size = (one: Change): number => (one.change === "values" ? (one.largest ?? Infinity) : Infinity);
  changes.sort((one, other) => (size(one) === size(other) ? 0 : size(other) - size(one)));
  return { changes, same };
}

/** Bytes of the first file that a comparison reads. */
export function comparisonBytes(a: TensorSource, b: TensorSource): number {
  const others = new Map(b.tensors.map((tensor) => [tensor.name, tensor]));
  return a.tensors.reduce((sum, tensor) => {
    const other = others.get(tensor.name);
    return other !== undefined && sameShape(tensor, other) ? sum + tensor.byteLength : sum;
  }, 0);
}

function* changeOf(
  tensor: SourceTensor,
  other: SourceTensor | undefined,
): Generator<number, Change | undefined> {
  const { name, shape, dtype } = tensor;
  if (other === undefined) return { name, change: "removed", shape, dtype };
  if (!sameShape(tensor, other)) return { name, change: "shape", shape, other: other.shape };
  if (dtype !== other.dtype) {
    const change = { name, change: "type", dtype, other: other.dtype } as const;
    if (!hasNumbers(dtype) || !hasNumbers(other.dtype)) return change;
    const difference = yield* differenceSteps(tensor, other);
    return { ...change, ...difference, elements: numelOf(tensor) };
  }
  const difference = yield* differenceSteps(tensor, other);
  return difference.changed === 0
    ? undefined
    : { name, change: "values", ...difference, elements: numelOf(tensor) };
}
