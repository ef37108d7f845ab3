import { clipped } from "../protocol/text/clip.ts";
import { openSource } from "./byteSource.ts";
import { isOnnx, type OnnxFile, openOnnx } from "./onnx/onnxFile.ts";
import { isPth, openPth, PthError, PthTensor, type PthValue } from "./pth/pth.ts";
import type { Fail } from "./pth/pthError.ts";
import { inParts, type SourceTensor, type TensorSource } from "./sourceTensor.ts";
import { isShardIndex, shardsOf } from "./safetensors/shards.ts";
import { readSafetensors } from "./safetensors/safetensors.ts";
import { MAX_HEADER_BYTES, MAX_TENSORS } from "./safetensors/safetensorsHeader.ts";
import { DTYPE_BYTES } from "./tensorData.ts";

/**
 * Opens a file of tensors; its content determines the format, except for ONNX models, which have their extension.
 * @throws SafetensorsError, PthError, OnnxError for a damaged or hostile file; the file system's error
 */
export function openTensors(path: string): TensorSource {
  if (isShardIndex(path)) return openShards(path);
  if (isOnnx(path)) return onnxTensors(openOnnx(path));
  return startsAsPth(path) ? openPthTensors(path) : openSafetensors(path);
}

/** All shards as one source: each has the tensors that the index says. */
function openShards(index: string): TensorSource {
  const open: TensorSource[] = [];
  const close = (): void => open.splice(0).forEach((source) => source.close());
  try {
    const tensors: SourceTensor[] = [];
    let fileBytes = 0;
    let found = 0;
    for (const [path, names] of shardsOf(index)) {
      const source = openTensors(path);
      open.push(source);
      fileBytes += source.fileBytes;
      found += source.tensors.length;
      if (found > 2 * MAX_TENSORS)
        throw new Error(`${index}: its files have more than ${count(2 * MAX_TENSORS)} tensors, the limit`);
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

/**
 * Whether a file begins as one of `torch.save` does.
 * @throws FileError for a device or pipe; the file system's error
 */
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
    read: (from, to) => file.readRange(name, begin + from, begin + to),
    // The format has no checksums.
    finish: function* () {},
  }));
  const { fileBytes, metadata } = file;
  return { file: path, format: "safetensors", fileBytes, metadata, tensors, close: () => file.close() };
}

function openPthTensors(path: string): TensorSource {
  const file = openPth(path);
  const { fileBytes, value } = file;
  const metadata = new Map<string, string>();
  let tensors: SourceTensor[];
  try {
    const fail: Fail = (defect, detail) => {
      throw new PthError(defect, detail, file);
    };
    tensors = new NamedTensors(value, fail).list;
  } catch (error) {
    file.close();
    throw error;
  }
  for (const [name, text] of plainIn(value, [])) if (metadata.set(name, text).size === MOST_PLAIN) break;
  return { file: path, format: "pth", fileBytes, metadata, tensors, close: () => file.close() };
}

/** An open ONNX model as a file of tensors. */
export function onnxTensors(onnx: OnnxFile): TensorSource {
  const { file, fileBytes, model, tensors } = onnx;
  const { producer, producerVersion, description, metadata } = model;
  const written = [producer, producerVersion].filter((one) => one !== "").join(" ");
  const about = new Map([
    ...(written === "" ? [] : [["producer", written] as const]),
    ...(description === "" ? [] : [["description", description] as const]),
    ...metadata,
  ]);
  return { file, format: "onnx", fileBytes, metadata: about, tensors, close: () => onnx.close() };
}

/** Plain values of a `.pth` file that are shown: a checkpoint's epoch, an optimizer's rates, not its vocabulary. */
const MOST_PLAIN = 100;
const LONGEST = 200;

/** Plain values beside the tensors, by the keys that lead to them. */
function* plainIn(value: PthValue, path: readonly string[]): Generator<[string, string]> {
  if (value instanceof Map)
    for (const [key, one] of value) yield* plainIn(one as PthValue, [...path, String(key)]);
  else if (Array.isArray(value) && !value.every(isPlain))
    for (const [i, one] of (value as readonly PthValue[]).entries())
      yield* plainIn(one, [...path, String(i)]);
  else if (isPlain(value) || Array.isArray(value)) {
    const text = isPlain(value) ? String(value) : `[${value.slice(0, LONGEST).map(String).join(", ")}]`;
    yield [cut(path.map(cut).join(".")), cut(text)];
  }
}

const cut = (text: string): string => clipped(text, LONGEST);

const isPlain = (value: unknown): value is null | boolean | number | bigint | string =>
  value === null || !["object", "function"].includes(typeof value);

/** Characters of all names together, as many as a safetensors header has. */
const MAX_NAMES = MAX_HEADER_BYTES;
/** How often the same tensor may be reached, on average: tied weights, a model under two names. */
const MOST_ALIASES = 4;
const FREE_BYTES = 2 ** 26;

/** The tensors of a `.pth` file with the keys that lead to each. A small file may have one at a million places. */
class NamedTensors {
  readonly list: SourceTensor[] = [];
  readonly #fail: Fail;
  readonly #known = new Set<PthTensor>();
  #characters = 0;
  #bytes = 0;
  #ownBytes = 0;

  /** @throws PthError "limit" */
  constructor(value: PthValue, fail: Fail) {
    this.#fail = fail;
    this.#walk(value, []);
    if (this.#bytes > FREE_BYTES + MOST_ALIASES * this.#ownBytes)
      fail(
        "limit",
        `${count(this.list.length)} names stand for ${count(this.#known.size)} tensors: ${count(this.#bytes)} bytes instead of ${count(this.#ownBytes)}`,
      );
  }

  #walk(value: PthValue, path: readonly string[]): void {
    if (value instanceof PthTensor) return this.#add(value, path);
    if (!(value instanceof Map) && !Array.isArray(value)) return;
    for (const [key, one] of value.entries() as Iterable<[unknown, PthValue]>)
      if (typeof one === "object" && one !== null) this.#walk(one, [...path, String(key)]);
  }

  #add(tensor: PthTensor, path: readonly string[]): void {
    const { dtype, shape, byteLength, contiguous, dense, storage, offset } = tensor;
    for (const key of path) this.#characters += key.length + 1;
    if (this.#characters > MAX_NAMES)
      this.#fail(
        "limit",
        `the names of the tensors have more than ${count(MAX_NAMES)} characters, the limit`,
      );
    if (this.list.length === MAX_TENSORS)
      this.#fail("limit", `there are more than ${count(MAX_TENSORS)} tensors, the limit`);
    this.#bytes += byteLength;
    if (!this.#known.has(tensor)) this.#ownBytes += byteLength;
    this.#known.add(tensor);
    const begin = offset * DTYPE_BYTES[dtype];
    const parts = (anyOrder = false): Iterable<Uint8Array> =>
      contiguous || (anyOrder && dense)
        ? inParts(byteLength, (from, to) => storage.read(begin + from, begin + to))
        : [tensor.data()];
    const name = path.join(".");
    // A transposed matrix is put in order as a whole, once.
    let ordered: Uint8Array | undefined;
    const read = (from: number, to: number): Uint8Array =>
      contiguous ? storage.read(begin + from, begin + to) : (ordered ??= tensor.data()).subarray(from, to);
    this.list.push({ name, dtype, shape, byteLength, parts, read, finish: () => storage.finish() });
  }
}

const count = (value: number): string => value.toLocaleString("en-US");
