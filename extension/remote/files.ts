// Finds the files to send to another machine: Layerwise's own programs, and a program's data.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { EngineError } from "../protocol/errors.ts";

/** A file to send, by its path there. */
export interface LocalFile {
  /** Relative, with "/". */
  path: string;
  /** Its content: a file here, or a text. */
  from: { file: string } | { text: string };
  size: number;
}

/** Most files of a project. */
const MOST_FILES = 100_000;
/** Most bytes of a project's files, unless the user allows more. */
export const SEND_LIMIT = 2 ** 30;

/** Files that a run on another machine needs: no views, no previews, and no esbuild binary of this platform. */
const PACKAGE = [
  "package.json",
  "dist/cli.cjs",
  "dist/cli.js",
  "dist/runEngine.cjs",
  "dist/runEngine.js",
  "dist/watchdogWorker.js",
  "dist/readingThread.js",
  "dist/hubDownload.js",
  "dist/tfjs.cjs",
  "dist/remoteAgent.cjs",
  "dist/wasm",
  "dist/native",
  "dist/node_modules/esbuild/package.json",
  "dist/node_modules/esbuild/lib/main.js",
  "media/data",
] as const;

/** The files of this version that a run elsewhere needs. @param dist the folder of its programs */
export async function packageFiles(dist: string): Promise<LocalFile[]> {
  const root = path.dirname(dist);
  const files: LocalFile[] = [];
  for (const name of PACKAGE)
    // The folder of programs may have another name than "dist".
    await collect(
      name.startsWith("dist/") ? path.join(dist, name.slice(5)) : path.join(root, name),
      name,
      files,
      [],
    );
  return files;
}

async function collect(file: string, name: string, files: LocalFile[], left: string[]): Promise<void> {
  const stats = await lstat(file);
  if (stats.isFile()) {
    if (files.length >= MOST_FILES)
      throw new EngineError({
        code: "remote-files",
        message: `More than ${MOST_FILES.toLocaleString("en")} files would be sent: ${name} and others.`,
        hint: "Put large data on the machine yourself, and name it in the program by its absolute path there.",
      });
    files.push({ path: name, from: { file }, size: stats.size });
  } else if (stats.isDirectory()) {
    for (const entry of (await readdir(file)).sort())
      if (!isPrivate(entry)) await collect(path.join(file, entry), `${name}/${entry}`, files, left);
  } else left.push(name);
}

/** Hidden files hold settings and secrets, and packages are in the bundle. */
const isPrivate = (name: string): boolean => name.startsWith(".") || name === "node_modules";

/** String literals in a source that may name a file: on one line. */
const TEXTS = /"([^"\\\n]{1,500})"|'([^'\\\n]{1,500})'|`([^`\\$\n]{1,500})`/g;

export interface Project {
  /** The folder that paths are relative to. */
  root: string;
  /** The `.nn.ts` file, and the files of the workspace that it imports. */
  sources: readonly string[];
  /** Paths that the user has named. */
  send: readonly string[];
  limit: number;
}

export interface ProjectFiles {
  files: LocalFile[];
  /** Paths that were left out because they are no regular files: links, devices. */
  left: string[];
}

/**
 * Finds the files that a program reads: those whose names its sources contain, relative to the `.nn.ts` file or to the
 * project's folder, and those that the user has named. Code is sent as a bundle.
 * @throws EngineError "remote-files" if they are too large
 */
export async function projectFiles({ root, sources, send, limit }: Project): Promise<ProjectFiles> {
  const named = new Set<string>();
  const folder = path.dirname(sources[0] ?? root);
  for (const source of sources)
    for (const match of (await readFile(source, "utf8")).matchAll(TEXTS)) {
      const text = (match[1] ?? match[2] ?? match[3] ?? "").trim();
      for (const base of new Set([folder, root])) {
        const name = below(root, path.resolve(base, text));
        // "." and the folder of the program itself are no data.
        const around =
          below(path.join(root, name ?? ""), folder) !== undefined || path.join(root, name ?? "") === folder;
        if (name !== undefined && !around && !name.split("/").some(isPrivate)) named.add(name);
      }
    }
  for (const one of send) {
    const name = below(root, path.resolve(root, one));
    if (name === undefined)
      throw new EngineError({
        code: "remote-files",
        message: `${one} can't be sent: it is not below the project's folder ${root}.`,
      });
    named.add(name);
  }
  const files: LocalFile[] = [];
  const left: string[] = [];
  const code = new Set(sources);
  for (const name of [...named].sort()) {
    const file = path.join(root, name);
    if (code.has(file) || files.some((one) => one.path === name || one.path.startsWith(`${name}/`))) continue;
    // A linked folder may lead out of the project.
    if (await isReached(root, name)) await collect(file, name, files, left);
    else if (send.includes(name))
      throw new EngineError({ code: "remote-files", message: `There is no ${name} to send.` });
  }
  const unique = [...new Map(files.map((one) => [one.path, one])).values()];
  demandSize(unique, limit);
  return { files: unique, left };
}

/** The path from a folder, with "/"; undefined for a file that is not below it. */
function below(root: string, file: string): string | undefined {
  const way = path.relative(root, file);
  if (way === "" || way === ".." || way.startsWith(`..${path.sep}`) || path.isAbsolute(way)) return undefined;
  return way.split(path.sep).join("/");
}

async function isReached(root: string, name: string): Promise<boolean> {
  let at = root;
  try {
    for (const part of name.split("/")) {
      at = path.join(at, part);
      if ((await lstat(at)).isSymbolicLink()) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function demandSize(files: readonly LocalFile[], limit: number): void {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  if (total <= limit) return;
  const largest = files.toSorted((a, b) => b.size - a.size).slice(0, 3);
  throw new EngineError({
    code: "remote-files",
    message: `The program's files have ${megabytes(total)}, more than the limit of ${megabytes(limit)}. The largest: ${largest
      .map(({ path: name, size }) => `${name} (${megabytes(size)})`)
      .join(", ")}.`,
    hint: "Put large data on the machine yourself and name it by its absolute path there, or raise the limit with --send-limit.",
  });
}

export const megabytes = (bytes: number): string =>
  bytes < 1e5
    ? `${(bytes / 1e3).toFixed(1)} kB`
    : bytes < 1e9
      ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`
      : `${(bytes / 1e9).toFixed(1)} GB`;

/** The SHA-256 of a file's content. */
export async function hashOf({ from }: LocalFile): Promise<string> {
  const hash = createHash("sha256");
  if ("text" in from) return hash.update(from.text).digest("hex");
  for await (const bytes of createReadStream(from.file)) hash.update(bytes as Buffer);
  return hash.digest("hex");
}
