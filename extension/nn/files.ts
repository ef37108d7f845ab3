import { TensorError } from "../tensor/core/errors.ts";
import type { OnnxGraph } from "../tensor/lowering/onnx.ts";
import type { EventFileOptions, EventSink } from "./utils/tensorboard/events.ts";
import { Device, device, requireCpu, type DeviceLike } from "../tensor/platform/device.ts";

/** An image of 8 bits a channel: red, green and blue of each pixel, row by row. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Reads and writes files of tensors and plain data, images and texts. */
export interface TensorFiles {
  save(file: string, value: unknown): void;
  load(file: string): unknown;
  writeImage(file: string, image: RgbImage): void;
  exists(file: string): boolean;
  readText(file: string): string;
  /** Makes the folder where there is none. */
  writeText(file: string, text: string): void;
  /** Names of a folder's entries. */
  list(folder: string): readonly string[];
  remove(file: string): void;
  /** The folder of a model of the Hugging Face Hub: in the cache, or fetched. Undefined for an impossible name. */
  pretrained(name: string): string | undefined;
  writeOnnx(file: string, graph: OnnxGraph): void;
  /** Creates an event file of TensorBoard, with its folder; undefined where nothing is to be written. */
  openEvents(folder: string, options: EventFileOptions): EventSink | undefined;
  /** Name of the machine. */
  hostName(): string;
}

let files: TensorFiles | undefined;

/**
 * Sets how files are read and written: the engine knows the formats.
 * @returns the access set before
 */
export function setTensorFiles(access: TensorFiles | undefined): TensorFiles | undefined {
  const before = files;
  files = access;
  return before;
}

/**
 * @internal
 * @param name of the function that asks for files
 * @throws TensorError where there are none
 */
export function access(name: string): TensorFiles {
  if (files === undefined) throw new TensorError("unsupported", `${name}(): files are not at hand here`);
  return files;
}

/**
 * Saves tensors and plain data. A name that ends in `.safetensors` holds tensors by name
 * (`torch.save(model.stateDict(), "model.safetensors")`); under any other name, such as `.pth`, `.pt`, `.ckpt` or
 * `.pth.tar`, the file holds any plain data with tensors in it, as PyTorch's `torch.save` writes it and its
 * `torch.load` reads it:
 *
 * ```ts
 * torch.save({ epoch, model: model.stateDict(), optimizer: optimizer.stateDict() }, "training.pth");
 * ```
 *
 * There a `Map` is a Python `OrderedDict`, an object a dict, an array a list, a frozen array a tuple. The file is
 * replaced as a whole, so what was there stays until the new one is complete.
 * @param file relative to the working directory, or absolute
 * @throws TensorError for the ending of another format, such as `.npz`, or a value that the format can't hold; the file system's error
 */
export function save(value: unknown, file: string): void {
  access("torch.save").save(file, value);
}

/**
 * A file's values by name, as properties and by a Map's methods. Only the file determines their types, as in Python;
 * give `load` a type to have them checked.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- as dynamic as what torch.load returns
export type Loaded = Map<string, any> & { [name: string]: any };

/** Arguments of {@link load} by name. */
export interface LoadOptions {
  /** Where tensors go: the CPU. Functions and dicts of PyTorch's are accepted, since tensors are on the CPU anyway. */
  mapLocation?: DeviceLike | ((...args: never[]) => unknown) | Readonly<Record<string, DeviceLike>> | null;
  /** Accepted, without effect: nothing in a file is run. */
  weightsOnly?: boolean;
  /** Accepted, without effect. */
  mmap?: boolean;
}

/** @throws TensorError in PyTorch's words where tensors are wanted on a GPU */
function checkLocation({ mapLocation }: LoadOptions): void {
  if (typeof mapLocation !== "string" && typeof mapLocation !== "number" && !(mapLocation instanceof Device))
    return;
  if (device(mapLocation).type === "cuda") {
    throw new TensorError(
      "unsupported",
      "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your storages to the CPU.",
    );
  }
  requireCpu(mapLocation);
}

/**
 * Loads a file of tensors: safetensors, or a `.pth`, `.pt` or `.bin` file of PyTorch's `torch.save`, told apart by
 * their content. A dict of tensors is a `Map` by name: `model.loadStateDict(torch.load("model.pth"))`. Within other
 * values, Python's `OrderedDict` is a `Map`, a dict an object (a `Map` too where an object would lose the order or the
 * type of its keys), a list an array and a tuple a frozen array. Entries of Maps are properties too, and objects have a
 * Map's methods: `saved.epoch` and `saved.get("epoch")` are the same. So the state of a training is restored:
 *
 * ```ts
 * const saved = torch.load<{ model: StateDict; optimizer: OptimizerStateDict; epoch: number }>("training.pth");
 * model.loadStateDict(saved.model);
 * ```
 *
 * Numbers of other element types become float32 or int64. Nothing in a file is run: names of classes and functions
 * outside a short list are refused.
 * @param options.mapLocation "cpu", where tensors are anyway
 * @throws an error naming the defect of a damaged or hostile file; the file system's error
 */
export function load<T = Loaded>(file: string, options: LoadOptions = {}): T {
  checkLocation(options);
  return access("torch.load").load(file) as T;
}

/** @internal Writes a PNG file. */
export function writeImage(file: string, image: RgbImage): void {
  access("saveImage").writeImage(file, image);
}
