import type { StoredDtype } from "./tensorData.ts";

/** A tensor of a file, whose bytes are read in parts. */
export interface SourceTensor {
  /** In a `.pth` file, the keys that lead to it, with dots between them. */
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /**
   * Row-major little-endian elements, part by part, so that tensors larger than the memory can be read.
   * @param anyOrder allows the order of the file: a transposed matrix can be read in parts only in this order
   */
  readonly parts: (anyOrder?: boolean) => Iterable<Uint8Array>;
  /** Bytes of its elements from one place to another, row-major. */
  readonly read: (from: number, to: number) => Uint8Array;
  /**
   * Verifies the checksum of the record that holds the tensor, once, where the format has one; to be exhausted after
   * the parts. Yields the number of bytes that it reads for this.
   */
  readonly finish: () => Generator<number, void>;
}

/** A tensor that can be read only part by part. */
export type TensorParts = Omit<SourceTensor, "read">;

/** An open file of tensors, of any format. */
export interface TensorSource {
  readonly file: string;
  readonly format: "safetensors" | "pth" | "onnx";
  readonly fileBytes: number;
  /** Of a `.pth` file, the plain values beside the tensors; of an ONNX model, its own and the program that wrote it. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: readonly SourceTensor[];
  close(): void;
}

/** Bytes that are read at a time. */
const PART_BYTES = 2 ** 22;

export function* inParts(
  length: number,
  read: (from: number, to: number) => Uint8Array,
): Generator<Uint8Array> {
  for (let from = 0; from < length; from += PART_BYTES) yield read(from, Math.min(length, from + PART_BYTES));
}
