// Folders of Hugging Face: a configuration, the weights in one file or several, a vocabulary.
import { BYTES } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { numel } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { access, type TensorFiles } from "../files.ts";
import { warnOnce } from "../warnings.ts";

export type Json = Readonly<Record<string, unknown>>;

const files = (): TensorFiles => access("fromPretrained");

export const inFolder = (folder: string, name: string): string => `${folder.replace(/[/\\]+$/, "")}/${name}`;

/**
 * The path of a local folder; for a name, the folder where the Hugging Face Hub's model of that name is cached, which is
 * fetched when it isn't.
 * @throws TensorError when it can't be had
 */
export function modelFolder(name: string): string {
  return files().exists(name) ? name : (files().pretrained(name) ?? name);
}

/** The text of a file of the folder, or undefined when there is none. */
export function textIn(folder: string, name: string): string | undefined {
  const file = inFolder(folder, name);
  return files().exists(file) ? files().readText(file) : undefined;
}

/** Characters of a configuration: three of them can become an object of sixty bytes. */
const MAX_CONFIG = 2 ** 23;

/**
 * The object in a JSON file of the folder, or undefined when there is none.
 * @throws TensorError naming the file when it holds something else
 */
export function jsonIn(folder: string, name: string, limit = MAX_CONFIG): Json | undefined {
  const text = textIn(folder, name);
  if (text === undefined) return undefined;
  if (text.length > limit)
    throw new TensorError(
      "value",
      `${inFolder(folder, name)}: expected JSON of up to ${limit.toLocaleString("en-US")} characters, got ${text.length.toLocaleString("en-US")}`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TensorError("value", `${inFolder(folder, name)} is not a valid JSON file: ${reason}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new TensorError("value", `${inFolder(folder, name)}: expected a JSON object`);
}

/** Gives the errors of what reads a file's content the file's name. */
export function naming<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TensorError)) throw error;
    throw new TensorError(error.code, `${file}: ${error.message}`);
  }
}

/**
 * The folder's configuration, of a model of this type.
 * @param check throws for a field that no model can have
 * @throws TensorError "… does not appear to have a file named config.json."
 */
export function readConfig(folder: string, modelType: string, check: (config: Json) => void): Json {
  const config = jsonIn(folder, "config.json");
  if (config === undefined)
    throw new TensorError("value", `${folder} does not appear to have a file named config.json.`);
  naming(inFolder(folder, "config.json"), () => check(config));
  const found = config["model_type"];
  if (typeof found === "string" && found !== modelType) {
    warnOnce(
      `You are using a model of type ${found.slice(0, 100)} to instantiate a model of type ${modelType}. This is not supported for all configurations of models and can yield errors.`,
    );
  }
  return config;
}

/**
 * All tensors of the folder's weights, from safetensors if there are any.
 * @throws TensorError when there are none; the reader's error for a damaged file
 */
export function readWeights(folder: string): Map<string, Tensor> {
  for (const name of ["model.safetensors", "pytorch_model.bin"]) {
    if (files().exists(inFolder(folder, name))) return tensorsIn(folder, name);
    const index = `${name}.index.json`;
    if (files().exists(inFolder(folder, index))) return tensorsIn(folder, index);
  }
  throw new TensorError(
    "value",
    `Error no file named model.safetensors, or pytorch_model.bin, found in directory ${folder}.`,
  );
}

function tensorsIn(folder: string, name: string): Map<string, Tensor> {
  const file = inFolder(folder, name);
  const weights = files().load(file);
  const named = (entry: readonly unknown[]): boolean =>
    typeof entry[0] === "string" && entry[1] instanceof Tensor;
  if (!(weights instanceof Map) || ![...weights].every(named))
    throw new TensorError("value", `${file}: expected tensors by name`);
  return weights as Map<string, Tensor>;
}

export interface SaveOptions {
  /** Weights of more bytes are spread over several files, each of no more: a number, or "5GB", "200MiB"; "50GB" by default. */
  maxShardSize?: number | string;
}

/**
 * Writes a configuration and weights as Hugging Face's loaders expect them; makes the folder where there is none. Files of
 * weights that were there before, and are none of the model's, are removed.
 */
export function writeFolder(
  folder: string,
  config: Json,
  state: ReadonlyMap<string, Tensor>,
  { maxShardSize = "50GB" }: SaveOptions = {},
): void {
  files().writeText(inFolder(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  const parts = shardsOf(state, bytesOf(maxShardSize));
  const written = parts.map((part, i) => {
    const number = (one: number): string => String(one).padStart(5, "0");
    const name = parts.length === 1 ? WHOLE : `model-${number(i + 1)}-of-${number(parts.length)}.safetensors`;
    files().save(inFolder(folder, name), part);
    return name;
  });
  if (parts.length > 1) {
    const map = parts.flatMap((part, i) => [...part.keys()].map((key) => [key, written[i]!] as const));
    const size = [...state.values()].reduce((sum, tensor) => sum + byteLength(tensor), 0);
    const index = { metadata: { total_size: size }, weight_map: Object.fromEntries(map) };
    files().writeText(inFolder(folder, INDEX), `${JSON.stringify(index, null, 2)}\n`);
    written.push(INDEX);
  }
  for (const name of files().list(folder))
    if (/^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/.test(name) && !written.includes(name))
      files().remove(inFolder(folder, name));
}

const WHOLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

const byteLength = ({ dtype, shape }: Tensor): number => numel(shape) * BYTES[dtype];

/** Tensors in their order, as many in each part as fit. */
function shardsOf(state: ReadonlyMap<string, Tensor>, limit: number): Map<string, Tensor>[] {
  const parts = [new Map<string, Tensor>()];
  let bytes = 0;
  for (const [name, tensor] of state) {
    const size = byteLength(tensor);
    if (bytes + size > limit && parts.at(-1)!.size > 0) {
      parts.push(new Map());
      bytes = 0;
    }
    parts.at(-1)!.set(name, tensor);
    bytes += size;
  }
  return parts;
}

/** @throws TensorError for a size that is none */
function bytesOf(size: number | string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)([KMG]i?B)?$/i.exec(String(size)) ?? [];
  if (digits === undefined)
    throw new TensorError(
      "value",
      `maxShardSize: expected a number of bytes, or one like "5GB", got ${size}`,
    );
  const base = /i/i.test(unit) ? 1024 : 1000;
  return Number(digits) * base ** (unit === "" ? 0 : "kmg".indexOf(unit[0]!.toLowerCase()) + 1);
}
