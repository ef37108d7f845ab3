import { TensorError } from "./errors.ts";

export type Shape = readonly number[];

/** The number of elements of a shape, or of its dimensions from `start` to before `end`. */
export function numel(shape: Shape, start = 0, end = shape.length): number {
  let n = 1;
  // By index: called more often than any other function, most of all before V8 has compiled it.
  for (let i = start; i < end; i++) n *= shape[i]!;
  return n;
}

/** PyTorch's text of a size: `[2, 3]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** PyTorch's text of a tensor's size: `torch.Size([2, 3])`. */
export function formatSize(shape: Shape): string {
  return `torch.Size(${formatShape(shape)})`;
}

/** PyTorch's text of a matrix size: `2x3`. */
export function formatDims(shape: Shape): string {
  return shape.join("x");
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** 0, 1, … n − 1. A plain loop: shapes are worked on for every op of every step. */
export function range(n: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < n; i++) out.push(i);
  return out;
}

/** Row-major strides, in elements. */
export function strides(shape: Shape): number[] {
  const out = [...shape];
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    out[i] = step;
    step *= shape[i]!;
  }
  return out;
}

/**
 * Shape of combining `a` and `b` by broadcasting.
 * @throws TensorError "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1"
 */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  if (b.length === 0 || sameShape(a, b)) return a;
  if (a.length === 0) return b;
  const rank = Math.max(a.length, b.length);
  const out = [...(a.length > b.length ? a : b)];
  // From the last dimension on: an error names the last that differs.
  for (let i = rank - 1; i >= 0; i--) {
    // Not `?? 1`: a size's [-1] is its last dimension.
    const x = i < rank - a.length ? 1 : a[a.length - rank + i]!;
    const y = i < rank - b.length ? 1 : b[b.length - rank + i]!;
    if (x !== y && x !== 1 && y !== 1) {
      throw new TensorError(
        "shape",
        `The size of tensor a (${x}) must match the size of tensor b (${y}) at non-singleton dimension ${i}`,
      );
    }
    out[i] = x === 1 ? y : x;
  }
  return out;
}

/**
 * Refuses to broadcast what is kept in its shape.
 * @throws TensorError "output with shape [2] doesn't match the broadcast shape [2, 2]"
 */
export function requireExpandable(from: Shape, to: Shape): void {
  const shape = broadcastShapes(to, from);
  if (sameShape(shape, to)) return;
  throw new TensorError(
    "shape",
    `output with shape ${formatShape(to)} doesn't match the broadcast shape ${formatShape(shape)}`,
  );
}

/**
 * A dimension counted from the front. `extra` is 1 for functions that insert one (unsqueeze, stack).
 * @throws TensorError "Dimension out of range (expected to be in range of [-2, 1], but got 2)"
 */
export function normalizeDim(dim: number, rank: number, extra = 0): number {
  const n = Math.max(rank + extra, 1);
  if (!Number.isInteger(dim) || dim < -n || dim >= n) {
    throw new TensorError(
      "index",
      `Dimension out of range (expected to be in range of [${-n}, ${n - 1}], but got ${dim})`,
    );
  }
  return dim < 0 ? dim + n : dim;
}

/**
 * Dimensions to reduce over, sorted and without repetition; all of them when `dim` is undefined or empty.
 * @throws TensorError "dim 0 appears multiple times in the list of dims"
 */
export function normalizeDims(dim: number | readonly number[] | undefined, rank: number): number[] {
  if (typeof dim === "number" && rank > 0) return [normalizeDim(dim, rank)];
  const list = dim === undefined ? [] : typeof dim === "number" ? [dim] : dim;
  if (list.length === 0) return range(rank);
  const out = list.map((d) => normalizeDim(d, rank)).sort((a, b) => a - b);
  for (let i = 1; i < out.length; i++) {
    if (out[i] === out[i - 1]) {
      throw new TensorError("value", `dim ${out[i]} appears multiple times in the list of dims`);
    }
  }
  return rank === 0 ? [] : out;
}

/**
 * A target shape with its -1 filled in.
 * @throws TensorError "shape '[3, 7]' is invalid for input of size 20"
 */
export function inferReshape(target: Shape, size: number): number[] {
  const at = target.indexOf(-1);
  const rest = target.reduce((n, d, i) => (i === at ? n : n * d), 1);
  if (at >= 0 && target.indexOf(-1, at + 1) >= 0) {
    throw new TensorError("shape", "only one dimension can be inferred");
  }
  const out = [...target];
  if (at >= 0 && rest > 0 && size % rest === 0) out[at] = size / rest;
  if (target.some((d) => d < -1) || out.includes(-1) || numel(out) !== size) {
    throw new TensorError("shape", `shape '${formatShape(target)}' is invalid for input of size ${size}`);
  }
  return out;
}

export function reducedShape(shape: Shape, dims: readonly number[], keepdim: boolean): number[] {
  return keepdim
    ? shape.map((d, i) => (dims.includes(i) ? 1 : d))
    : shape.filter((_, i) => !dims.includes(i));
}

/**
 * Dimensions from the outermost to the innermost in memory, as PyTorch lays out a new tensor like one of these strides:
 * by falling stride; repeated dimensions (stride 0) stay where they are.
 */
export function memoryOrder(shape: Shape, steps: readonly number[]): number[] {
  const inwards = range(shape.length).reverse();
  const compare = (a: number, b: number): number => {
    const [x, y] = [steps[a]!, steps[b]!];
    if (x === 0 || y === 0) return 0;
    return x === y ? Number(shape[a]! > shape[b]!) : Math.sign(x - y);
  };
  for (let i = 1; i < inwards.length; i++) {
    let at = i;
    for (let other = i - 1; other >= 0; other--) {
      const [a, b] = [inwards[other]!, inwards[at]!];
      const order = compare(a, b);
      if (order < 0) break;
      if (order === 0) continue;
      [inwards[other], inwards[at]] = [b, a];
      at = other;
    }
  }
  return inwards.reverse();
}

/** Strides of a new tensor that PyTorch lays out like one of these strides; undefined where it is row-major. */
export function denseStrides(shape: Shape, steps: readonly number[]): number[] | undefined {
  const order = memoryOrder(shape, steps);
  if (order.every((d, i) => d === i)) return undefined;
  const dense = Array<number>(shape.length);
  for (let i = order.length - 1, step = 1; i >= 0; step *= shape[order[i--]!]!) dense[order[i]!] = step;
  return dense;
}
