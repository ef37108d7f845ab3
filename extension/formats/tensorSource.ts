import { openSource } from "./byteSource.ts";
import { isPth, openPth, PthTensor, type PthValue } from "./pth.ts";
import { isShardIndex, shardsOf } from "./shards.ts";
import { readSafetensors } from "./safetensors.ts";
import { DTYPE_BYTES, type StoredDtype } from "./tensorData.ts";

/** A tensor of a file, whose bytes are read in parts. */
export interface SourceTensor {
  /** In a `.pth` file, the keys that lead to it, with dots between them. */
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /**
   * Row-major little-endian elements, part by part: what doesn't fit into the memory can be looked at.
   * @param anyOrder whether the elements may come as they lie: a transposed matrix doesn't, otherwise, come in parts
   */
  readonly parts: (anyOrder?: boolean) => Iterable<Uint8Array>;
  /**
   * To be run through after the parts: makes sure, once, that what holds the tensor is not damaged, where the format has
   * checksums. Yields the bytes read since, none where the parts were all.
   */
  readonly finish: () => Generator<number, void>;
}

/** An open file of tensors, of any format. */
export interface TensorSource {
  readonly file: string;
  readonly format: "safetensors" | "pth";
  readonly fileBytes: number;
  /** Of a `.pth` file, the plain values beside the tensors. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: readonly SourceTensor[];
  close(): void;
}

const PART_BYTES = 2 ** 22;

/**
 * Opens a file of tensors; its content says the format.
 * @throws SafetensorsError, PthError for a damaged or hostile file; the file system's error
 */
export function openTensors(path: string): TensorSource {
  if (isShardIndex(path)) return openShards(path);
  return startsAsPth(path) ? openPthTensors(path) : openSafetensors(path);
}

/** All shards as one source: each has the tensors that the index says. */
function openShards(index: string): TensorSource {
  const open: TensorSource[] = [];
  const close = (): void => open.splice(0).forEach((source) => source.close());
  try {
    const tensors: SourceTensor[] = [];
    let fileBytes = 0;
    for (const [path, names] of shardsOf(index)) {
      const source = openTensors(path);
      open.push(source);
      fileBytes += source.fileBytes;
      const byName = new Map(source.tensors.map((tensor) => [tensor.name, tensor]));
      for (const name of names) {
        const tensor = byName.get(name);
        if (tensor === undefined)
          throw new Error(`${index}: tensor ${JSON.stringify(name)} is not in ${path}`);
        tensors.push(tensor);
      }
    }
    const { format = "safetensors", metadata = new Map<string, string>() } = open[0] ?? {};
    return { file: index, format, fileBytes, metadata, tensors, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Whether a file begins as one of `torch.save` does. @throws FileError for a device or pipe; the file system's error */
export function startsAsPth(path: string): boolean {
  const source = openSource(path, path);
  try {
    return isPth(source.read(0, 16));
  } finally {
    source.close();
  }
}

function openSafetensors(path: string): TensorSource {
  const file = readSafetensors(path);
  const tensors = [...file.tensors].map(([name, { dtype, shape, begin, end }]): SourceTensor => ({
    name,
    dtype,
    shape,
    byteLength: end - begin,
    parts: () => inParts(end - begin, (from, to) => file.readRange(name, begin + from, begin + to)),
    // The format has no checksums.
    finish: function* () {},
  }));
  const { fileBytes, metadata } = file;
  return { file: path, format: "safetensors", fileBytes, metadata, tensors, close: () => file.close() };
}

function openPthTensors(path: string): TensorSource {
  const file = openPth(path);
  const tensors = [...tensorsIn(file.value, [])];
  const { fileBytes } = file;
  const metadata = new Map<string, string>();
  for (const [name, text] of plainIn(file.value, [])) if (metadata.set(name, text).size === MOST_PLAIN) break;
  return { file: path, format: "pth", fileBytes, metadata, tensors, close: () => file.close() };
}

/** Plain values of a `.pth` file that are shown: a checkpoint's epoch, an optimizer's rates, not its vocabulary. */
const MOST_PLAIN = 100;
const LONGEST = 200;

/** What stands beside the tensors, by the keys that lead to it. */
function* plainIn(value: PthValue, path: readonly string[]): Generator<[string, string]> {
  if (value instanceof Map)
    for (const [key, one] of value) yield* plainIn(one as PthValue, [...path, String(key)]);
  else if (Array.isArray(value) && !value.every(isPlain))
    for (const [i, one] of (value as readonly PthValue[]).entries())
      yield* plainIn(one, [...path, String(i)]);
  else if (isPlain(value) || Array.isArray(value)) {
    const text = isPlain(value) ? String(value) : `[${value.slice(0, LONGEST).map(String).join(", ")}]`;
    yield [path.join("."), text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`];
  }
}

const isPlain = (value: unknown): value is null | boolean | number | bigint | string =>
  value === null || !["object", "function"].includes(typeof value);

function* tensorsIn(value: PthValue, path: readonly string[]): Generator<SourceTensor> {
  if (value instanceof PthTensor) {
    const { dtype, shape, byteLength, contiguous, dense, storage, offset } = value;
    const begin = offset * DTYPE_BYTES[dtype];
    const parts = (anyOrder = false): Iterable<Uint8Array> =>
      contiguous || (anyOrder && dense)
        ? inParts(byteLength, (from, to) => storage.read(begin + from, begin + to))
        : [value.data()];
    yield { name: path.join("."), dtype, shape, byteLength, parts, finish: () => storage.finish() };
    return;
  }
  const items = value instanceof Map || Array.isArray(value) ? value.entries() : [];
  for (const [key, one] of items as Iterable<[unknown, PthValue]>)
    yield* tensorsIn(one, [...path, String(key)]);
}

function* inParts(length: number, read: (from: number, to: number) => Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < length; from += PART_BYTES) yield read(from, Math.min(length, from + PART_BYTES));
}
