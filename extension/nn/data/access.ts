import { TensorError } from "../../tensor/core/errors.ts";

/** A row of a table in a file: its cells, and where each of them begins. */
export interface CsvRow {
  /** Counted from 1. */
  readonly line: number;
  readonly cells: readonly string[];
  /** Column of each cell's first character, counted from 1. */
  readonly columns: readonly number[];
}

export interface CsvFormat {
  /** "," by default. */
  delimiter?: string;
  /** What comments begin with; there are none by default. */
  comment?: string;
}

/** A decoded image: red, green, blue and opacity of each pixel, row by row, from 0 to 255. */
export interface RgbaImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** What data sets are made of. Names of files are relative to the `.nn.ts` file, else to the working directory. */
export interface DataFiles {
  /** The absolute path that a name stands for. */
  resolve(file: string): string;
  /** @throws an error with file, line and column where the text is no table */
  csv(file: string, format: CsvFormat): CsvRow[];
  text(file: string): string;
  /** Bytes of a file; what a `.gz` file holds. */
  bytes(file: string): Uint8Array;
  image(file: string): RgbaImage;
  /** Names in a folder; undefined when there is no such folder. */
  folder(path: string): { name: string; folder: boolean }[] | undefined;
  /** The path without links, which is the same for all names of a folder. */
  real(path: string): string;
}

let files: DataFiles | undefined;

/** Says how files are read: the engine knows the formats. */
export function setDataFiles(access: DataFiles | undefined): void {
  files = access;
}

/** @throws TensorError where there are no files */
export function dataFiles(callee: string): DataFiles {
  if (files === undefined)
    throw new TensorError("unsupported", `data.${callee}(): files are not at hand here`);
  return files;
}
