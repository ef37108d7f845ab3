// Shared parts of the interoperability checks: a folder, Python, and files compared by the hashes of their tensors.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { PthTensor, readPth, type PthValue } from "../../extension/formats/pth/pth.ts";
import { TORCH_DTYPES } from "../../extension/formats/pth/pthObjects.ts";
import { loadSafetensors } from "../../extension/formats/safetensors/safetensors.ts";
import type { TensorEntry } from "../../extension/formats/tensorData.ts";

const [interpreter = "python3", here = ".", fixtures = "."] = process.argv.slice(2);
export { fixtures };
export const folder = mkdtempSync(path.join(tmpdir(), "layerwise-interop-"));
export const counts = { passed: 0, failed: 0 };

export function check(name: string, problem: string | undefined): void {
  if (problem === undefined) counts.passed++;
  else counts.failed++;
  process.stdout.write(
    `${problem === undefined ? "ok  " : "FAIL"} ${name}${problem === undefined ? "" : `: ${problem}`}\n`,
  );
}

export function inFolder(name: string): string {
  const made = path.join(folder, name);
  mkdirSync(made, { recursive: true });
  return made;
}

/** Runs a command of torch_side.py to its end. */
export async function python(
  command: string,
  where: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn(interpreter, [path.join(here, "torch_side.py"), command, where, fixtures], {
    stdio: "inherit",
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", TQDM_DISABLE: "1", ...env },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`torch_side.py ${command} ended with ${code}`);
}

export const json = (...names: string[]): unknown => JSON.parse(readFileSync(path.join(...names), "utf8"));

export const writeJson = (value: unknown, ...names: string[]): void =>
  writeFileSync(path.join(...names), JSON.stringify(value));

/** Type, shape and SHA-256 of each tensor. */
export type Digests = Record<string, [dtype: string, shape: number[], sha256: string]>;

const TORCH_NAMES = new Map(Object.entries(TORCH_DTYPES).map(([name, dtype]) => [dtype, name]));

function digestOf({ dtype, shape, data }: TensorEntry): Digests[string] {
  return [TORCH_NAMES.get(dtype) ?? dtype, [...shape], createHash("sha256").update(data).digest("hex")];
}

function digests(value: PthValue, at = ""): Digests {
  if (value instanceof PthTensor) return { [at]: digestOf(value.entry(at)) };
  const items: [unknown, PthValue][] =
    value instanceof Map ? [...value] : Array.isArray(value) ? [...(value as PthValue[]).entries()] : [];
  return Object.assign({}, ...items.map(([key, one]) => digests(one, `${at}/${String(key)}`))) as Digests;
}

export function digestsOfFile(file: string): Digests {
  if (!file.endsWith(".safetensors")) return digests(readPth(file));
  return Object.fromEntries(
    loadSafetensors(file).entries.map((entry) => [`/${entry.name}`, digestOf(entry)]),
  );
}

export function difference(got: Digests, wanted: Digests | string): string | undefined {
  if (typeof wanted === "string") return wanted;
  const names = new Set([...Object.keys(got), ...Object.keys(wanted)]);
  for (const name of names)
    if (JSON.stringify(got[name]) !== JSON.stringify(wanted[name]))
      return `${name}: Layerwise has ${JSON.stringify(got[name])}, Python ${JSON.stringify(wanted[name])}`;
  return names.size === 0 ? "there are no tensors" : undefined;
}
