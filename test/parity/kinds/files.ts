import { createHash } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { inspect } from "node:util";
import { loadFile } from "../../../extension/engine/files/tensorFiles.ts";
import {
  isTuple,
  PthError,
  memoryStorage,
  PthTensor,
  readPth,
  wholeTensor,
  writePth,
  type PthKey,
  type PthValue,
} from "../../../extension/formats/pth/pth.ts";
import {
  encodeSafetensors,
  loadSafetensors,
  SafetensorsError,
  writeSafetensors,
} from "../../../extension/formats/safetensors/safetensors.ts";
import {
  type EncodableDtype,
  encodeElements,
  type StoredDtype,
  type TensorEntry,
} from "../../../extension/formats/tensorData.ts";
import type { StateDict } from "../../../extension/nn/module/stateDict.ts";
import { firstOf, Unsupported } from "../format.ts";
import { build, type ModelSpec } from "../models.ts";
import { runFolder, type FolderExpectation, type FolderSpec } from "./folders.ts";

/** A tensor of the golden files, as far as kind `files` uses them. */
export interface StoredGoldenTensor {
  dtype: string;
  shape: number[];
  data?: (number | boolean | string)[];
  b64f32?: string;
  b64raw?: string;
}

/** A value of a file: dicts keep the order and the types of their keys. */
export type GoldenValue =
  | null
  | boolean
  | number
  | string
  | { $tensor: StoredGoldenTensor; requires_grad?: boolean }
  | { $dict: [key: GoldenValue, value: GoldenValue][] }
  | { $list: GoldenValue[] }
  | { $tuple: GoldenValue[] }
  | { $float: string };

export interface FilesSpec {
  id: string;
  /** Below the folder of the kind. */
  file: string;
  format: string;
  /** Takes the tensors of the file, all of them. */
  model?: ModelSpec;
  /** Saving these tensors must give the bytes of the file. */
  save?: { tensors: [name: string, tensor: StoredGoldenTensor][]; metadata: Record<string, string> | null };
}

export interface FilesExpectation {
  id: string;
  outcome?: string;
  why?: string;
  value?: GoldenValue;
  metadata?: Record<string, string> | null;
  sha256?: string;
}

/**
 * Runs an item of kind `files`.
 *
 * @param folder The folder of the kind, `.../files`.
 * @returns null when it passes, else what differs.
 * @throws Unsupported for other formats
 */
export function runFilesItem(
  spec: FilesSpec | FolderSpec,
  expect: FilesExpectation | FolderExpectation,
  folder: string,
): string | null {
  if ("inputs" in spec) return runFolder(spec, expect as FolderExpectation, folder);
  return runFile(spec, expect as FilesExpectation, folder);
}

function runFile(spec: FilesSpec, expect: FilesExpectation, folder: string): string | null {
  const pth = spec.format === "pth" || spec.format === "pth-legacy";
  if (!pth && spec.format !== "safetensors") throw new Unsupported(`format ${spec.format}`);
  const path = join(folder, spec.file);
  if (expect.outcome === "rejected") return mustReject(path, pth, expect);
  const difference = pth
    ? compareValue(readPth(path), expect.value!)
    : (mustLoad(path, expect) ?? mustSave(spec, expect));
  return difference ?? mustFit(path, spec);
}

/**
 * Writes what an item's file must hold into a folder, under the item's id: for PyTorch to read.
 *
 * @returns the path, or null for an item whose file is no valid one
 */
export function writeFilesItem(spec: FilesSpec, expect: FilesExpectation, out: string): string | null {
  const { value, outcome, metadata } = expect;
  if (outcome !== "loaded" || value === undefined || !/^(pth|safetensors)/.test(spec.format)) return null;
  const path = join(out, spec.id);
  if (spec.format === "safetensors") {
    const dict = (value as GoldenTensors).$dict;
    const entries = dict.map(([name, { $tensor }]) => goldenEntry(name, $tensor));
    writeSafetensors(path, entries, new Map(Object.entries(metadata ?? {})));
  } else {
    writePth(path, goldenValue(value));
  }
  return path;
}

type GoldenTensors = { $dict: [name: string, value: { $tensor: StoredGoldenTensor }][] };

/** The value that {@link compareValue} compares with. */
function goldenValue(value: GoldenValue): PthValue {
  if (value === null || typeof value !== "object") return value;
  if ("$float" in value) return Number(value.$float.replace("inf", "Infinity"));
  if ("$tensor" in value) {
    const { dtype, shape, data } = goldenEntry("", value.$tensor);
    const requiresGrad = value.requires_grad ?? false;
    return wholeTensor(memoryStorage(dtype, data), dtype, shape, { requiresGrad, parameter: requiresGrad });
  }
  if ("$dict" in value)
    return new Map(value.$dict.map(([key, one]) => [goldenValue(key) as PthKey, goldenValue(one)]));
  const items = ("$tuple" in value ? value.$tuple : value.$list).map(goldenValue);
  return "$tuple" in value ? Object.freeze(items) : items;
}

/** Most that a refusal may take. */
const REFUSAL_SECONDS = 1;
const REFUSAL_BYTES = 200 * 2 ** 20;

function mustReject(path: string, pth: boolean, { why }: FilesExpectation): string | null {
  const before = process.memoryUsage().rss;
  const start = performance.now();
  try {
    if (pth) readPth(path);
    else loadSafetensors(path);
  } catch (error) {
    if (!(error instanceof SafetensorsError || error instanceof PthError))
      return `refused with an unexpected ${String(error)}`;
    const seconds = (performance.now() - start) / 1000;
    if (seconds > REFUSAL_SECONDS) return `refused after ${seconds.toFixed(1)} s`;
    const bytes = process.memoryUsage().rss - before;
    return bytes > REFUSAL_BYTES ? `refused after taking ${bytes} bytes of memory` : null;
  }
  return `loaded, but must be refused: ${why ?? "no reason given"}`;
}

/** The model that a file is of must take all of it. */
function mustFit(path: string, { model }: FilesSpec): string | null {
  if (model === undefined) return null;
  const report = String(build(model).loadStateDict(loadFile(path) as StateDict));
  return report === "<All keys matched successfully>" ? null : report;
}

function mustLoad(path: string, expect: FilesExpectation): string | null {
  const { metadata, entries } = loadSafetensors(path);
  const [got, wanted] = [Object.fromEntries(metadata), expect.metadata ?? {}];
  if (JSON.stringify(got) !== JSON.stringify(wanted)) {
    return `metadata: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`;
  }
  // A file's order is the writer's, not that of the dict that was saved: names decide.
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const dict = (expect.value as GoldenTensors).$dict;
  if (byName.size !== dict.length) return `expected ${dict.length} tensors, got ${byName.size}`;
  for (const [name, { $tensor }] of dict) {
    const entry = byName.get(name);
    if (entry === undefined) return `tensor ${name} is missing`;
    const wantedEntry = goldenEntry(name, $tensor);
    const [is, must] = [describe(entry), describe(wantedEntry)];
    if (is !== must) return `tensor ${name}: expected ${must}, got ${is}`;
    if (Buffer.compare(entry.data, wantedEntry.data) !== 0) return `tensor ${name}: other values`;
  }
  return null;
}

function mustSave({ save }: FilesSpec, { sha256 }: FilesExpectation): string | null {
  if (save === undefined) return null;
  const entries = save.tensors.map(([name, tensor]) => goldenEntry(name, tensor));
  const bytes = encodeSafetensors(entries, new Map(Object.entries(save.metadata ?? {})));
  const got = createHash("sha256").update(bytes).digest("hex");
  return got === sha256 ? null : `saved bytes: expected SHA-256 ${sha256}, got ${got}`;
}

/** Compares a value of a `.pth` file, bit for bit; answers the difference, or null. */
export function compareValue(got: PthValue, expected: GoldenValue, path = "value"): string | null {
  const differs = (what: string): string => `${path}: expected ${what}, got ${inspect(got, { depth: 1 })}`;
  if (expected === null || typeof expected !== "object")
    return got === expected ? null : differs(JSON.stringify(expected));
  if ("$float" in expected)
    return Object.is(got, Number(expected.$float.replace("inf", "Infinity")))
      ? null
      : differs(expected.$float);
  if ("$tensor" in expected) {
    if (!(got instanceof PthTensor)) return differs("a tensor");
    const [is, must] = [got.entry(path), goldenEntry(path, expected.$tensor)];
    if (describe(is) !== describe(must)) return differs(describe(must));
    if (got.requiresGrad !== (expected.requires_grad ?? false))
      return differs(`requires_grad ${!got.requiresGrad}`);
    return Buffer.compare(is.data, must.data) === 0 ? null : `${path}: other values`;
  }
  if ("$dict" in expected) {
    if (!(got instanceof Map)) return differs("a dict");
    const entries: [PthKey, PthValue][] = [...(got as ReadonlyMap<PthKey, PthValue>)];
    if (entries.length !== expected.$dict.length) return differs(`a dict of ${expected.$dict.length}`);
    return firstOf(
      entries.flatMap(([key, value], i) => {
        const [wantedKey, wanted] = expected.$dict[i]!;
        const at = `${path}[${JSON.stringify(wantedKey)}]`;
        return [compareValue(key, wantedKey, `${at} as a key`), compareValue(value, wanted, at)];
      }),
    );
  }
  const [items, tuple] = "$tuple" in expected ? [expected.$tuple, true] : [expected.$list, false];
  if (!Array.isArray(got) || isTuple(got) !== tuple || got.length !== items.length)
    return differs(`a ${tuple ? "tuple" : "list"} of ${items.length}`);
  return firstOf(items.map((item, i) => compareValue((got as PthValue[])[i]!, item, `${path}[${i}]`)));
}

const DTYPES: Record<string, EncodableDtype> = {
  float32: "F32",
  float64: "F64",
  float16: "F16",
  bfloat16: "BF16",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint8: "U8",
  bool: "BOOL",
};

function goldenEntry(name: string, tensor: StoredGoldenTensor): TensorEntry {
  const dtype = DTYPES[tensor.dtype];
  if (dtype === undefined) throw new Unsupported(`dtype ${tensor.dtype}`);
  const packed = tensor.b64raw ?? tensor.b64f32;
  const data =
    packed === undefined
      ? encodeElements(Float64Array.from(tensor.data!, Number), dtype)
      : Uint8Array.from(Buffer.from(packed, "base64"));
  return { name, dtype, shape: tensor.shape, data };
}

function describe({ dtype, shape }: { dtype: StoredDtype; shape: readonly number[] }): string {
  return `${dtype} [${shape.join(", ")}]`;
}
