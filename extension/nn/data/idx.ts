import { TensorError } from "../../tensor/core/errors.ts";
import { dataFiles, type DataFiles } from "./access.ts";
import { ByteImageDataset, type VisionOptions } from "./vision.ts";

/** Bytes with a shape, as the files of MNIST and its relatives hold them. */
interface IdxArray {
  readonly shape: readonly number[];
  readonly values: Uint8Array;
}

/**
 * Parses an idx file of unsigned bytes: two zeros, the type 8, the number of dimensions, their sizes (big-endian), and
 * the values.
 * @param file Named in errors
 * @throws TensorError saying what is wrong with the file
 */
export function parseIdx(file: string, bytes: Uint8Array): IdxArray {
  const fail = (problem: string): never => {
    throw new TensorError("file", `${file}: no idx file of bytes: ${problem}`);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0) fail("it doesn't begin with two zeros");
  if (bytes[2] !== 8) fail(`its type is ${bytes[2]}, not 8`);
  const dimensions = bytes[3]!;
  const start = 4 + 4 * dimensions;
  if (bytes.length < start) fail("it ends in its header");
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length !== start + size) fail(`expected ${start + size} bytes, got ${bytes.length}`);
  return { shape, values: bytes.subarray(start) };
}

export interface FashionMnistOptions extends VisionOptions {
  /** The 60,000 images to train on (default), or the 10,000 to test with. */
  train?: boolean;
  /** Where the four files are, each plain or as `.gz`; by default where Debian's package puts them. */
  folder?: string;
  /** The first images only. */
  limit?: number;
}

/** Where Debian's package `dataset-fashion-mnist` puts its files. */
const DEBIAN = "/usr/share/datasets/fashion-mnist";

const GARMENTS = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
];

/** Files that were read: a preview asks for them at every key. */
const read = new Map<string, IdxArray>();

/**
 * Fashion-MNIST: images [1, 28, 28] of garments, pixels from 0 to 1, in ten classes (Zalando, MIT licence). Not bundled:
 * it is read from Debian's package, or from a folder.
 *
 * ```ts
 * data: () => ({ train: data.fashionMnist(), test: data.fashionMnist({ train: false }) }),
 * ```
 * @throws TensorError saying how to get it, where it isn't; for a damaged file
 */
export function fashionMnist(options: FashionMnistOptions = {}): ByteImageDataset {
  const { train = true, folder = DEBIAN, limit = Infinity } = options;
  const files = dataFiles("fashionMnist");
  const part = train ? "train" : "t10k";
  const images = idxFile(files, folder, `${part}-images-idx3-ubyte`);
  const labels = idxFile(files, folder, `${part}-labels-idx1-ubyte`);
  const [count = 0, height = 0, width = 0] = images.shape;
  if (images.shape.length !== 3 || labels.shape.length !== 1 || labels.shape[0] !== count)
    throw new TensorError(
      "file",
      `data.fashionMnist(): expected as many labels as images in ${files.resolve(folder)}, got [${images.shape.join(", ")}] and [${labels.shape.join(", ")}]`,
    );
  const used = Math.min(count, limit);
  return new ByteImageDataset(
    images.values.subarray(0, used * height * width),
    labels.values.subarray(0, used),
    [1, height, width],
    GARMENTS,
    options,
  );
}

function idxFile(files: DataFiles, folder: string, name: string): IdxArray {
  const there = new Set(files.folder(folder)?.map((entry) => entry.name));
  const found = [name, `${name}.gz`].find((one) => there.has(one));
  if (found === undefined)
    throw new TensorError(
      "file",
      `data.fashionMnist(): there is no ${name} (or .gz) in ${files.resolve(folder)}`,
      "install it (on Debian and Ubuntu: apt install dataset-fashion-mnist), or name its folder: { folder: … }",
    );
  const path = `${files.resolve(folder)}/${found}`;
  const array = read.get(path) ?? parseIdx(path, files.bytes(path));
  read.set(path, array);
  return array;
}
