import {
  memoryStorage,
  OrderedDict,
  PthDtype,
  type PthStorage,
  PthTensor,
  readPth,
  UnwritableError,
  wholeTensor,
  writePth,
  type PthKey,
  type PthValue,
} from "../../formats/pth/pth.ts";
import { readSafetensors, writeSafetensors } from "../../formats/safetensors/safetensors.ts";
import {
  encodeElements,
  isFloat,
  toBool,
  toFloat32,
  toWholeFloat64,
  type EncodableDtype,
  type TensorEntry,
} from "../../formats/tensorData.ts";
import { isShardIndex, shardsOf } from "../../formats/safetensors/shards.ts";
import { startsAsPth } from "../../formats/tensorSource.ts";
import { Module } from "../../nn/module/module.ts";
import type { DType, HostArray } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, Parameter, Tensor } from "../../tensor/core/tensor.ts";
import type { Placed } from "../../tensor/functions/shape/strided.ts";
import { RngState } from "../../tensor/random/generator.ts";
import { entryMap, entryObject } from "../resume/loadedDict.ts";
import { sharedPlaces, SharedStorages } from "./sharedMemory.ts";

const STORED: Record<DType, EncodableDtype> = {
  float32: "F32",
  int64: "I64",
  bool: "BOOL",
  complex64: "F32",
};

/** Writes tensors by name to a safetensors file, whole or not at all. Computes what is still pending. */
export function saveTensors(
  file: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const entries: TensorEntry[] = [];
  for (const [name, tensor] of tensors) {
    const dtype = STORED[tensor.dtype];
    entries.push({ name, dtype, shape: tensor.shape, data: encodeElements(valuesOf(tensor.value), dtype) });
  }
  // Hugging Face's loaders ask for the format.
  writeSafetensors(file, entries, new Map(Object.entries({ format: "pt", ...metadata })));
}

/** Names of files that other programs would take for something else. */
const OTHER_FORMATS = /\.(?:npy|npz|onnx|h5|hdf5|gguf|json|csv)$/i;

/**
 * `torch.save`: safetensors if the file's extension says so, else PyTorch's format.
 * @throws TensorError for the extension of another format, or a value that the format can't hold; the file system's error
 */
export function saveFile(file: string, value: unknown): void {
  refuseModule(value);
  if (/\.safetensors$/i.test(file)) saveTensors(file, tensorsByName(value));
  else if (!OTHER_FORMATS.test(file)) savePth(file, value);
  else
    throw new TensorError(
      "unsupported",
      `torch.save(): expected the name of a .safetensors, .pth or .pt file, got "${file}"`,
      "the ending says the format: safetensors holds tensors by name, .pth any plain data with tensors in it",
    );
}

/** @throws TensorError for a module: its class is code, which a file of data doesn't hold */
function refuseModule(value: unknown): void {
  if (!(value instanceof Module)) return;
  throw new TensorError(
    "unsupported",
    `torch.save(): ${value.constructor.name} is a module, of which a file can hold the state alone`,
    'save its state: torch.save(model.stateDict(), "model.pth"). To load it, make the model and call ' +
      'model.loadStateDict(torch.load("model.pth"))',
  );
}

function savePth(file: string, value: unknown): void {
  try {
    writePth(file, new PthMaker(value).value(value));
  } catch (error) {
    if (!(error instanceof UnwritableError)) throw error;
    throw new TensorError(
      "unsupported",
      `torch.save(): ${error.message}`,
      "save what a model or an optimizer knows: model.stateDict(), optimizer.stateDict()",
    );
  }
}

/** Computes all that {@link saveFile} would write to a `.pth` file, in the same order, and writes nothing. */
export function computeSaved(value: unknown): void {
  new PthMaker(value).value(value);
}

/** Levels of nesting: an object that contains itself has no end. */
const MAX_DEPTH = 64;

/** Makes values for a `.pth` file: a `Map` is an OrderedDict, an object a dict, a frozen array a tuple. */
class PthMaker {
  readonly #tensors = new Map<Tensor, PthTensor>();
  /** Storages by the array that holds the values: tied weights share one. */
  readonly #storages = new Map<HostArray, PthStorage>();
  readonly #places: ReadonlyMap<Tensor, Placed>;

  /** @param all that will be saved: of memory that several of its tensors share, all is saved */
  constructor(all: unknown) {
    this.#places = sharedPlaces(all);
  }

  value(value: unknown, depth = 0): PthValue {
    if (depth > MAX_DEPTH) throw new UnwritableError("", `nested deeper than ${MAX_DEPTH} levels`);
    const inside = (one: unknown): PthValue => this.value(one, depth + 1);
    refuseModule(value);
    if (value instanceof Tensor) return this.#tensor(value);
    if (value instanceof RngState) return wholeTensor(memoryStorage("U8", value), "U8", [value.length]);
    if (Array.isArray(value)) {
      const items = value.map(inside);
      return Object.isFrozen(value) ? Object.freeze(items) : items;
    }
    if (value instanceof Map)
      return new OrderedDict<PthKey, PthValue>([...value].map(([key, one]) => [key as PthKey, inside(one)]));
    if (value instanceof Set) return new Set([...value].map(inside));
    if (!isPlainObject(value)) return value as PthValue;
    // Undefined properties are left out.
    const entries = Object.entries(value).filter(([, one]) => one !== undefined);
    return new Map(entries.map(([key, one]) => [isIndex(key) ? Number(key) : key, inside(one)]));
  }

  #tensor(tensor: Tensor): PthTensor {
    const known = this.#tensors.get(tensor);
    if (known !== undefined) return known;
    const dtype = STORED[tensor.dtype];
    const place = this.#places.get(tensor);
    const values = valuesOf((place?.root ?? tensor).value);
    let storage = this.#storages.get(values);
    if (storage === undefined) {
      storage = memoryStorage(dtype, encodeElements(values, dtype));
      this.#storages.set(values, storage);
    }
    const parameter = tensor instanceof Parameter;
    const { requiresGrad, shape } = tensor;
    const made =
      place === undefined
        ? wholeTensor(storage, dtype, shape, { requiresGrad, parameter })
        : new PthTensor({ ...place, storage, dtype, shape, requiresGrad, parameter });
    this.#tensors.set(tensor, made);
    return made;
  }
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function tensorsByName(value: unknown): ReadonlyMap<string, Tensor> {
  const entries: unknown[][] =
    value instanceof Map
      ? [...value]
      : typeof value === "object" && value !== null
        ? Object.entries(value)
        : [[]];
  for (const [name, tensor] of entries)
    if (typeof name !== "string" || !(tensor instanceof Tensor))
      throw new TensorError(
        "unsupported",
        "torch.save(): a safetensors file holds tensors by name, nothing else",
        'save other values to a file that ends in ".pth"',
      );
  return new Map(entries as [string, Tensor][]);
}

/**
 * `torch.load`: the content determines the format.
 * @throws PthError, SafetensorsError for a damaged or hostile file; the file system's error
 */
export function loadFile(file: string): unknown {
  if (isShardIndex(file)) return loadShards(file).tensors;
  if (!startsAsPth(file)) return loadSafetensorsFile(file).tensors;
  const value = readPth(file);
  return new Converter(file, value).root(value);
}

/** Tensors by name, and the texts that a safetensors file has with them. */
export interface LoadedTensors {
  tensors: Map<string, Tensor>;
  metadata: ReadonlyMap<string, string>;
}

/** Keys under which other programs' checkpoints keep the weights. */
const STATE_DICTS = ["model_state_dict", "state_dict", "model"];

/**
 * Reads the weights in a file: a state dict, or one among the values of a checkpoint, by the usual names.
 * @throws PthError, SafetensorsError for a damaged or hostile file; TensorError for one without weights
 */
export function loadTensors(file: string): LoadedTensors {
  if (isShardIndex(file)) return loadShards(file);
  if (!startsAsPth(file)) return loadSafetensorsFile(file);
  const value = readPth(file);
  const inside = value instanceof Map ? STATE_DICTS.map((name): unknown => value.get(name)) : [];
  const state = [value, ...inside].find(isStateDict);
  if (state === undefined)
    throw new TensorError(
      "value",
      `${file}: expected a dict of tensors, or one under ${STATE_DICTS.map((name) => `"${name}"`).join(", ")}`,
    );
  return { tensors: new Converter(file, state).stateDict(state), metadata: new Map() };
}

/** The tensors of several files, which an index lists. */
function loadShards(index: string): LoadedTensors {
  const tensors = new Map<string, Tensor>();
  for (const [shard, names] of shardsOf(index)) {
    const loaded = loadTensors(shard).tensors;
    for (const name of names) {
      const tensor = loaded.get(name);
      if (tensor === undefined)
        throw new TensorError("value", `${index}: tensor ${JSON.stringify(name)} is not in ${shard}`);
      tensors.set(name, tensor);
    }
  }
  return { tensors, metadata: new Map() };
}

function loadSafetensorsFile(file: string): LoadedTensors {
  const source = readSafetensors(file);
  try {
    // One after the other, so that at most one tensor of a large file is in memory twice.
    const tensors = entryMap<string, Tensor>();
    for (const entry of source.entries()) tensors.set(entry.name, toTensor(entry, file));
    return { tensors, metadata: source.metadata };
  } finally {
    source.close();
  }
}

/**
 * A stored tensor as one to compute with: floats become float32, integers int64.
 * @throws TensorError naming the file for elements that are neither, or too large to be exact
 */
export function toTensor(entry: TensorEntry, file: string): Tensor {
  try {
    return converted(entry);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TensorError("value", `${file}: ${error.message}`);
  }
}

function converted(entry: TensorEntry): Tensor {
  const { dtype, shape } = entry;
  if (dtype === "BOOL") return fromHost(toBool(entry), shape, "bool");
  if (isFloat(dtype)) return fromHost(toFloat32(entry), shape, "float32");
  const values = toWholeFloat64(entry);
  const small = values.every((value) => value === (value | 0));
  return fromHost(small ? Int32Array.from(values) : values, shape, "int64");
}

type State = ReadonlyMap<string, PthTensor>;

function isStateDict(value: unknown): value is State {
  return (
    value instanceof Map &&
    value.size > 0 &&
    [...value].every(([key, one]) => typeof key === "string" && one instanceof PthTensor)
  );
}

/** Converts a file's values to the library's; shared tensors stay shared. */
class Converter {
  readonly #file: string;
  readonly #tensors = new Map<PthTensor, Tensor>();
  readonly #storages: SharedStorages;

  /** @param all that will be converted */
  constructor(file: string, all: PthValue) {
    this.#file = file;
    this.#storages = new SharedStorages(all, (entry) => toTensor(entry, file));
  }

  root(value: PthValue): unknown {
    return isStateDict(value) ? this.stateDict(value) : this.#value(value);
  }

  stateDict(state: State): Map<string, Tensor> {
    return entryMap([...state].map(([name, tensor]) => [name, this.#tensor(tensor, name)] as const));
  }

  #value(value: PthValue): unknown {
    if (value instanceof PthTensor) return this.#tensor(value, "");
    if (value instanceof PthDtype) return value.name;
    if (value instanceof Map) return this.#dict(value);
    if (value instanceof Set) return new Set([...value].map((one: PthValue) => this.#value(one)));
    if (!Array.isArray(value)) return value;
    const items = (value as readonly PthValue[]).map((one) => this.#value(one));
    return Object.isFrozen(value) ? Object.freeze(items) : items;
  }

  #dict(dict: ReadonlyMap<unknown, PthValue>): unknown {
    const entries = [...dict].map(([key, one]): [unknown, unknown] => [key, this.#value(one)]);
    if (dict instanceof OrderedDict || !isObject([...dict.keys()])) return entryMap(entries);
    return entryObject(entries as [string, unknown][]);
  }

  #tensor(stored: PthTensor, name: string): Tensor {
    let tensor = this.#tensors.get(stored);
    if (tensor === undefined) {
      const plain = this.#storages.tensor(stored, name) ?? toTensor(stored.entry(name), this.#file);
      if (stored.parameter) tensor = new Parameter(plain, stored.requiresGrad);
      else tensor = stored.requiresGrad ? plain.requiresGrad_() : plain;
      this.#tensors.set(stored, tensor);
    }
    return tensor;
  }
}

/** Whether a JavaScript object can keep these keys and their types: whole numbers become its indices. */
function isObject(keys: readonly unknown[]): boolean {
  return keys.every((key) => {
    if (typeof key === "number") return key >= 0 && key < 2 ** 32 - 1 && Number.isInteger(key);
    return typeof key === "string" && key !== "__proto__" && !isIndex(key);
  });
}

/** Whether an object would treat this key as an index. */
function isIndex(key: string): boolean {
  return String(Number(key) >>> 0) === key;
}
