// The texts of a run that waits for its turn, as they were at the click: what is edited meanwhile belongs to the next run.
import { createRequire } from "node:module";
import { dirname, relative, resolve, sep } from "node:path";
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
  const texts = new Map<string, string>();
  let size = 0;
  for (const path of await importsOf(file)) {
    if (path === file || !isBelow(root, path) || path.split(sep).includes("node_modules")) continue;
    const found = await textOf(path, LARGEST_IMPORT);
    if (found === undefined || size + found.length > LARGEST_ALL) continue;
    size += found.length;
    texts.set(path, found);
    if (texts.size === MOST_FILES) break;
  }
  const imports = Object.fromEntries(
    Array.from(texts, ([path, one]) => [relative(dirname(file), path).replaceAll(sep, "/"), one]),
  );
  // The text last: with it, the version is whole.
  if (texts.size > 0) await writeRunFile(directory, SOURCES_FILE, `${JSON.stringify(imports, null, 1)}\n`);
  await writeRunFile(directory, SOURCE_FILE, text);
  return { ...request, version: directory };
}

const ASKED = {};

/** The files that a file imports, directly or not, by the bundler that the run uses: it knows the paths of a tsconfig.json. */
async function importsOf(file: string): Promise<ReadonlySet<string>> {
  const read = new Set<string>();
  // Loaded only now. Its work is done by a process of its own, which ends with this one.
  const { build } = createRequire(import.meta.url)("esbuild") as typeof import("esbuild");
  await build({
    entryPoints: [file],
    bundle: true,
    write: false,
    // The options that decide which files an import means.
    platform: "node",
    format: "esm",
    outdir: dirname(file),
    logLevel: "silent",
    plugins: [
      {
        name: "sources",
        setup(bundler) {
          bundler.onResolve({ filter: /^/ }, async ({ path, pluginData: asked, ...from }) => {
            if (asked === ASKED || /^layerwise(?:\/|$)/.test(path))
              return asked ? undefined : { external: true };
            const { errors } = await bundler.resolve(path, { ...from, pluginData: ASKED });
            // Left out, so that the other imports are followed: the run tells of what is missing.
            return errors.length === 0 ? undefined : { external: true };
          });
          bundler.onLoad({ filter: /^/, namespace: "file" }, ({ path }) => {
            read.add(resolve(path));
            return undefined;
          });
        },
      },
    ],
    // The run tells of syntax errors, too.
  }).catch(() => undefined);
  return read;
}

const textOf = (path: string, limit: number): Promise<string | undefined> =>
  readRegular(path, { limit }).then(
    (bytes) => bytes.toString("utf8"),
    () => undefined,
  );
