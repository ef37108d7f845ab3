/** What a screen can show of a long curve. */

export interface Line {
  x: number[];
  /** null is a gap: the value was not finite, or the scale can't show it. */
  y: (number | null)[];
}

/** Index of the first element that is not below `value`; `values` ascend. */
export function lowerBound(values: readonly number[], value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the element nearest to `value`; -1 when there is none. */
export function nearest(values: readonly number[], value: number): number {
  const after = lowerBound(values, value);
  if (after === 0) return values.length > 0 ? 0 : -1;
  if (after === values.length) return after - 1;
  return (values[after] ?? 0) - value < value - (values[after - 1] ?? 0) ? after : after - 1;
}

export interface Range {
  minimum: number;
  maximum: number;
}

/**
 * The part of a curve inside `range` (all of it by default) and the neighbour on each side, with at most 2 points in
 * each of `buckets` equal pieces of x: the lowest and the highest, in their order, so that no peak is lost.
 */
export function decimate(x: readonly number[], y: readonly number[], buckets: number, range?: Range): Line {
  const from = range ? Math.max(0, lowerBound(x, range.minimum) - 1) : 0;
  const to = range ? Math.min(x.length, lowerBound(x, range.maximum) + 1) : x.length;
  if (to - from <= 2 * buckets)
    return {
      x: x.slice(from, to),
      y: y.slice(from, to).map((value) => (Number.isFinite(value) ? value : null)),
    };

  const line: Line = { x: [], y: [] };
  const push = (index: number): void => {
    const value = y[index] ?? Number.NaN;
    line.x.push(x[index] ?? 0);
    line.y.push(Number.isFinite(value) ? value : null);
  };
  const start = x[from] ?? 0;
  // A clock too coarse for the steps gives many points one time: they are one bucket.
  const width = ((x[to - 1] ?? 0) - start) / buckets || 1;
  const bucketOf = (index: number): number =>
    Math.min(buckets - 1, Math.floor(((x[index] ?? 0) - start) / width));
  for (let index = from; index < to;) {
    const bucket = bucketOf(index);
    let lowest = -1;
    let highest = -1;
    let gap = -1;
    for (; index < to && bucketOf(index) <= bucket; index++) {
      const value = y[index] ?? Number.NaN;
      if (!Number.isFinite(value)) gap = index;
      else {
        if (lowest < 0 || value < (y[lowest] ?? 0)) lowest = index;
        if (highest < 0 || value > (y[highest] ?? 0)) highest = index;
      }
    }
    const kept = [...new Set([lowest, highest, gap])].filter((index) => index >= 0);
    for (const index of kept.sort((a, b) => a - b)) push(index);
  }
  return line;
}

/** Moves points to the places of a grid that many lines share, `cells` in `range`; neighbours keep their order. */
export function snap({ x, y }: Line, range: Range, cells: number): Line {
  const width = (range.maximum - range.minimum) / cells || 1;
  let last = Number.NEGATIVE_INFINITY;
  const at = x.map((value) => (last = Math.max(last + 1, Math.round((value - range.minimum) / width))));
  return { x: at.map((cell) => range.minimum + cell * width), y };
}
