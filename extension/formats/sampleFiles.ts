import type { DecodedFile, RawSample } from "../nn/data/access.ts";
import { toPlanes } from "../nn/data/planes.ts";
import { readImage } from "./images/image.ts";
import { readNpy } from "./npy.ts";

/** Bytes of a text, and of JSON: three bytes of it can become an object of sixty. */
const MAX_TEXT = 2 ** 26;
const MAX_JSON = 2 ** 23;
const TEXTS = new Set(["txt", "text", "transcript"]);
const NUMBERS = new Set(["cls", "cls2", "index", "count", "inx", "id"]);
const JSONS = new Set(["json", "jsn"]);
const IMAGES = new Set(["png", "jpg", "jpeg"]);
/** Python's own formats run code when they are read. */
const REFUSED = new Set(["pyd", "pickle", "pkl", "pth", "pt"]);

const text = new TextDecoder("utf-8", { fatal: true });

/**
 * Decodes the files of a sample by their endings, as WebDataset does; others stay bytes.
 * @param shard Named in errors
 * @param wanted Names of the files to decode; all by default
 * @param channels Of images: 1, 3 or 4
 * @throws Error naming shard, sample and file
 */
export function decodeSample(
  shard: string,
  { key, files, bytes }: RawSample,
  wanted: readonly string[] | undefined,
  channels: number,
): DecodedFile[] {
  return files
    .filter(({ name }) => wanted?.includes(name) ?? true)
    .map(({ name, start, length }) => {
      const own = bytes.subarray(start, start + length);
      const path = `${key}.${name}`;
      try {
        return { name, ...decoded(path, own, channels) };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`${shard}: ${reason.startsWith(path) ? reason : `${path}: ${reason}`}`, {
          cause: error,
        });
      }
    });
}

type Decoded = DecodedFile extends infer D ? (D extends unknown ? Omit<D, "name"> : never) : never;

function decoded(path: string, bytes: Uint8Array, channels: number): Decoded {
  const kind = path.slice(path.lastIndexOf(".") + 1);
  if (IMAGES.has(kind)) {
    const image = readImage(path, bytes);
    return { planes: toPlanes(image, channels), shape: [channels, image.height, image.width] };
  }
  if (kind === "npy") return { array: readNpy(bytes) };
  if (TEXTS.has(kind)) return { value: textOf(bytes) };
  if (JSONS.has(kind)) return { value: JSON.parse(textOf(bytes, MAX_JSON)) as unknown };
  if (NUMBERS.has(kind)) {
    const number = textOf(bytes).trim();
    if (!/^[+-]?\d{1,15}$/.test(number))
      throw new Error(`expected a whole number, got "${number.slice(0, 40)}"`);
    return { value: Number(number) };
  }
  if (REFUSED.has(kind)) throw new Error("Python's pickles are not read: use .json or .npy");
  return { value: bytes.slice() };
}

function textOf(bytes: Uint8Array, limit = MAX_TEXT): string {
  if (bytes.length > limit)
    throw new Error(`a text of ${count(bytes.length)} bytes; the limit is ${count(limit)}`);
  try {
    return text.decode(bytes);
  } catch {
    throw new Error("expected a text in UTF-8");
  }
}

const count = (n: number): string => n.toLocaleString("en-US");
