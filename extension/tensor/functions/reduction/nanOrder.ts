// Medians and quantiles of what is not NaN.
import { TensorError } from "../../core/errors.ts";
import { normalizeDim, reducedShape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { detached } from "../creation/conversion.ts";
import { gather, sort } from "../indexing/gathering.ts";
import { clamp, floorDivide, lerp, mul, sub } from "../pointwise/arithmetic.ts";
import { ceil, floor, isnan, logicalNot, round } from "../pointwise/elementwise.ts";
import { castTo, composed, named, scalarOf } from "../pointwise/operands.ts";
import { valuesAndIndices, type ValuesAndIndices } from "../results.ts";
import { unbind } from "../shape/parts.ts";
import { reshape, squeeze, stack } from "../shape/shape.ts";
import { copied } from "../shape/views.ts";
import { sum } from "./reduction.ts";
import { sharedByEqual } from "./ties.ts";
import type { Interpolation } from "./statistics.ts";

/** How many elements along a dimension are not NaN; these sort before the others. */
const countOf = (x: Tensor, dim: number): Tensor => sum(castTo(logicalNot(isnan(x)), "int64"), dim, true);

/**
 * The median (the lower of two) of all elements that are not NaN, or along a dimension with its index; NaN where all are.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nanmedian.html
 */
export function nanmedian(input: Tensor): Tensor;
export function nanmedian(input: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
export function nanmedian(input: Tensor, dim?: number, keepdim = false): Tensor | ValuesAndIndices {
  if (dim === undefined && input.dtype === "float32" && input.numel() === 0) return scalarOf(NaN, "float32");
  if (dim === undefined)
    return composed(() => {
      const [found] = nanmedian(reshape(input, [input.numel()]), 0);
      return named(input.dtype === "float32" ? sharedByEqual(input, found) : found, "NanmedianBackward0");
    });
  const at = normalizeDim(dim, input.ndim);
  if (input.ndim === 0)
    return valuesAndIndices("nanmedian", copied(input), castTo(sub(input, input), "int64"));
  if (input.shape[at] === 0)
    throw new TensorError("index", `nanmedian(): Expected reduction dim ${at} to have non-zero size.`);
  const place = (): Tensor => {
    const x = detached(input);
    const middle = clamp(floorDivide(sub(countOf(x, at), 1), 2), 0);
    return gather(sort(x, at).indices, at, middle);
  };
  const short = (x: Tensor): Tensor => (keepdim ? x : squeeze(x, at));
  return valuesAndIndices(
    "nanmedian",
    composed(() => named(short(gather(input, at, place())), "NanmedianBackward1")),
    composed(() => short(place())),
  );
}

/**
 * Values below which a fraction `q` of the elements lies that are not NaN, of all or along a dimension; NaN where all are.
 * Fractions in a vector make a new first dimension.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nanquantile.html
 */
export function nanquantile(
  input: Tensor,
  q: number | Tensor,
  dim?: number | null,
  keepdim = false,
  options: { interpolation?: Interpolation } = {},
): Tensor {
  if (input.dtype !== "float32")
    throw new TensorError("dtype", "quantile() input tensor must be either float or double dtype");
  if (typeof q === "number" && !(q >= 0 && q <= 1))
    throw new TensorError("value", `quantile() q must be in the range [0, 1] but got ${q}`);
  const all = dim === undefined || dim === null;
  const at = all ? 0 : normalizeDim(dim, input.ndim);
  return composed(() => {
    const x = all ? reshape(input, [input.numel()]) : input;
    const sorted = sort(x, at).values;
    const last = castTo(sub(countOf(detached(x), at), 1), "float32");
    const shape = all ? (keepdim ? input.shape.map(() => 1) : []) : reducedShape(input.shape, [at], keepdim);
    const one = (part: number | Tensor): Tensor => {
      const rank = clamp(mul(last, part), 0);
      return reshape(between(sorted, at, rank, options.interpolation ?? "linear"), shape);
    };
    if (typeof q === "number" || q.ndim === 0) return one(q);
    return stack(unbind(q).map(one));
  });
}

function between(sorted: Tensor, at: number, rank: Tensor, interpolation: Interpolation): Tensor {
  const pick = (place: Tensor): Tensor => gather(sorted, at, castTo(place, "int64"));
  if (interpolation === "nearest") return pick(round(rank));
  if (interpolation === "higher") return pick(ceil(rank));
  const low = pick(floor(rank));
  if (interpolation === "lower") return low;
  const weight = interpolation === "midpoint" ? 0.5 : sub(rank, floor(rank));
  const high = pick(ceil(rank));
  return lerp(low, high, weight);
}
