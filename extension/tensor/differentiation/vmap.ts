// PyTorch's torch.func.vmap.
import { TensorError } from "../core/errors.ts";
import { castTo } from "../functions/pointwise/operands.ts";
import { sum } from "../functions/reduction/reduction.ts";
import { narrow, select, unbind } from "../functions/shape/parts.ts";
import { cat, stack } from "../functions/shape/shape.ts";
import { recordDraws, refuseDraws } from "../random/stream.ts";
import { scope } from "../recording/scope.ts";
import { normalizeDim, range } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { moved, overBatch } from "./batching.ts";
import { leavesOf, mapTree } from "./tree.ts";

/** A dimension for all arguments, or for each (and, in a tree, for each part of it); null for parts without a batch. */
export type InDims = number | null | readonly InDims[] | { readonly [key: string]: InDims };

export interface VmapOptions {
  inDims?: InDims;
  outDims?: InDims;
  /** Random numbers: an error (the default), different for each sample, or the same for all. */
  randomness?: "error" | "different" | "same";
  /** Number of samples computed at once: fewer take less memory. Default: all. */
  chunkSize?: number | null;
}

type Randomness = NonNullable<VmapOptions["randomness"]>;

const RANDOM_ERROR =
  "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness flags on vmap or perform the randomness operation out of vmap";

/**
 * Returns a function that maps `func` over a dimension of its arguments. `func` is called once, for one sample, and its
 * ops are computed for all samples at once. A function that reads values, or writes to tensors that it didn't make, is
 * called for each sample instead.
 *
 * ```ts
 * const perSample = torch.func.vmap(torch.func.grad(loss), [null, 0, 0])(parameters, x, y);
 * ```
 * @throws TensorError "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [2, 3] for the mapped dimension"
 */
export function vmap<A extends unknown[], R>(
  func: (...args: A) => R,
  inDims?: InDims | VmapOptions,
  outDims?: InDims,
  rest?: VmapOptions,
): (...args: A) => R {
  const named = isOptions(inDims) ? inDims : {};
  const options = { inDims: isOptions(inDims) ? undefined : inDims, outDims, ...named, ...rest };
  const { randomness = "error", chunkSize } = options;
  if (!["error", "different", "same"].includes(randomness)) {
    throw new TensorError(
      "value",
      `Only allowed values for randomness are 'error', 'different', or 'same'. Got ${randomness as string}`,
    );
  }
  if (typeof chunkSize === "number" && !(chunkSize > 0)) {
    throw new TensorError("value", `vmap: chunk_size should be None or greater than 0. (got ${chunkSize})`);
  }
  const call = func as unknown as (...args: unknown[]) => unknown;
  const out = options.outDims === undefined ? 0 : options.outDims;
  return (...args) => {
    const dims = aligned(options.inDims === undefined ? 0 : options.inDims, args);
    const leaves = leavesOf(args);
    const count = batchOf(leaves, dims);
    const mapped = (given: readonly unknown[], size: number): unknown =>
      mappedOver({ call, args, leaves: given, dims, size, randomness, out });
    if (count === 0) {
      // Only a call shows the shapes of the results: call it for one sample, then drop that sample.
      const one = leaves.map((x, k) => (dims[k] === null ? x : ofZeros(x as Tensor, dims[k]!)));
      return joined([mapped(one, 1)], out, ([x], dim) => narrow(x!, dim, 0, 0)) as R;
    }
    const size = chunkSize ?? count;
    if (size >= count) return mapped(leaves, count) as R;
    const part = (i: number): unknown => {
      const [from, length] = [i * size, Math.min(size, count - i * size)];
      const own = leaves.map((x, k) => (dims[k] === null ? x : narrow(x as Tensor, dims[k]!, from, length)));
      return mapped(own, length);
    };
    const first = randomness === "same" ? recordDraws(() => part(0)) : withoutTape(() => part(0));
    const rest = range(Math.ceil(count / size)).slice(1);
    const parts = [first.result, ...rest.map((i) => first.replay(() => part(i)))];
    return joined(parts, out, (columns, dim) => cat(columns, normalizeDim(dim, columns[0]!.ndim))) as R;
  };
}

/** A call of a mapped function. */
interface MappedCall {
  readonly call: (...args: unknown[]) => unknown;
  readonly args: readonly unknown[];
  /** Of the arguments, in order. */
  readonly leaves: readonly unknown[];
  /** Of the samples in each leaf. */
  readonly dims: readonly (number | null)[];
  readonly size: number;
  readonly randomness: Randomness;
  readonly out: InDims;
}

function mappedOver(c: MappedCall): unknown {
  const { call, args, leaves, dims, size, randomness, out } = c;
  const called = (at: (leaf: number) => unknown): unknown => {
    let next = 0;
    return call(...(mapTree(args, () => at(next++)) as unknown[]));
  };
  const tensors = leaves.flatMap((x, i) => (dims[i] === null ? [] : [{ tensor: x as Tensor, at: i }]));
  let structure: unknown;
  const once = (samples: readonly Tensor[]): Tensor[] => {
    const own = [...leaves];
    tensors.forEach(({ at }, i) => (own[at] = samples[i]!));
    structure = called((i) => own[i]);
    return leavesOf(structure).map(required);
  };
  const batch = (): Tensor[] | undefined =>
    overBatch(
      tensors.map(({ tensor, at }) => ({ tensor, dim: normalizeDim(dims[at]!, tensor.ndim) })),
      size,
      once,
      { keep: true, differentDraws: randomness === "different" },
    );
  const { result, replay } = drawing(randomness, batch);
  if (result !== undefined) {
    let next = 0;
    const whole = mapTree(structure, () => result[next++]);
    return joined(
      [whole],
      out,
      ([x], dim) => moved(x!, 0, normalizeDim(dim, x!.ndim)),
      (x) => select(x, 0, 0),
    );
  }
  const samples = leaves.map((x, i) => (dims[i] === null ? undefined : unbind(x as Tensor, dims[i])));
  const one = (b: number): unknown => called((i) => samples[i]?.[b] ?? leaves[i]);
  return joined(calls(one, size, randomness, replay), out, stack);
}

/** A result, and a function that runs another body with the same random numbers. */
interface Drawn<T> {
  readonly result: T;
  readonly replay: <R>(again: () => R) => R;
}

/** Like {@link recordDraws}, but later runs draw numbers of their own. */
const withoutTape = <T>(body: () => T): Drawn<T> => ({ result: body(), replay: (again) => again() });

/** Runs `body` with the draws of a mode. */
function drawing<T>(randomness: Randomness, body: () => T): Drawn<T> {
  if (randomness !== "error") return recordDraws(body);
  return withoutTape(() => refuseDraws(RANDOM_ERROR, body));
}

/** @param replay runs the first sample with the numbers drawn already */
function calls(
  call: (b: number) => unknown,
  size: number,
  randomness: Randomness,
  replay: <R>(again: () => R) => R,
): unknown[] {
  const all = range(size);
  if (randomness === "error") return refuseDraws(RANDOM_ERROR, () => all.map(call));
  if (randomness === "different") return replay(() => all.map(call));
  const first = replay(() => recordDraws(() => call(0)));
  return [first.result, ...all.slice(1).map((b) => first.replay(() => call(b)))];
}

function isOptions(x: unknown): x is VmapOptions {
  return (
    typeof x === "object" &&
    x !== null &&
    !Array.isArray(x) &&
    ["inDims", "outDims", "randomness", "chunkSize"].some((key) => key in x)
  );
}

/** The dimension of every leaf of the arguments. */
function aligned(dims: InDims, args: readonly unknown[]): (number | null)[] {
  const out: (number | null)[] = [];
  const walk = (dim: InDims, arg: unknown, top: boolean): void => {
    if (dim === null || typeof dim === "number") {
      // Only tensors have dimensions: a number among the arguments is the same for every sample.
      mapTree(arg, (leaf) => out.push(leaf instanceof Tensor ? dim : null));
      return;
    }
    const entries: unknown[] = arg instanceof Map ? [...arg.values()] : Object.values(arg as object);
    const own = Array.isArray(dim)
      ? (dim as readonly InDims[])
      : (arg instanceof Map ? [...arg.keys()] : Object.keys(arg as object)).map(
          (key) => (dim as Record<string, InDims>)[key as string]!,
        );
    if (arg instanceof Tensor || own.length !== entries.length) {
      throw new TensorError(
        "value",
        `vmap: in_dims is not compatible with the structure of inputs. in_dims has ${own.length} elements but inputs has ${top ? args.length : entries.length}`,
      );
    }
    entries.forEach((entry, i) => walk(own[i]!, entry, false));
  };
  walk(dims, args, true);
  return out;
}

function batchOf(leaves: readonly unknown[], dims: readonly (number | null)[]): number {
  if (leaves.length === 0) {
    throw new TensorError(
      "value",
      "vmap: got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a function with no inputs. The latter is unsupported.",
    );
  }
  const sizes = leaves.flatMap((x, i) => {
    const dim = dims[i];
    if (dim === null || dim === undefined) return [];
    const { shape } = x as Tensor;
    const size = shape[dim < 0 ? dim + shape.length : dim];
    if (size !== undefined) return [size];
    throw new TensorError(
      "value",
      `vmap: Got in_dim=${dim} for an input of type Tensor of dimensionality ${shape.length}; expected in_dim to satisfy -${shape.length} <= in_dim < ${shape.length}`,
    );
  });
  if (sizes.length === 0) throw new TensorError("value", "vmap: at least one input must be mapped over");
  if (sizes.some((n) => n !== sizes[0])) {
    throw new TensorError(
      "value",
      `vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [${sizes.join(", ")}] for the mapped dimension`,
    );
  }
  return sizes[0]!;
}

/** One sample of zeros, for a tensor that has none. */
const ofZeros = (x: Tensor, dim: number): Tensor => castTo(sum(x, dim, true), x.dtype);

function required(leaf: unknown): Tensor {
  if (leaf instanceof Tensor) return leaf;
  throw new TensorError("value", `vmap: \`f\` must only return Tensors, got type ${typeof leaf}`);
}

/**
 * Joins the results of several calls along the samples' dimension of each tensor; where that is null, takes the first
 * call's tensor.
 */
function joined(
  results: readonly unknown[],
  outDims: InDims,
  join: (columns: readonly Tensor[], dim: number) => Tensor,
  first = (x: Tensor): Tensor => x,
): unknown {
  const columns = results.map(leavesOf);
  const structure = results[0];
  const dims: (number | null)[] = [];
  const walk = (dim: InDims, part: unknown): void => {
    if (dim === null || typeof dim === "number") mapTree(part, () => dims.push(dim));
    else {
      const own = dim as Readonly<Record<string, InDims>>;
      Object.entries(part as object).forEach(([key, x]) => walk(own[key]!, x));
    }
  };
  walk(outDims, structure);
  let next = 0;
  return mapTree(structure, (leaf) => {
    const i = next++;
    const dim = dims[i]!;
    if (dim === null) return first(required(leaf));
    const y = join(
      columns.map((column) => required(column[i])),
      dim,
    );
    if (scope.depth === 0) y.value.visible = true;
    return y;
  });
}
