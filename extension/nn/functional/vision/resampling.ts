// Inputs and weights of each output of a resized dimension: PyTorch's kernels, one dimension at a time.
import type { Mixing } from "../conv/windows.ts";

/** How a dimension is resized. */
export interface Resizing {
  readonly length: number;
  readonly out: number;
  /** Whether the centres of the outermost elements of input and output coincide, instead of their borders. */
  readonly alignCorners: boolean;
  /** The user's factor, where it determines the places instead of the ratio of lengths. */
  readonly factor: number | undefined;
}

/** Input elements per output element. */
function scaleOf({ length, out, alignCorners, factor }: Resizing): number {
  if (alignCorners) return out > 1 ? (length - 1) / (out - 1) : 0;
  return factor === undefined ? length / out : 1 / factor;
}

const outputs = <T>(resizing: Resizing, place: (i: number) => T): T[] =>
  Array.from({ length: resizing.out }, (_, i) => place(i));

/** Returns the input element of each output; in float32, since the choice may depend on the last bit. */
export function nearest(resizing: Resizing, exact: boolean): number[] {
  const scale = Math.fround(scaleOf(resizing));
  const shift = exact ? 0.5 : 0;
  return outputs(resizing, (i) =>
    Math.min(Math.floor(Math.fround(Math.fround(i + shift) * scale)), resizing.length - 1),
  );
}

/** Where output i lies among the input's elements. */
const position = ({ alignCorners }: Resizing, scale: number, i: number): number =>
  alignCorners ? scale * i : scale * (i + 0.5) - 0.5;

export function linear(resizing: Resizing): Mixing {
  const scale = scaleOf(resizing);
  return outputs(resizing, (i) => {
    const at = Math.max(position(resizing, scale, i), 0);
    const first = Math.min(Math.floor(at), resizing.length - 1);
    const second = Math.min(first + 1, resizing.length - 1);
    const rest = Math.min(Math.max(at - first, 0), 1);
    return [
      [first, 1 - rest],
      [second, rest],
    ];
  });
}

/** Keys' cubic convolution of distance x; `a` is its slope at 1. */
function keys(x: number, a: number): number {
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

export function cubic(resizing: Resizing): Mixing {
  const scale = scaleOf(resizing);
  return outputs(resizing, (i) => {
    const at = position(resizing, scale, i);
    const first = Math.floor(at) - 1;
    return [0, 1, 2, 3].map((j): [number, number] => [
      Math.min(Math.max(first + j, 0), resizing.length - 1),
      keys(Math.abs(at - first - j), -0.75),
    ]);
  });
}

/** A kernel as a function of distance, 0 from `support` on. */
interface Filter {
  readonly support: number;
  readonly weight: (distance: number) => number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The kernels that anti-aliasing widens where the input shrinks. */
export const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(1 - x, 0) },
  bicubic: { support: 2, weight: (x) => keys(x, -0.5) },
  lanczos: { support: 3, weight: (x) => (x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Record<string, Filter>;

export function antialiased(resizing: Resizing, { support, weight }: Filter): Mixing {
  const scale = scaleOf(resizing);
  const wide = Math.max(scale, 1);
  return outputs(resizing, (i) => {
    const center = scale * (i + 0.5);
    const begin = Math.max(Math.trunc(center - support * wide + 0.5), 0);
    const end = Math.min(Math.trunc(center + support * wide + 0.5), resizing.length);
    const terms = Array.from({ length: end - begin }, (_, j): [number, number] => [
      begin + j,
      weight(Math.abs((begin + j - center + 0.5) / wide)),
    ]);
    const total = terms.reduce((sum, [, w]) => sum + w, 0);
    return terms.map(([at, w]): [number, number] => [at, w / total]);
  });
}
