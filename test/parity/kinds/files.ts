import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  encodeSafetensors,
  loadSafetensors,
  SafetensorsError,
} from "../../../extension/formats/safetensors.ts";
import {
  type EncodableDtype,
  encodeElements,
  type StoredDtype,
  type TensorEntry,
} from "../../../extension/formats/tensorData.ts";
import { Unsupported } from "../format.ts";

/** A tensor of the golden files, as far as kind `files` uses them. */
export interface StoredGoldenTensor {
  dtype: string;
  shape: number[];
  data?: (number | boolean | string)[];
  b64f32?: string;
  b64raw?: string;
}

export interface FilesSpec {
  id: string;
  /** Below the folder of the kind. */
  file: string;
  format: string;
  /** Saving these tensors must give the bytes of the file. */
  save?: { tensors: [name: string, tensor: StoredGoldenTensor][]; metadata: Record<string, string> | null };
}

export interface FilesExpectation {
  id: string;
  outcome?: string;
  why?: string;
  value?: { $dict: [name: string, value: { $tensor: StoredGoldenTensor }][] };
  metadata?: Record<string, string> | null;
  sha256?: string;
}

/**
 * Runs an item of kind `files`.
 *
 * @param folder The folder of the kind, `.../files`.
 * @returns null when it passes, else what differs.
 * @throws Unsupported for formats other than safetensors.
 */
export function runFilesItem(spec: FilesSpec, expect: FilesExpectation, folder: string): string | null {
  if (spec.format !== "safetensors") throw new Unsupported(`format ${spec.format}`);
  const path = join(folder, spec.file);
  if (expect.outcome === "rejected") return mustReject(path, expect);
  return mustLoad(path, expect) ?? mustSave(spec, expect);
}

function mustReject(path: string, { why }: FilesExpectation): string | null {
  try {
    loadSafetensors(path);
  } catch (error) {
    if (error instanceof SafetensorsError) return null;
    return `refused with an unexpected ${String(error)}`;
  }
  return `loaded, but must be refused: ${why ?? "no reason given"}`;
}

function mustLoad(path: string, expect: FilesExpectation): string | null {
  const { metadata, entries } = loadSafetensors(path);
  const [got, wanted] = [Object.fromEntries(metadata), expect.metadata ?? {}];
  if (JSON.stringify(got) !== JSON.stringify(wanted)) {
    return `metadata: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`;
  }
  // A file's order is the writer's, not that of the dict that was saved: names decide.
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const dict = expect.value!.$dict;
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
