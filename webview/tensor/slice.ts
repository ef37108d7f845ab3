/** Which part of a tensor the table shows: two of its dimensions, the others at one index each. */

export interface Slice {
  /** Dimensions of the rows and of the columns; -1 for none. */
  rowAxis: number;
  columnAxis: number;
  /** An index of each dimension. */
  at: number[];
}

/** The last two dimensions; those of a vector are its rows. */
export function firstSlice(shape: readonly number[]): Slice {
  const last = shape.length - 1;
  return {
    rowAxis: shape.length > 1 ? last - 1 : last,
    columnAxis: shape.length > 1 ? last : -1,
    at: shape.map(() => 0),
  };
}

/** A saved slice, unless the tensor has another shape now. */
export function fittingSlice(slice: Slice | undefined, shape: readonly number[]): Slice {
  const first = firstSlice(shape);
  if (slice === undefined || !Array.isArray(slice.at) || slice.at.length !== shape.length) return first;
  const inside = slice.at.every((index, i) => Number.isInteger(index) && index >= 0 && index < shape[i]!);
  const isAxis = (axis: unknown): boolean =>
    Number.isInteger(axis) && (axis as number) >= 0 && (axis as number) < shape.length;
  const axes =
    shape.length < 2 ||
    (isAxis(slice.rowAxis) && isAxis(slice.columnAxis) && slice.rowAxis !== slice.columnAxis);
  return inside && axes && shape.length > 1 ? slice : first;
}

export const rowsOf = (shape: readonly number[], { rowAxis }: Slice): number => shape[rowAxis] ?? 1;
export const columnsOf = (shape: readonly number[], { columnAxis }: Slice): number => shape[columnAxis] ?? 1;

/** The place of a cell in the tensor. */
export function placeOf({ rowAxis, columnAxis, at }: Slice, row: number, column: number): number[] {
  return at.map((index, i) => (i === rowAxis ? row : i === columnAxis ? column : index));
}

/** Makes a dimension that of the rows or columns. If it was the other's, the two are swapped. */
export function withAxis(slice: Slice, which: "rowAxis" | "columnAxis", axis: number): Slice {
  const other = which === "rowAxis" ? "columnAxis" : "rowAxis";
  return slice[other] === axis
    ? { ...slice, [which]: axis, [other]: slice[which] }
    : { ...slice, [which]: axis };
}
