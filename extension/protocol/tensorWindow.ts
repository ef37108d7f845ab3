// A part of a tensor as a table: two dimensions, the others at one index each.

export interface Window {
  /** The dimensions of the rows and of the columns; -1 for none. */
  rowAxis: number;
  columnAxis: number;
  /** An index of each dimension; those of the two axes don't count. */
  at: readonly number[];
  row: number;
  rows: number;
  column: number;
  columns: number;
}

/** Values row by row; numbers that JSON doesn't have, or that a double doesn't hold, are texts. */
export interface WindowValues {
  rows: number;
  columns: number;
  values: (number | string)[];
}

/**
 * Reads a part of a tensor.
 * @param read Elements from a place on, in row-major order
 * @throws RangeError for a window that isn't one of this shape
 */
export function windowOf(
  shape: readonly number[],
  window: Window,
  read: (from: number, count: number) => ArrayLike<number | bigint>,
): WindowValues {
  const { rowAxis, columnAxis, at } = window;
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((product, extent) => product * extent, 1));
  check(shape, window);
  const row = axisOf(shape, strides, rowAxis, window.row, window.rows);
  const column = axisOf(shape, strides, columnAxis, window.column, window.columns);
  const base = shape.reduce(
    (sum, _, i) => (i === rowAxis || i === columnAxis ? sum : sum + (at[i] ?? 0) * strides[i]!),
    row.from * row.stride + column.from * column.stride,
  );
  const values = Array.from<number | string>({ length: row.count * column.count });
  // Neighbours are read together.
  const across = row.stride === 1 && column.stride !== 1;
  const [outer, inner] = across ? [column, row] : [row, column];
  for (let i = 0; i < outer.count; i++) {
    const begin = base + i * outer.stride;
    const whole = inner.stride === 1 || inner.count === 1 ? read(begin, inner.count) : undefined;
    for (let j = 0; j < inner.count; j++) {
      const value = whole === undefined ? read(begin + j * inner.stride, 1)[0]! : whole[j]!;
      values[across ? j * column.count + i : i * column.count + j] = plain(value);
    }
  }
  return { rows: row.count, columns: column.count, values };
}

interface Axis {
  from: number;
  count: number;
  stride: number;
}

function axisOf(
  shape: readonly number[],
  strides: readonly number[],
  axis: number,
  from: number,
  count: number,
): Axis {
  const extent = shape[axis];
  if (extent === undefined) return { from: 0, count: 1, stride: 1 };
  return { from, count: Math.max(0, Math.min(count, extent - from)), stride: strides[axis]! };
}

function check(shape: readonly number[], { rowAxis, columnAxis, at }: Window): void {
  const isAxis = (axis: number): boolean => Number.isInteger(axis) && axis >= -1 && axis < shape.length;
  const distinct = rowAxis !== columnAxis || rowAxis === -1;
  const inside = shape.every(
    (extent, i) => i === rowAxis || i === columnAxis || ((at[i] ?? 0) >= 0 && (at[i] ?? 0) < extent),
  );
  if (!isAxis(rowAxis) || !isAxis(columnAxis) || !distinct || !inside)
    throw new RangeError(`A tensor of shape [${shape.join(", ")}] has no such part.`);
}

function plain(value: number | bigint): number | string {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}
