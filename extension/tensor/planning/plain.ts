// Ops as loops over plain arrays: for tensors so small that calling a kernel takes longer than computing its result.
import type { HostArray } from "../core/dtype.ts";
import type { Meta, Signature } from "../core/meta.ts";
import { numel, sameShape, strides, type Shape } from "../core/shape.ts";

/** Computes outputs from inputs, row-major. No output is an input. */
export interface PlainKernel {
  (inputs: readonly HostArray[], outputs: readonly HostArray[]): void;
  /** Whether it copies its elements one by one, which takes much longer than copying runs of them. */
  readonly scattered?: true;
}

/** Makes the kernel for given shapes, which it is then called for at every step; undefined for types that it doesn't know. */
export type PlainRule<A> = (signature: Signature, attributes: A) => PlainKernel | undefined;

const floats = (metas: readonly Meta[]): boolean => metas.every(({ dtype }) => dtype === "float32");

/** For each element of a tensor of `shape`, in order, where it lies: `start` plus its index along each dimension times the step. */
export function places(shape: Shape, steps: readonly number[], start = 0): Int32Array {
  const all = new Int32Array(numel(shape));
  if (all.length === 0) return all;
  const last = shape.length - 1;
  const [width, step] = last < 0 ? [1, 0] : [shape[last]!, steps[last]!];
  const index = shape.map(() => 0);
  for (let i = 0, row = start; i < all.length;) {
    for (let j = 0, at = row; j < width; j++, at += step) all[i++] = at;
    // The next row: as an odometer counts.
    for (let d = last - 1; d >= 0; d--) {
      row += steps[d]!;
      if (++index[d]! < shape[d]!) break;
      row -= index[d]! * steps[d]!;
      index[d] = 0;
    }
  }
  return all;
}

/** Where each element of a tensor of shape `to` lies in one of shape `from` that is broadcast to it. */
export function broadcastPlaces(from: Shape, to: Shape): Int32Array {
  const lead = to.length - from.length;
  const own = strides(from);
  return places(
    to,
    to.map((_, d) => (d < lead || from[d - lead] === 1 ? 0 : own[d - lead]!)),
  );
}

/** Copies the elements at some places, which are found when it is called first: many kernels are made only to be asked for. */
export function gather(locate: () => Int32Array): PlainKernel {
  let found: Int32Array | undefined;
  const kernel: PlainKernel = ([x], [y]) => {
    const [from, to, at] = [x!, y!, (found ??= locate())];
    for (let i = 0; i < at.length; i++) to[i] = from[at[i]!]!;
  };
  return Object.assign(kernel, { scattered: true as const });
}

/** Copies the first input, with the second one's elements at some places, which are found as {@link gather} finds them. */
export function replaceAt(locate: () => Int32Array): PlainKernel {
  let found: Int32Array | undefined;
  const kernel: PlainKernel = ([x, v], [y]) => {
    const [from, to, at] = [v!, y!, (found ??= locate())];
    to.set(x!);
    for (let i = 0; i < at.length; i++) to[at[i]!] = from[i]!;
  };
  return Object.assign(kernel, { scattered: true as const });
}

/** Copies everything unchanged. */
export const copy: PlainKernel = ([x], [y]) => y!.set(x!);

/** An op of one tensor of floats, element by element. */
export const unaryLoop =
  (f: (x: number) => number): PlainRule<object> =>
  ({ inputs }) =>
    floats(inputs)
      ? ([x], [y]) => {
          const [from, to] = [x!, y!];
          for (let i = 0; i < to.length; i++) to[i] = f(from[i]!);
        }
      : undefined;

/** An op of two tensors of floats, broadcast against each other. */
export const binaryLoop =
  (f: (x: number, y: number) => number): PlainRule<object> =>
  ({ inputs, outputs: [output] }) => {
    if (!floats(inputs)) return undefined;
    const { shape } = output!;
    const [a, b] = inputs.map((m) =>
      sameShape(m.shape, shape) ? undefined : broadcastPlaces(m.shape, shape),
    );
    if (a === undefined && b === undefined)
      return ([x, y], [z]) => {
        const [left, right, to] = [x!, y!, z!];
        for (let i = 0; i < to.length; i++) to[i] = f(left[i]!, right[i]!);
      };
    if (a === undefined)
      return ([x, y], [z]) => {
        const [left, right, to] = [x!, y!, z!];
        for (let i = 0; i < to.length; i++) to[i] = f(left[i]!, right[b![i]!]!);
      };
    const second = b ?? places(shape, strides(shape));
    return ([x, y], [z]) => {
      const [left, right, to] = [x!, y!, z!];
      for (let i = 0; i < to.length; i++) to[i] = f(left[a[i]!]!, right[second[i]!]!);
    };
  };

/** Sums of floats over `dims`, each times `factor` of how many elements are summed. */
export function sums(
  { inputs: [x], outputs: [y] }: Signature,
  dims: readonly number[],
  factor: (count: number) => number = () => 1,
): PlainKernel | undefined {
  if (x!.dtype !== "float32" || y!.dtype !== "float32") return undefined;
  const { shape } = x!;
  const kept = shape.map((n, d) => (dims.includes(d) ? 1 : n));
  const [total, own] = [numel(kept), strides(kept)];
  const at = places(
    shape,
    own.map((step, d) => (dims.includes(d) ? 0 : step)),
  );
  const by = factor(numel(shape) / total);
  const doubles = new Float64Array(total);
  return ([from], [to]) => {
    doubles.fill(0);
    const values = from!;
    for (let i = 0; i < at.length; i++) doubles[at[i]!]! += values[i]!;
    for (let i = 0; i < total; i++) to![i] = doubles[i]! * by;
  };
}

/** How a matrix lies in an array: from one row to the next, and from one column to the next. */
export interface MatrixLayout {
  readonly at: number;
  readonly row: number;
  readonly column: number;
}

/** Writes the product of x [m, k] and y [k, n] from `to` on. */
export function multiply(
  x: Float32Array,
  { at: xAt, row: xRow, column: xColumn }: MatrixLayout,
  y: Float32Array,
  { at: yAt, row: yRow, column: yColumn }: MatrixLayout,
  z: Float32Array,
  to: number,
  [m, k, n]: readonly [number, number, number],
): void {
  const [second, third, fourth] = [yColumn, 2 * yColumn, 3 * yColumn];
  for (let i = 0; i < m; i++) {
    const start = xAt + i * xRow;
    const row = to + i * n;
    let j = 0;
    // Four at a time: sums that don't wait for each other.
    for (; j + 3 < n; j += 4) {
      let [a, b, c, d] = [0, 0, 0, 0];
      let p = start;
      let q = yAt + j * yColumn;
      for (let t = 0; t < k; t++) {
        const value = x[p]!;
        a += value * y[q]!;
        b += value * y[q + second]!;
        c += value * y[q + third]!;
        d += value * y[q + fourth]!;
        p += xColumn;
        q += yRow;
      }
      z[row + j] = a;
      z[row + j + 1] = b;
      z[row + j + 2] = c;
      z[row + j + 3] = d;
    }
    for (; j < n; j++) {
      let a = 0;
      let p = start;
      let q = yAt + j * yColumn;
      for (let t = 0; t < k; t++) {
        a += x[p]! * y[q]!;
        p += xColumn;
        q += yRow;
      }
      z[row + j] = a;
    }
  }
}

/** How a row-major matrix with so many columns lies, transposed or not. */
export const matrixLayout = (columns: number, transposed: boolean, at = 0): MatrixLayout =>
  transposed ? { at, row: 1, column: columns } : { at, row: columns, column: 1 };

/**
 * Nanoseconds of one element of a loop that moves, or computes, and of one multiply-add; and of a kernel's call. Measured
 * with models of many widths, loops against kernels: an element that is computed is also brought from kernels and back.
 */
const [MOVE, ELEMENT, MULTIPLY, CALL] = [1.5, 6, 0.9, 15_000];

/** Whether a loop takes less time than `calls` of kernels, with what it takes to bring tensors there and back. */
export function worthLoop(
  { inputs, outputs }: Signature,
  { cost, calls, moves }: { cost: number; calls: number; moves: boolean },
): boolean {
  let largest = 0;
  for (const { shape } of inputs) largest = Math.max(largest, numel(shape));
  for (const { shape } of outputs) largest = Math.max(largest, numel(shape));
  const time = cost > 0 ? Math.max(MULTIPLY * cost, MOVE * largest) : (moves ? MOVE : ELEMENT) * largest;
  return time <= CALL * calls;
}
