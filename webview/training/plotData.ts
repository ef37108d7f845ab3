/** The lines of a chart as uPlot's table: one x, and a column for each line. */
import uPlot from "uplot";
import type { ChartModel } from "./chartModel.ts";
import { type Column, type Grid, GridLine, gridOf, gridPlaces, lowerBound, type Range } from "./decimate.ts";

interface Line {
  x: readonly number[];
  y: readonly number[];
}

/** Makes a chart's tables, each reusing the columns of the one before. */
export class PlotData {
  #key = "";
  #places: number[] = [];
  #lines = new WeakMap<readonly number[], { line: GridLine; from: number | undefined }>();

  /**
   * Returns all points while they are few; else the visible extremes, moved by half a pixel at most to places that all
   * lines share.
   * @param width Pixels
   */
  table({ lines, logarithmic }: ChartModel, width: number, zoom: Range | undefined): uPlot.AlignedData {
    if (lines.length === 0) return [[]];
    const parts = lines.map((line) => part(line, zoom));
    const points = parts.reduce((sum, { from, to }) => sum + to - from, 0);
    if (points <= 4 * width)
      return uPlot.join(
        parts.map(({ x, y, from, to }): uPlot.AlignedData => [
          x.slice(from, to),
          y.slice(from, to).map((value) => shown(value, logarithmic)),
        ]),
      );
    return this.#grid(parts, zoom ?? rangeOf(lines), width, logarithmic, zoom !== undefined);
  }

  #grid(
    parts: Part[],
    range: Range,
    width: number,
    logarithmic: boolean,
    zoomed: boolean,
  ): uPlot.AlignedData {
    const grid = gridOf(range, width);
    const key = JSON.stringify([grid, logarithmic]);
    if (key !== this.#key) {
      this.#key = key;
      this.#places = gridPlaces(grid);
      this.#lines = new WeakMap();
    }
    const columns = parts.map((line) => this.#column(line, grid, logarithmic));
    return zoomed ? withNeighbours(this.#places, columns, parts, logarithmic) : [this.#places, ...columns];
  }

  #column({ x, y }: Line, grid: Grid, logarithmic: boolean): Column {
    const known = this.#lines.get(y);
    // Epochs are recounted when their length is known.
    if (known !== undefined && known.from === x[1]) return known.line.add(x, y).column;
    const line = new GridLine(grid, logarithmic).add(x, y);
    this.#lines.set(y, { line, from: x[1] });
    return line.column;
  }
}

interface Part extends Line {
  from: number;
  to: number;
}

/** The part of a line inside a range, and the neighbour on each side: the line continues to the edge. */
function part({ x, y }: Line, range: Range | undefined): Part {
  if (range === undefined) return { x, y, from: 0, to: x.length };
  const from = Math.max(0, lowerBound(x, range.minimum) - 1);
  return { x, y, from, to: Math.min(x.length, lowerBound(x, range.maximum) + 1) };
}

const shown = (value: number | undefined, logarithmic: boolean): number | null =>
  value !== undefined && Number.isFinite(value) && !(logarithmic && value <= 0) ? value : null;

function rangeOf(lines: readonly Line[]): Range {
  const [starts, ends] = [
    lines.map(({ x }) => x[0] ?? Infinity),
    lines.map(({ x }) => x.at(-1) ?? -Infinity),
  ];
  return { minimum: Math.min(...starts), maximum: Math.max(...ends) };
}

/** Each line's neighbours of what is shown, at their own places outside. */
function withNeighbours(
  places: readonly number[],
  columns: readonly Column[],
  parts: readonly Part[],
  logarithmic: boolean,
): uPlot.AlignedData {
  const [first, last] = [places[0] ?? 0, places.at(-1) ?? 0];
  const before = parts.map(({ x, from }) => x[from]).filter((at) => at !== undefined && at < first);
  const after = parts.map(({ x, to }) => x[to - 1]).filter((at) => at !== undefined && at > last);
  const ascending = (values: (number | undefined)[]): number[] =>
    [...new Set(values as number[])].sort((a, b) => a - b);
  const [left, right] = [ascending(before), ascending(after)];
  const valueAt = ({ x, y }: Part, index: number, at: number): number | null | undefined =>
    x[index] === at ? shown(y[index], logarithmic) : undefined;
  return [
    [...left, ...places, ...right],
    ...columns.map((column, i) => {
      const line = parts[i]!;
      return [
        ...left.map((at) => valueAt(line, line.from, at)),
        ...column,
        ...right.map((at) => valueAt(line, line.to - 1, at)),
      ];
    }),
  ];
}
