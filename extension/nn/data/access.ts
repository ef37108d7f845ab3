import { TensorError } from "../../tensor/core/errors.ts";

/** A table in a file. */
export interface CsvTable {
  /** The cells of each row, the first row's too where it has the columns' names. */
  readonly rows: readonly (readonly string[])[];
  /** Why the rows after the last one can't be read. */
  readonly error: TensorError | undefined;
  /** Where a cell begins: `file:line:column`. Reads the row again, so it is for errors. */
  readonly place: (row: number, cell: number) => string;
}

export interface CsvFormat {
  /** "," by default. */
  delimiter?: string;
  /** Prefix of comment lines; there are none by default. */
  comment?: string;
  /** Encoding of the text. */
  charset?: string;
}

/** A decoded image: red, green, blue and opacity of each pixel, row by row, from 0 to 255. */
export interface RgbaImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
  /** Channels of the file: grey, grey and opacity, colours, or all four. */
  readonly channels?: number;
}

/** A decoded image of 8 bits, channel by channel. */
export interface ImagePlanes {
  readonly planes: Uint8Array;
  readonly shape: readonly [channels: number, height: number, width: number];
}

/** Kind of a Parquet column's values: "time" is a date or a time, "nested" a list, map or struct. */
export type ParquetKind = "number" | "boolean" | "text" | "time" | "binary" | "nested";

export interface ParquetColumn {
  readonly name: string;
  readonly kind: ParquetKind;
}

/** Metadata of a Parquet file. */
export interface ParquetFacts {
  readonly rows: number;
  readonly columns: readonly ParquetColumn[];
  /** Its row groups: their rows, and the missing cells of each column where the file counts them. */
  readonly groups: readonly { readonly rows: number; readonly nulls: readonly (number | undefined)[] }[];
}

/** Cells of one column: numbers, NaN where one is missing, or the number of each text, -1 where one is missing. */
export type ParquetCells =
  | { readonly numbers: Float64Array }
  | { readonly texts: readonly string[]; readonly indices: Int32Array };

/** A Parquet file, whose row groups a thread reads. */
export interface ParquetFile extends ParquetFacts {
  /** Absolute. */
  readonly path: string;
  /**
   * Starts reading columns of a row group.
   * @param limit Rows at most; all by default
   * @returns the pending cells, by column; `take` throws a TensorError for damaged data
   */
  read(
    group: number,
    columns: readonly { name: string; as: "number" | "text" }[],
    limit?: number,
  ): Pending<ParquetCells[]>;
}

/** A sample of a tar file: its files one after the other in `bytes`. */
export interface RawSample {
  /** Its files' path up to the first dot of the name. */
  readonly key: string;
  /** Their names after that dot. */
  readonly files: readonly { readonly name: string; readonly start: number; readonly length: number }[];
  readonly bytes: Uint8Array;
}

/** A decoded file of a sample: an image's channels, an array, or a number, text, plain data or bytes. */
export type DecodedFile =
  | { readonly name: string; readonly planes: Uint8Array; readonly shape: readonly number[] }
  | {
      readonly name: string;
      readonly array: {
        readonly shape: readonly number[];
        readonly dtype: "float32" | "int64" | "bool";
        readonly values: Float32Array | Int32Array | Uint8Array;
      };
    }
  | { readonly name: string; readonly value: unknown };

/** A tar file that a thread reads ahead. */
export interface Shard {
  /** Absolute. */
  readonly path: string;
  /** Whether the next sample is there. */
  readonly ready: boolean;
  /** The next sample; undefined at the end. @throws TensorError for a damaged file */
  next(): RawSample | undefined;
  close(): void;
}

/** A value that another thread reads. */
export interface Pending<T> {
  /** Whether the value is there, or reading it has failed. */
  readonly ready: boolean;
  /** Waits for the value. @throws the error of reading it */
  take(): T;
  /** Gives up the value. */
  drop(): void;
}

/** Files for data sets. Names of files are relative to the `.nn.ts` file, else to the working directory. */
export interface DataFiles {
  /** Absolute path of a file's name. */
  resolve(file: string): string;
  /** @throws TensorError for a file that is no text in that encoding */
  csv(file: string, format: CsvFormat): CsvTable;
  text(file: string): string;
  /** Bytes of a file; of a `.gz` file, the unpacked ones. */
  bytes(file: string): Uint8Array;
  image(file: string): RgbaImage;
  /** Has a thread decode an image: its channels one after the other. @param channels 1, 3 or 4 */
  planes(file: string, channels: number): Pending<ImagePlanes>;
  /** Uses at least this many threads for reading. */
  threads(count: number): void;
  /** @throws TensorError for a file that is not Parquet */
  parquet(file: string): ParquetFile;
  /** The names that braces in a name stand for: `{00..09}`, `{a,b}`. */
  expand(pattern: string): string[];
  /** Opens a tar file. */
  shard(file: string): Shard;
  /** Has a thread decode a sample, whose bytes it takes over. @param shard Named in errors */
  decode(
    shard: string,
    sample: RawSample,
    wanted: readonly string[] | undefined,
    channels: number,
  ): Pending<DecodedFile[]>;
  /** Names in a folder; undefined when there is no such folder. */
  folder(path: string): { name: string; folder: boolean }[] | undefined;
  /** The path without links, which is the same for all names of a folder. */
  real(path: string): string;
}

let files: DataFiles | undefined;

/** Sets how files are read: the engine knows the formats. */
export function setDataFiles(access: DataFiles | undefined): void {
  files = access;
}

/** Applies a loader's `numWorkers`: at least this many threads read, where there are any. */
export function wantThreads(count: number): void {
  files?.threads(count);
}

/** @throws TensorError where there are no files */
export function dataFiles(callee: string): DataFiles {
  if (files === undefined)
    throw new TensorError("unsupported", `data.${callee}(): files are not at hand here`);
  return files;
}
