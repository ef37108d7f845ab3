// The texts of a run that waits for its turn, as they were at the click: what is edited meanwhile belongs to the next run.
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { readRegular } from "../../files/regular.ts";
import { rootOfRun, writeRunFile } from "../../files/runFiles.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import { SOURCE_FILE, SOURCES_FILE } from "../../protocol/run.ts";
import { demandTrust } from "../trust.ts";
import { isBelow } from "./sourceFile.ts";

/** Limits of what is kept, as of a run's own sources: what is larger is read when the run begins. */
const LARGEST_SOURCE = 2 * 2 ** 20;
const LARGEST_IMPORT = 256 * 1024;
const LARGEST_ALL = 2 * 2 ** 20;
const MOST_FILES = 200;

const IMPORT = /\b(?:from|import|require)\s*\(?\s*["'](\.{1,2}\/[^"'\n]*)["']/g;
const EXTENSIONS = [".tsx", ".ts", ".jsx", ".js", ".json"];
/** Source extensions that TypeScript resolves a written extension to. */
const WRITTEN_AS: Readonly<Record<string, readonly string[]>> = {
  ".js": [".ts", ".tsx"],
  ".jsx": [".ts", ".tsx"],
  ".mjs": [".mts"],
  ".cjs": [".cts"],
};

/**
 * Keeps a run's file and its imports in the run's directory, from where the run reads them.
 * @returns the request with that version, or unchanged if it names one already or the file can't be read
 */
export async function keepForTurn(request: RunRequest): Promise<RunRequest> {
  demandTrust();
  const { file, directory, version, on } = request;
  if (version !== undefined || on !== undefined) return request;
  const text = await textOf(file, LARGEST_SOURCE);
  if (text === undefined) return request;
  const own = rootOfRun(directory);
  const root = own === resolve(directory) ? dirname(file) : own;
  const texts = new Map<string, string>([[file, text]]);
  let size = 0;
  for (const [importer, source] of texts) {
    for (const [, name] of source.matchAll(IMPORT)) {
      if (texts.size > MOST_FILES) break;
      const found = await firstText(resolve(dirname(importer), name!), root);
      if (found === undefined || texts.has(found.path) || size + found.text.length > LARGEST_ALL) continue;
      size += found.text.length;
      texts.set(found.path, found.text);
    }
  }
  texts.delete(file);
  const imports = Object.fromEntries(
    Array.from(texts, ([path, one]) => [relative(dirname(file), path).replaceAll(sep, "/"), one]),
  );
  // The text last: with it, the version is whole.
  if (texts.size > 0) await writeRunFile(directory, SOURCES_FILE, `${JSON.stringify(imports, null, 1)}\n`);
  await writeRunFile(directory, SOURCE_FILE, text);
  return { ...request, version: directory };
}

/** The file that an import names, if it is a source of the workspace. */
async function firstText(wanted: string, root: string): Promise<{ path: string; text: string } | undefined> {
  const extension = extname(wanted);
  const stem = wanted.slice(0, wanted.length - extension.length);
  const candidates = [
    wanted,
    ...EXTENSIONS.map((one) => wanted + one),
    ...(WRITTEN_AS[extension] ?? []).map((one) => stem + one),
    ...EXTENSIONS.map((one) => join(wanted, `index${one}`)),
  ];
  for (const path of candidates) {
    if (!isBelow(root, path) || path.split(sep).includes("node_modules") || !extname(basename(path)))
      continue;
    const text = await textOf(path, LARGEST_IMPORT);
    if (text !== undefined) return { path, text };
  }
  return undefined;
}

const textOf = (path: string, limit: number): Promise<string | undefined> =>
  readRegular(path, { limit }).then(
    (bytes) => bytes.toString("utf8"),
    () => undefined,
  );
