// Tensors joined side by side.
import { demandMemory } from "../../core/memory.ts";
import { TensorError } from "../../core/errors.ts";
import { broadcastShapes, formatShape, numel, type Shape } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { indexSelect } from "../indexing/gathering.ts";
import { composed, named, listOf, type TensorList } from "../pointwise/operands.ts";
import { cat, expand, reshape, stack, unsqueeze } from "./shape.ts";
import { zeros } from "../creation/creation.ts";

type OneOrMany<T> = T extends readonly Tensor[] ? Tensor[] : Tensor;

/** One tensor, or several as a list or one by one. */
export interface AtLeast {
  <T extends Tensor | readonly Tensor[]>(input: T): OneOrMany<T>;
  (...tensors: [Tensor, Tensor, ...Tensor[]]): Tensor[];
}

function each(change: (x: Tensor) => Tensor): AtLeast {
  const all = (...given: (Tensor | readonly Tensor[])[]): Tensor | Tensor[] => {
    const [input] = given;
    if (given.length === 1 && input instanceof Tensor) return change(input);
    return listOf(given as TensorList).map(change);
  };
  return all as AtLeast;
}

/** At least one dimension; of several tensors, each. */
export const atleast1d = each((x) => (x.ndim === 0 ? reshape(x, [1]) : x));

/** At least two dimensions: a vector becomes a row. */
export const atleast2d = each((x) =>
  x.ndim === 0 ? reshape(x, [1, 1]) : x.ndim === 1 ? unsqueeze(x, 0) : x,
);

/** At least three dimensions: a vector becomes [1, n, 1], a matrix [n, m, 1]. */
export const atleast3d = each((x) => {
  if (x.ndim === 0) return reshape(x, [1, 1, 1]);
  return x.ndim === 1 ? reshape(x, [1, x.shape[0]!, 1]) : x.ndim === 2 ? unsqueeze(x, 2) : x;
});

/** Joined along columns: vectors end to end, others along dimension 1. */
export function hstack(tensors: readonly Tensor[]): Tensor {
  refuseNone("hstack", tensors);
  const list = atleast1d(tensors);
  return composed(() => cat(list, list[0]!.ndim === 1 ? 0 : 1));
}

function refuseNone(name: string, tensors: readonly Tensor[]): void {
  if (tensors.length === 0) throw new TensorError("value", `${name} expects a non-empty TensorList`);
}

/** Joined along rows: vectors are rows. */
export function vstack(tensors: readonly Tensor[]): Tensor {
  refuseNone("vstack", tensors);
  return composed(() => cat(atleast2d(tensors), 0));
}

/** Joined along a third dimension. */
export function dstack(tensors: readonly Tensor[]): Tensor {
  refuseNone("dstack", tensors);
  return composed(() => cat(atleast3d(tensors), 2));
}

/** Joined along columns: vectors are columns. */
export function columnStack(tensors: readonly Tensor[]): Tensor {
  refuseNone("column_stack", tensors);
  return composed(() => hstack(tensors.map((x) => (x.ndim < 2 ? reshape(x, [x.numel(), 1]) : x))));
}

/** All tensors in their common shape. */
export function broadcastTensors(...tensors: Tensor[] | [readonly Tensor[]]): Tensor[] {
  const list = (tensors[0] instanceof Tensor ? tensors : (tensors[0] ?? [])) as readonly Tensor[];
  const shape = list.map((x) => x.shape).reduce((a, b) => broadcastShapes(a, b), [] as Shape);
  return list.map((x) => expand(x, shape));
}

/** All tuples of an element of each vector, as rows; a single vector is returned unchanged. */
export function cartesianProd(...given: TensorList): Tensor {
  const tensors = listOf(given);
  for (const x of tensors) {
    if (x.ndim !== 1)
      throw new TensorError("shape", `Expect a 1D vector, but got shape ${formatShape(x.shape)}`);
  }
  if (tensors.length === 1) return tensors[0]!;
  const sizes = tensors.map((x) => x.numel());
  return composed(() => {
    const columns = tensors.map((x, i) => {
      const line = sizes.map((n, d) => (d === i ? n : 1));
      return reshape(expand(reshape(x, line), sizes), [numel(sizes)]);
    });
    return stack(columns, 1);
  });
}

/** All choices of `r` elements of a vector in their order, as rows; with `withReplacement` elements may repeat. */
export function combinations(input: Tensor, r = 2, withReplacement = false): Tensor {
  if (input.ndim !== 1) {
    throw new TensorError("shape", `Expect a 1D vector, but got shape ${formatShape(input.shape)}`);
  }
  if (r < 0) throw new TensorError("value", `Expect a non-negative number, but got ${r}`);
  if (r === 0) return zeros([0], { dtype: input.dtype });
  const rows = choices(input.shape[0]!, r, withReplacement);
  const places = fromHost(rows, [rows.length], "int64");
  return composed(() =>
    named(reshape(indexSelect(input, 0, places), [rows.length / r, r]), "StackBackward0"),
  );
}

/** All choices of `r` of n numbers in ascending order, one after the other. */
function choices(n: number, r: number, withReplacement: boolean): Int32Array {
  const from = withReplacement ? n + r - 1 : n;
  let count = from < r ? 0 : 1;
  for (let k = 0; k < r; k++) count = (count * (from - k)) / (k + 1);
  demandMemory([count, r]);
  const all = new Int32Array(Math.round(count) * r);
  const step = withReplacement ? 0 : 1;
  const now = Int32Array.from({ length: r }, (_, k) => k * step);
  for (let at = 0; at < all.length; at += r) {
    for (let k = 0; k < r; k++) all[at + k] = now[k]!;
    // The last number that can grow, and those behind it as low as they may be.
    let k = r - 1;
    while (k > 0 && n - 1 - (r - 1 - k) * step === now[k]) k--;
    now[k]!++;
    for (; k + 1 < r; k++) now[k + 1] = now[k]! + step;
  }
  return all;
}

/** A matrix with the given ones along its diagonal, zeros elsewhere. */
export function blockDiag(...given: TensorList): Tensor {
  const tensors = listOf(given);
  for (const x of tensors) {
    if (x.ndim > 2) {
      throw new TensorError(
        "shape",
        `torch.block_diag: Input tensors must have 2 or fewer dimensions. Input ${tensors.indexOf(x)} has ${x.ndim} dimensions`,
      );
    }
  }
  const blocks = atleast2d(tensors);
  const width = blocks.reduce((sum, x) => sum + x.shape[1]!, 0);
  return composed(() => {
    let before = 0;
    const rows = blocks.map((x) => {
      const [n, m] = x.shape as [number, number];
      const empty = (columns: number): Tensor => zeros([n, columns], { dtype: x.dtype });
      const row = cat([empty(before), x, empty(width - before - m)], 1);
      before += m;
      return row;
    });
    return named(cat(rows, 0), "BlockDiagBackward0");
  });
}
