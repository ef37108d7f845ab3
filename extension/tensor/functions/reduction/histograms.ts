// Counts of values between edges.
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { indexAdd } from "../../ops/movement/indexing.ts";
import { formatShape, numel, range as rangeOf } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { detached } from "../creation/conversion.ts";
import { arange } from "../creation/creation.ts";
import { add, clamp, div, mul, sub } from "../pointwise/arithmetic.ts";
import { eq, ge, le, logicalAnd, lt, where } from "../pointwise/elementwise.ts";
import { composedAll, constant, notImplemented } from "../pointwise/operands.ts";
import { results, type Results } from "../results.ts";
import { narrow, select, unbind } from "../shape/parts.ts";
import { reshape } from "../shape/shape.ts";
import { amax, amin, sum } from "./reduction.ts";
import { searchsorted } from "./statistics.ts";

export interface HistogramOptions {
  /** The lowest and the highest edge: by default the smallest and the largest value. Of several dimensions, two for each. */
  range?: readonly number[] | null;
  /** How much each value counts: 1 by default. */
  weight?: Tensor | null;
  /** Whether the histogram's integral is 1. */
  density?: boolean;
}

/** Edges of equal bins between two numbers, counted from the nearer one. */
function equalEdges(
  values: Tensor,
  bins: number,
  bounds: readonly number[] | undefined,
  dim: number,
): Tensor {
  if (!(bins > 0))
    throw new TensorError(
      "value",
      `torch.histogram(): bins must be > 0, but got ${bins} for dimension ${dim}`,
    );
  const [low, high] =
    bounds !== undefined
      ? bounds.map((x) => constant(x))
      : values.numel() === 0
        ? [constant(0), constant(1)]
        : [amin(values), amax(values)];
  if (bounds !== undefined && bounds[0]! > bounds[1]!) {
    throw new TensorError(
      "value",
      `torch.histogramdd: min should not exceed max, but got min ${bounds[0]} max ${bounds[1]} for dimension ${dim}`,
    );
  }
  const same = eq(low!, high!);
  const [from, to] = [where(same, sub(low!, 0.5), low!), where(same, add(high!, 0.5), high!)];
  const step = div(sub(to, from), bins);
  const place = arange(bins + 1, { dtype: "float32" });
  return where(
    lt(place, Math.floor((bins + 1) / 2)),
    add(from, mul(step, place)),
    sub(to, mul(step, sub(bins, place))),
  );
}

/** The histogram of rows [N, D] between edges for each of the D columns. */
function counted(rows: Tensor, edges: readonly Tensor[], { weight, density }: HistogramOptions): Tensor {
  const bins = edges.map((edge) => edge.numel() - 1);
  let inside: Tensor | undefined;
  let place: Tensor | undefined;
  edges.forEach((edge, d) => {
    const x = select(rows, 1, d);
    const [low, high] = [select(edge, 0, 0), select(edge, 0, -1)];
    const within = logicalAnd(ge(x, low), le(x, high));
    // The last bin includes its upper edge.
    const bin = clamp(sub(searchsorted(edge, x, { right: true }), 1), 0, bins[d]! - 1);
    inside = inside === undefined ? within : logicalAnd(inside, within);
    place = place === undefined ? bin : add(mul(place, bins[d]!), bin);
  });
  const each = weight ? reshape(weight, [weight.numel()]) : constant(1);
  const length = numel(bins);
  const flat = apply(indexAdd, [where(inside!, each, 0), where(inside!, place!, 0)], { dim: 0, length });
  const counts = reshape(flat, bins);
  if (density !== true) return counts;
  return edges.reduce(
    (x, edge, d) => {
      const widths = sub(narrow(edge, 0, 1, bins[d]!), narrow(edge, 0, 0, bins[d]!));
      return div(
        x,
        reshape(
          widths,
          bins.map((n, i) => (i === d ? n : 1)),
        ),
      );
    },
    div(counts, sum(counts)),
  );
}

function checkWeight(shape: readonly number[], weight: Tensor | null | undefined): void {
  if (!weight || formatShape(weight.shape) === formatShape(shape.slice(0, -1))) return;
  throw new TensorError(
    "shape",
    `torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor excluding its innermost dimension, but got input with shape ${formatShape(shape)} and weight with shape ${formatShape(weight.shape)}`,
  );
}

/**
 * How many elements are in each of `bins` (100) equal parts of a range, or between given edges, and these edges. An element
 * is in the bin whose lower edge it reaches; the last bin includes its upper edge. No gradient passes.
 * @throws TensorError "\"histogramdd\" not implemented for 'Long'"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.histogram.html
 */
export function histogram(
  input: Tensor,
  bins: number | Tensor = 100,
  options: HistogramOptions = {},
): Results<{ hist: Tensor; binEdges: Tensor }> {
  if (input.dtype !== "float32") notImplemented("histogramdd", input.dtype);
  const x = detached(input);
  checkWeight([...input.shape, 1], options.weight);
  const [hist, edges] = composedAll(() => {
    const rows = reshape(x, [x.numel(), 1]);
    const edge = bins instanceof Tensor ? bins : equalEdges(x, bins, options.range ?? undefined, 0);
    return [counted(rows, [edge], options), edge] as const;
  });
  return results("histogram", { hist, binEdges: edges });
}

/**
 * The histogram of vectors of D elements, the last dimension, in D dimensions: of so many equal bins for each, or between
 * given edges; and the edges for each.
 * @throws TensorError "torch.histogramdd: input tensor should have at least 2 dimensions"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.histogramdd.html
 */
export function histogramdd(
  input: Tensor,
  bins: number | readonly number[] | readonly Tensor[],
  range?: readonly number[] | null,
  weight?: Tensor | null,
  density = false,
): [hist: Tensor, edges: Tensor[]] & { hist: Tensor; binEdges: Tensor[] } {
  if (input.dtype !== "float32") notImplemented("histogramdd", input.dtype);
  if (input.ndim < 2)
    throw new TensorError("shape", "torch.histogramdd: input tensor should have at least 2 dimensions");
  const dims = input.shape[input.ndim - 1]!;
  const given: readonly (number | Tensor)[] = typeof bins === "number" ? rangeOf(dims).map(() => bins) : bins;
  if (given.length !== dims) {
    throw new TensorError(
      "value",
      "histogramdd: The size of bins must be equal to the innermost dimension of the input.",
    );
  }
  checkWeight(input.shape, weight);
  const [hist, ...edges] = composedAll(() => {
    const rows = reshape(detached(input), [-1, dims]);
    const columns = unbind(rows, 1);
    const all = given.map((bin, d) =>
      bin instanceof Tensor ? bin : equalEdges(columns[d]!, bin, range?.slice(2 * d, 2 * d + 2), d),
    );
    return [counted(rows, all, { weight: weight ?? null, density }), ...all];
  });
  return results("histogramdd", { hist, binEdges: edges }) as never;
}
