/** The state of the viewer of one tensor; its views are functions of it. */
import type { TensorSnapshot } from "../../extension/protocol/tensorFile.ts";
import type { TensorStatistics } from "../../extension/protocol/tensorValues.ts";
import type { Blocks } from "./blocks.ts";
import { columnsOf, rowsOf, type Slice } from "./slice.ts";

export interface Cell {
  row: number;
  column: number;
}

/** The user's settings; saved when the panel is hidden. */
export interface TensorUi {
  slice: Slice;
  /** The cell with the focus, and the other end of the selection. */
  cell: Cell;
  anchor: Cell;
  colours: boolean;
  details: boolean;
}

export interface Viewport {
  top: number;
  left: number;
  width: number;
  height: number;
}

export interface TensorState {
  tensor: TensorSnapshot;
  ui: TensorUi;
  blocks: Blocks;
  viewport: Viewport;
  /** Undefined until they are known; null for types that are no real numbers. */
  statistics: TensorStatistics | null | undefined;
  /** The last result, or why it failed. */
  note: string | undefined;
  error: string | undefined;
}

export interface Actions {
  setUi(change: Partial<TensorUi>): void;
  setSlice(slice: Slice): void;
  scrolled(grid: HTMLElement): void;
  key(event: KeyboardEvent): void;
  point(event: PointerEvent, begins: boolean): void;
  copy(): void;
  dismiss(): void;
  retry(): void;
}

export interface Selection {
  top: number;
  left: number;
  rows: number;
  columns: number;
}

export function selectionOf({ cell, anchor }: Pick<TensorUi, "cell" | "anchor">): Selection {
  return {
    top: Math.min(cell.row, anchor.row),
    left: Math.min(cell.column, anchor.column),
    rows: Math.abs(cell.row - anchor.row) + 1,
    columns: Math.abs(cell.column - anchor.column) + 1,
  };
}

/** Where a key moves the focus; undefined for other keys. */
export function moved(
  { key, ctrlKey, metaKey }: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey">,
  { row, column }: Cell,
  { rows, columns, page }: { rows: number; columns: number; page: number },
): Cell | undefined {
  const far = ctrlKey || metaKey;
  const last = { row: rows - 1, column: columns - 1 };
  switch (key) {
    case "ArrowDown":
      return { row: far ? last.row : Math.min(last.row, row + 1), column };
    case "ArrowUp":
      return { row: far ? 0 : Math.max(0, row - 1), column };
    case "ArrowRight":
      return { row, column: far ? last.column : Math.min(last.column, column + 1) };
    case "ArrowLeft":
      return { row, column: far ? 0 : Math.max(0, column - 1) };
    case "PageDown":
      return { row: Math.min(last.row, row + page), column };
    case "PageUp":
      return { row: Math.max(0, row - page), column };
    case "Home":
      return { row: far ? 0 : row, column: 0 };
    case "End":
      return { row: far ? last.row : row, column: last.column };
    default:
      return undefined;
  }
}

/** The nearest cell within the slice. */
export function fittingCell(cell: Cell | undefined, shape: readonly number[], slice: Slice): Cell {
  const within = (index: unknown, extent: number): number =>
    Number.isInteger(index) ? Math.max(0, Math.min(extent - 1, index as number)) : 0;
  return {
    row: within(cell?.row, rowsOf(shape, slice)),
    column: within(cell?.column, columnsOf(shape, slice)),
  };
}
