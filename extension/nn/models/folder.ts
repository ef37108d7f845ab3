// Folders of Hugging Face: a configuration, the weights in one file or several, a vocabulary.
import { TensorError } from "../../tensor/errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { access, type TensorFiles } from "../files.ts";
import { warnOnce } from "../warnings.ts";

export type Json = Readonly<Record<string, unknown>>;

const files = (): TensorFiles => access("fromPretrained");

const inFolder = (folder: string, name: string): string => `${folder.replace(/[/\\]+$/, "")}/${name}`;

/**
 * A local folder as it is; of a name, the folder where the Hugging Face Hub's model of that name is cached, which is
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

/**
 * The object in a JSON file of the folder, or undefined when there is none.
 * @throws TensorError naming the file when it holds something else
 */
export function jsonIn(folder: string, name: string): Json | undefined {
  const text = textIn(folder, name);
  if (text === undefined) return undefined;
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

/**
 * The folder's configuration, of a model of this type.
 * @throws TensorError "… does not appear to have a file named config.json."
 */
export function readConfig(folder: string, modelType: string): Json {
  const config = jsonIn(folder, "config.json");
  if (config === undefined)
    throw new TensorError("value", `${folder} does not appear to have a file named config.json.`);
  const found = config["model_type"];
  if (typeof found === "string" && found !== modelType) {
    warnOnce(
      `You are using a model of type ${found} to instantiate a model of type ${modelType}. This is not supported for all configurations of models and can yield errors.`,
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
    const index = jsonIn(folder, `${name}.index.json`);
    if (index !== undefined) return readShards(folder, `${name}.index.json`, index["weight_map"]);
  }
  throw new TensorError(
    "value",
    `Error no file named model.safetensors, or pytorch_model.bin, found in directory ${folder}.`,
  );
}

function tensorsIn(folder: string, name: string): Map<string, Tensor> {
  return files().load(inFolder(folder, name)) as Map<string, Tensor>;
}

/** Tensors of several files, which an index lists: file by name of tensor. */
function readShards(folder: string, index: string, map: unknown): Map<string, Tensor> {
  const shards = new Set<unknown>(typeof map === "object" && map !== null ? Object.values(map) : []);
  if (shards.size === 0)
    throw new TensorError("value", `${inFolder(folder, index)}: expected files in "weight_map"`);
  const all = new Map<string, Tensor>();
  for (const shard of shards) {
    // Only files of this very folder are read.
    if (typeof shard !== "string" || !/^\w[\w.-]*$/.test(shard)) {
      throw new TensorError(
        "value",
        `${inFolder(folder, index)}: expected names of files in "weight_map", got ${String(shard)}`,
      );
    }
    for (const [key, tensor] of tensorsIn(folder, shard)) all.set(key, tensor);
  }
  return all;
}

/** Writes a configuration and weights as Hugging Face's loaders expect them; makes the folder where there is none. */
export function writeFolder(folder: string, config: Json, state: ReadonlyMap<string, Tensor>): void {
  files().writeText(inFolder(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  files().save(inFolder(folder, "model.safetensors"), state);
}
