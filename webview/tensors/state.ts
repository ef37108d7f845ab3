/** The complete state of the tensor editor; its views are functions of it. */
import type { UserError } from "../../extension/protocol/errors.ts";
import { COLLATOR } from "../shared/format.ts";
import type { TensorComparison, TensorFile, TensorRow } from "../../extension/protocol/tensorFile.ts";
import type { TensorStatistics } from "../../extension/protocol/tensorValues.ts";

export type Column = "place" | "name" | "dtype" | "shape" | "elements" | "bytes";

/** The user's settings; saved when the editor is hidden. */
export interface TensorsUi {
  sort: Column;
  descending: boolean;
  filter: string;
  /** Names of the tensors whose values are shown. */
  open: string[];
  showAll: boolean;
}

/** The defaults: tensors in the order of the file. */
export const defaultUi: TensorsUi = {
  sort: "place",
  descending: false,
  filter: "",
  open: [],
  showAll: false,
};

/** The request that the host is working on; one at a time. */
export interface Work {
  text: string;
  /** Share done, 0 to 1; unknown at first. */
  share: number | undefined;
}

export interface TensorsState {
  tensors: TensorFile;
  checkpoint: boolean;
  ui: TensorsUi;
  /** Statistics by a tensor's index in the file; null for types that are not real numbers. */
  statistics: ReadonlyMap<number, TensorStatistics | null>;
  /** Absolute path of the file to compare with. */
  other: string | undefined;
  comparison: TensorComparison | undefined;
  work: Work | undefined;
  /** Why the last call failed. */
  error: UserError | undefined;
}

export interface ListedTensor extends TensorRow {
  /** Index in the file. */
  index: number;
  elements: number;
}

export const elementsOf = ({ shape }: Pick<TensorRow, "shape">): number =>
  shape.reduce((product, extent) => product * extent, 1);

export const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** The filtered and sorted tensors. Every word of the filter must be in the name, type or shape. */
export function listed({ tensors }: TensorFile, { filter, sort, descending }: TensorsUi): ListedTensor[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = tensors
    .map((tensor, index): ListedTensor => ({ ...tensor, index, elements: elementsOf(tensor) }))
    .filter(({ name, dtype, shape }) => {
      const text = `${name}\n${dtype}\n${shapeText(shape)}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  if (sort === "place") return rows;
  const sign = descending ? -1 : 1;
  return rows.sort((a, b) => sign * compare(valueOf(a, sort), valueOf(b, sort)) || a.index - b.index);
}

function valueOf(tensor: ListedTensor, column: Exclude<Column, "place">): string | number {
  // Shapes sort by rank, then by extents, which are padded to equal width.
  if (column === "shape")
    return [tensor.shape.length, ...tensor.shape].map((extent) => String(extent).padStart(16, "0")).join();
  return tensor[column];
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return COLLATOR.compare(String(a), String(b));
}
