import { TensorError } from "../../tensor/core/errors.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { dataFiles, type DataFiles, type ImagePlanes, type Pending } from "./access.ts";
import { toPlanes } from "./planes.ts";
import { warnOnce } from "../warnings.ts";
import { unitTensor, VisionDataset, type VisionOptions } from "./vision.ts";

export interface ImageFolderOptions extends VisionOptions {
  /** Colours: "RGB" (default), "L" (grey), or "RGBA" with opacity. */
  mode?: "RGB" | "L" | "RGBA";
  /** Which files are images; those whose name ends in `.png`, `.jpg` or `.jpeg` by default. */
  isValidFile?: ((path: string) => boolean) | null;
}

/** Names of the images that can be read. */
export const IMAGE_NAME = /\.(?:png|jpe?g)$/i;

/** Names of the other images that torchvision reads. */
const OTHER_IMAGE = /\.(?:ppm|bmp|pgm|tiff?|webp)$/i;

const CHANNELS = { L: 1, RGB: 3, RGBA: 4 } as const;
/** Most bytes of decoded images that are kept: more are decoded in each epoch. */
const MAX_CACHED = 512 * 2 ** 20;

/**
 * PNG and JPEG images in folders, one folder a class, as torchvision's ImageFolder: `root/cat/1.png`, `root/dog/a/7.jpg`.
 * Classes are numbered in the order of their names, and so are the files of each. Images are decoded when they are asked
 * for, and then kept.
 *
 * ```ts
 * new data.ImageFolder("pets", { mode: "L", transform: new transforms.Resize([32, 32]) })
 * ```
 * @throws TensorError "Couldn't find any class folder in …", "Found no valid file for the classes …"
 */
export class ImageFolder extends VisionDataset {
  readonly root: string;
  readonly classes: readonly string[];
  /** Number of each class by its name. */
  readonly classToIdx: Readonly<Record<string, number>>;
  /** Path and class of each image. */
  readonly samples: readonly (readonly [path: string, target: number])[];
  readonly #files: DataFiles;
  readonly #mode: keyof typeof CHANNELS;
  readonly #decoded = new Map<number, ImagePlanes>();
  /** Images that threads decode. */
  readonly #ahead = new Map<number, Pending<ImagePlanes>>();
  #bytes = 0;

  /** @param root relative to the `.nn.ts` file or to the working directory, or absolute */
  constructor(root: string, options: ImageFolderOptions = {}) {
    super(options);
    this.#files = dataFiles("ImageFolder");
    this.#mode = options.mode ?? "RGB";
    if (!(this.#mode in CHANNELS))
      throw new TensorError(
        "value",
        `ImageFolder(): expected mode "RGB", "L" or "RGBA", got "${this.#mode}"`,
      );
    this.root = this.#files.resolve(root);
    const entries = this.#files.folder(root);
    if (entries === undefined) throw new TensorError("file", `There is no folder ${root}.`);
    this.classes = entries.flatMap(({ name, folder }) => (folder ? [name] : [])).sort(byCharacters);
    if (this.classes.length === 0)
      throw new TensorError("file", `Couldn't find any class folder in ${this.root}.`);
    this.classToIdx = Object.fromEntries(this.classes.map((name, i) => [name, i]));
    const isValid = options.isValidFile ?? ((path: string) => IMAGE_NAME.test(path));
    const all = this.classes.map((name) => this.#images(`${this.root}/${name}`, new Set()));
    const found = all.map((paths) => paths.filter(isValid));
    const skipped = options.isValidFile ? [] : all.flat().filter((path) => OTHER_IMAGE.test(path));
    const empty = this.classes.filter((_, i) => found[i]!.length === 0);
    if (empty.length > 0)
      throw new TensorError(
        "file",
        `Found no valid file for the classes ${empty.join(", ")}. Supported extensions are: .png,.jpg,.jpeg`,
        skipped.length > 0 ? `convert the others, such as ${skipped[0]}, to PNG or JPEG` : undefined,
      );
    if (skipped.length > 0)
      warnOnce(
        `ImageFolder(): skipped ${skipped.length} images in ${this.root} that are neither PNG nor JPEG, such as ` +
          `${skipped[0]!.slice(this.root.length + 1)}. Convert them to use them`,
      );
    this.samples = found.flatMap((paths, target) => paths.map((path) => [path, target] as const));
  }

  /** Class of each image. */
  get targets(): number[] {
    return this.samples.map(([, target]) => target);
  }

  get length(): number {
    return this.samples.length;
  }

  /** Files of a folder, then those of its folders. A folder is visited once: links may lead in circles. */
  #images(folder: string, visited: Set<string>): string[] {
    const real = this.#files.real(folder);
    if (visited.has(real)) return [];
    visited.add(real);
    const entries = this.#files.folder(folder) ?? [];
    const names = (folders: boolean): string[] =>
      entries.flatMap((one) => (one.folder === folders ? [one.name] : [])).sort(byCharacters);
    return [
      ...names(false).map((name) => `${folder}/${name}`),
      ...names(true).flatMap((name) => this.#images(`${folder}/${name}`, visited)),
    ];
  }

  protected untransformed(index: number): [Tensor, number] {
    const { planes, shape } = this.#decoded.get(index) ?? this.#decode(index);
    return [unitTensor(planes, shape), this.samples[index]![1]];
  }

  override readAhead(indices: readonly number[]): void {
    for (const index of indices)
      if (!this.#decoded.has(index) && !this.#ahead.has(index))
        this.#ahead.set(index, this.#files.planes(this.samples[index]![0], CHANNELS[this.#mode]));
  }

  override endReadAhead(): void {
    for (const image of this.#ahead.values()) image.drop();
    this.#ahead.clear();
  }

  #read(index: number): ImagePlanes {
    const ahead = this.#ahead.get(index);
    this.#ahead.delete(index);
    if (ahead !== undefined) return ahead.take();
    const image = this.#files.image(this.samples[index]![0]);
    const channels = CHANNELS[this.#mode];
    return { planes: toPlanes(image, channels), shape: [channels, image.height, image.width] };
  }

  #decode(index: number): ImagePlanes {
    const decoded = this.#read(index);
    if (this.#bytes + decoded.planes.length <= MAX_CACHED) {
      this.#bytes += decoded.planes.length;
      this.#decoded.set(index, decoded);
    }
    return decoded;
  }
}

function byCharacters(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
