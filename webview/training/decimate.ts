/** Decimates long curves to the points that a screen can show. */

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
export function nearest(values: ArrayLike<number>, value: number): number {
  const after = lowerBound(values as readonly number[], value);
  if (after === 0) return values.length > 0 ? 0 : -1;
  if (after === values.length) return after - 1;
  return (values[after] ?? 0) - value < value - (values[after - 1] ?? 0) ? after : after - 1;
}

export interface Range {
  minimum: number;
  maximum: number;
}

/**
 * Equal pieces of x that all lines of a chart share, so that they stand in one table. Pieces are powers of two wide and
 * begin at whole ones: a growing run keeps the same ones until it is twice as long.
 */
export interface Grid {
  width: number;
  /** The first piece; its number is that of the first that starts at or before the range. */
  first: number;
  pieces: number;
}

/** At least `pieces` pieces in the range, less than twice as many; one more for what sticks out at its end. */
export function gridOf({ minimum, maximum }: Range, pieces: number): Grid {
  const width = 2 ** Math.floor(Math.log2((maximum - minimum) / pieces || 1));
  const first = Math.floor(minimum / width);
  return { width, first, pieces: Math.floor(maximum / width) - first + 1 };
}

/** Places of a piece's two points: the lowest and the highest, in their order. */
export function gridPlaces({ width, first, pieces }: Grid): number[] {
  return Array.from(
    { length: 2 * pieces },
    (_none, i) => (first + Math.floor(i / 2) + (i % 2 === 0 ? 0.25 : 0.75)) * width,
  );
}

/** null is a gap: the value was not finite, or the scale can't show it. undefined is no point: the line goes past it. */
export type Column = (number | null | undefined)[];

/**
 * One line in a grid. Appending points costs nothing for those before: a curve of a hundred thousand points gets new
 * ones ten times a second.
 */
export class GridLine {
  readonly column: Column = [];
  readonly #grid: Grid;
  readonly #positive: boolean;
  /** Points that are done, but for those of the last piece. */
  #done = 0;

  /** @param positive A logarithmic scale has no place for zero and below */
  constructor(grid: Grid, positive: boolean) {
    this.#grid = grid;
    this.#positive = positive;
    this.column.length = 2 * grid.pieces;
  }

  /** Reads the points that were added to the line, and its last piece again. */
  add(x: readonly number[], y: readonly number[]): this {
    const { width, first, pieces } = this.#grid;
    const pieceOf = (index: number): number => Math.floor((x[index] ?? 0) / width) - first;
    let index = this.#done > 0 ? this.#done : Math.max(0, lowerBound(x, first * width));
    while (index < x.length) {
      const piece = pieceOf(index);
      if (piece >= pieces) break;
      this.#done = index;
      let lowest = -1;
      let highest = -1;
      let gap = false;
      for (; index < x.length && pieceOf(index) === piece; index++) {
        const value = y[index] ?? Number.NaN;
        if (!Number.isFinite(value) || (this.#positive && value <= 0)) gap = true;
        else {
          if (lowest < 0 || value < (y[lowest] ?? 0)) lowest = index;
          if (highest < 0 || value > (y[highest] ?? 0)) highest = index;
        }
      }
      const [a, b] = lowest < highest ? [lowest, highest] : [highest, lowest];
      this.column[2 * piece] = a < 0 ? null : y[a];
      this.column[2 * piece + 1] = gap ? null : a === b ? undefined : y[b];
    }
    return this;
  }
}
