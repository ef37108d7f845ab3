// PyTorch's torch.func.vmap.
import { TensorError } from "../core/errors.ts";
import { unbind } from "../functions/shape/parts.ts";
import { stack } from "../functions/shape/shape.ts";
import { recordDraws, refuseDraws } from "../random/stream.ts";
import { range } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { leavesOf, mapTree } from "./tree.ts";

/** A dimension for all arguments, or for each (and, in a tree, for each part of it); null for what has no batch. */
export type InDims = number | null | readonly InDims[] | { readonly [key: string]: InDims };

export interface VmapOptions {
  inDims?: InDims;
  outDims?: InDims;
  /** What random numbers do: refuse (the default), differ from sample to sample, or be the same. */
  randomness?: "error" | "different" | "same";
  /** Accepted for PyTorch's sake: samples are computed one by one. */
  chunkSize?: number | null;
}

const RANDOM_ERROR =
  "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness flags on vmap or perform the randomness operation out of vmap";

/**
 * A function that maps `func` over a dimension of its arguments: called for each sample, its results are stacked. Right for
 * all functions, and as expensive as the calls.
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
  const randomness = options.randomness ?? "error";
  if (!["error", "different", "same"].includes(randomness)) {
    throw new TensorError(
      "value",
      `Only allowed values for randomness are 'error', 'different', or 'same'. Got ${randomness as string}`,
    );
  }
  return (...args) => {
    const dims = aligned(options.inDims === undefined ? 0 : options.inDims, args);
    const leaves = leavesOf(args);
    const count = batchOf(leaves, dims);
    const samples = leaves.map((x, i) => (dims[i] === null ? undefined : unbind(x as Tensor, dims[i])));
    const call = (b: number): R => {
      let next = 0;
      const own = mapTree(args, (leaf) => samples[next++]?.[b] ?? leaf) as A;
      return func(...own);
    };
    return joined(calls(call, count, randomness), options.outDims ?? 0) as R;
  };
}

function isOptions(x: unknown): x is VmapOptions {
  return (
    typeof x === "object" &&
    x !== null &&
    !Array.isArray(x) &&
    ["inDims", "outDims", "randomness", "chunkSize"].some((key) => key in x)
  );
}

function calls<R>(call: (b: number) => R, count: number, randomness: "error" | "different" | "same"): R[] {
  const all = range(count);
  if (randomness === "error") return refuseDraws(RANDOM_ERROR, () => all.map(call));
  if (randomness === "different") return all.map(call);
  const { result, replay } = recordDraws(() => call(0));
  return [result, ...all.slice(1).map((b) => replay(() => call(b)))];
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
  if (sizes[0] === 0) throw new TensorError("value", "vmap: the mapped dimension must not be empty");
  return sizes[0]!;
}

/** Results of the samples, stacked. */
function joined(results: readonly unknown[], outDims: InDims): unknown {
  const columns = results.map(leavesOf);
  const structure = results[0];
  const dims: (number | null)[] = [];
  const walk = (dim: InDims, part: unknown): void => {
    if (dim === null || typeof dim === "number") mapTree(part, () => dims.push(dim));
    else Object.values(part as object).forEach((x, i) => walk((dim as readonly InDims[])[i]!, x));
  };
  walk(outDims, structure);
  let next = 0;
  return mapTree(structure, (leaf) => {
    const i = next++;
    if (!(leaf instanceof Tensor)) {
      throw new TensorError("value", `vmap: \`f\` must only return Tensors, got type ${typeof leaf}`);
    }
    const dim = dims[i]!;
    return dim === null
      ? leaf
      : stack(
          columns.map((column) => column[i] as Tensor),
          dim,
        );
  });
}
