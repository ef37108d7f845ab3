// Running extremes and sums along a dimension.
import { gatherLast } from "../../ops/movement/elements.ts";
import { call } from "../../ops/expressions.ts";
import { normalizeDim } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { arange } from "../creation/creation.ts";
import { abs, eq, ge, isnan, le, logicalAnd, logicalOr, where } from "../pointwise/elementwise.ts";
import { logOfSum } from "../pointwise/logarithms.ts";
import { castTo, composed, constant, named, notImplemented } from "../pointwise/operands.ts";
import { alsoOfProduct } from "../pointwise/slopes.ts";
import { valuesAndIndices, type ValuesAndIndices } from "../results.ts";
import { turned } from "../shape/along.ts";
import { narrow } from "../shape/parts.ts";
import { cat, expand } from "../shape/shape.ts";
import { copied } from "../shape/views.ts";

/**
 * Combines all elements up to each one along the last dimension, in log2(n) steps of the whole tensor.
 * @param combine takes earlier and later elements; must be associative
 * @see W. D. Hillis, G. L. Steele: Data parallel algorithms, 1986
 */
export function scan<T extends readonly Tensor[]>(rows: T, combine: (before: T, own: T) => T): T {
  const n = rows[0]!.shape.at(-1)!;
  let all = rows;
  for (let width = 1; width < n; width *= 2) {
    const part = (from: number, length: number): T =>
      all.map((x) => narrow(x, -1, from, length)) as unknown as T;
    const merged = combine(part(0, n - width), part(width, n - width));
    all = part(0, width).map((x, i) => cat([x, merged[i]!], -1)) as unknown as T;
  }
  return all;
}

function running(
  input: Tensor,
  dim: number,
  name: string,
  exceeds: (own: Tensor, before: Tensor) => Tensor,
): ValuesAndIndices {
  const at = normalizeDim(dim, input.ndim);
  if (input.ndim === 0) return valuesAndIndices(name, copied(input), constant(0, "int64"));
  if (input.numel() === 0) return valuesAndIndices(name, copied(input), castTo(input, "int64"));
  let places!: Tensor;
  const values = composed(() => {
    const rows = turned(input, at);
    const each = new Tensor(rows.value);
    const positions = expand(arange(input.shape[at]!), rows.shape);
    // As in PyTorch, the last of equal elements, or the last NaN: after a NaN, all extremes are NaN.
    const [, index] = scan([each, positions], ([before, from], [own, here]) => {
      const taken = exceeds(own, before);
      const later = input.dtype === "float32" ? logicalOr(taken, isnan(own)) : taken;
      return [where(later, own, before), where(later, here, from)];
    });
    places = turned(index, at, true);
    return named(
      turned(call(gatherLast, rows, index), at, true),
      `${name[0]!.toUpperCase()}${name.slice(1)}Backward0`,
    );
  });
  return valuesAndIndices(name, values, places);
}

/** Largest element so far along a dimension, and where it is. */
export const cummax = (input: Tensor, dim: number): ValuesAndIndices => running(input, dim, "cummax", ge);
/** Smallest element so far along a dimension, and where it is. */
export const cummin = (input: Tensor, dim: number): ValuesAndIndices => running(input, dim, "cummin", le);

/** log Σ eˣ of all elements so far along a dimension. */
export function logcumsumexp(input: Tensor, dim: number): Tensor {
  const at = normalizeDim(dim, input.ndim);
  if (input.ndim === 0 || input.numel() === 0) return copied(input);
  if (input.dtype !== "float32") notImplemented("logcumsumexp_out_cpu", input.dtype);
  return composed(() => {
    const rows = turned(input, at);
    const [sums] = scan([rows], ([before], [own]) => [logOfSum(before, own)]);
    // PyTorch's derivative has e to the power of input − sum: NaN of equal infinities.
    const same = logicalAnd(eq(rows, sums), eq(abs(rows), Infinity));
    const infinite = where(same, rows, 0);
    const result = alsoOfProduct(infinite, infinite, sums);
    return named(turned(result, at, true), "LogcumsumexpBackward0");
  });
}
