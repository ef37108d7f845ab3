// A file's imports as they were: at a commit, or when a run began. Nothing is checked out.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import type * as esbuild from "esbuild";
import * as v from "valibot";
import { readRunFileSync, runPathSync, writeRunFileSync } from "../../files/runFiles.ts";
import { checkedJson } from "../../files/json.ts";
import { readGit } from "../../processes/git.ts";
import { findExecutable } from "../../processes/programs.ts";
import type { VersionSource } from "../../protocol/preview.ts";
import { SOURCES_FILE } from "../../protocol/run.ts";
import { EngineError } from "../../protocol/errors.ts";

/** Texts of files that stand in place of those on the disk, by absolute path. */
export interface Version {
  has(file: string): boolean;
  text(file: string): Promise<string>;
}

/** Limits of what a run keeps of its imports: they are for reading, not a backup. */
const MOST_FILES = 200;
const LARGEST_FILE = 256 * 1024;
const LARGEST_ALL = 2 * 1024 * 1024;
/** A listing of a very large repository. */
const LARGEST_ANSWER = 256 * 1024 * 1024;

/** As esbuild's, in its order. */
const EXTENSIONS = [".tsx", ".ts", ".jsx", ".js", ".json"];
const LOADERS: Readonly<Record<string, esbuild.Loader>> = {
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
  ".jsx": "jsx",
  ".json": "json",
};
/** Source extensions that TypeScript resolves a written extension to. */
const WRITTEN_AS: Readonly<Record<string, readonly string[]>> = {
  ".js": [".ts", ".tsx"],
  ".jsx": [".ts", ".tsx"],
  ".mjs": [".mts"],
  ".cjs": [".cts"],
};

/** The version of a file's imports that a request names. */
export function openVersion(file: string, source: VersionSource): Promise<Version> {
  return source.kind === "git"
    ? gitVersion(file, source)
    : Promise.resolve(keptVersion(file, source.directory));
}

/** Makes a bundler take files from a version if it has them, and others from the disk. */
export function versionPlugin(version: Version): esbuild.Plugin {
  return {
    name: "version",
    setup(build) {
      // Files that are no longer on the disk are found too.
      build.onResolve({ filter: /^(?:\.{1,2}(?:\/|$)|\/|[A-Za-z]:)/, namespace: "file" }, (args) => {
        const wanted = path.resolve(args.resolveDir, args.path);
        const found = candidates(wanted).find((one) => version.has(one));
        return found === undefined ? undefined : { path: found };
      });
      build.onLoad({ filter: /.*/, namespace: "file" }, async (args) => {
        const loader = LOADERS[path.extname(args.path)];
        if (loader === undefined || isPackage(args.path) || !version.has(args.path)) return undefined;
        return { contents: await version.text(args.path), loader, resolveDir: path.dirname(args.path) };
      });
    },
  };
}

/** The files that an import of a path may mean. */
export function candidates(wanted: string): string[] {
  const extension = path.extname(wanted);
  const stem = wanted.slice(0, wanted.length - extension.length);
  return [
    wanted,
    ...EXTENSIONS.map((one) => wanted + one),
    ...(WRITTEN_AS[extension] ?? []).map((one) => stem + one),
    ...EXTENSIONS.map((one) => path.join(wanted, `index${one}`)),
  ];
}

export const isPackage = (file: string): boolean => file.split(path.sep).includes("node_modules");

const git = (command: string, folder: string, args: readonly string[]): Promise<string> =>
  readGit(command, folder, args, LARGEST_ANSWER);

/** A commit, and its texts of some files. */
export interface Committed {
  commit: string;
  /** Whether a file's text is the committed one, but for the ends of its lines. */
  same(file: string, text: string): boolean;
  has(file: string): boolean;
  /** Text of a file; "" if the commit doesn't have it. */
  text(file: string): Promise<string>;
}

/**
 * The commit that is checked out around a file.
 * @throws EngineError "git" outside of a repository, or without a commit
 */
export async function headOf(command: string, file: string, sources: readonly string[]): Promise<Committed> {
  const folder = path.dirname(file);
  const [commit = "", prefix = ""] = (
    await git(command, folder, ["rev-parse", "HEAD", "--show-prefix"])
  ).split("\n");
  // By names from the repository's root: none that leads out of it.
  const names = new Map(
    sources.flatMap((source) => {
      const name = path.posix.join(prefix, path.relative(folder, source).replaceAll(path.sep, "/"));
      return name.startsWith("../") || path.isAbsolute(name) ? [] : [[name, source] as const];
    }),
  );
  const listing =
    names.size === 0
      ? ""
      : await git(command, folder, [
          "--literal-pathspecs",
          "ls-tree",
          "-z",
          "--full-tree",
          commit,
          "--",
          ...names.keys(),
        ]);
  const blobs = new Map<string, string>();
  for (const line of listing.split("\0")) {
    const match = /^100\d{3} blob ([\da-f]+)\t(.*)$/s.exec(line);
    const source = match === null ? undefined : names.get(match[2]!);
    if (source !== undefined) blobs.set(source, match![1]!);
  }
  return {
    commit,
    has: (one) => blobs.has(one),
    same: (one, text) => {
      const blob = blobs.get(one);
      return (
        blob !== undefined &&
        [text, text.replaceAll("\r\n", "\n")].some((each) => blobHash(each, blob.length) === blob)
      );
    },
    text: async (one) => {
      const blob = blobs.get(one);
      return blob === undefined ? "" : git(command, folder, ["cat-file", "blob", blob]);
    },
  };
}

/** The name of a text as a git object. */
function blobHash(text: string, digits: number): string {
  const bytes = Buffer.from(text);
  return createHash(digits === 64 ? "sha256" : "sha1")
    .update(`blob ${bytes.length}\0`)
    .update(bytes)
    .digest("hex");
}

async function gitVersion(
  file: string,
  { git: name, revision }: VersionSource & { kind: "git" },
): Promise<Version> {
  const command = findExecutable([name]);
  if (command === undefined) throw new EngineError({ code: "git", message: `There is no program ${name}.` });
  const folder = path.dirname(file);
  // Not the top level's own path, which may be another through a link.
  const prefix = (await git(command, folder, ["rev-parse", "--show-prefix"])).replace(/\n$/, "");
  const root = path.resolve(folder, prefix.replaceAll(/[^/]+/g, ".."));
  const listing = await git(command, folder, ["ls-tree", "-r", "-z", "--full-tree", revision]);
  const blobs = new Map<string, string>();
  for (const line of listing.split("\0")) {
    const match = /^100\d{3} blob ([\da-f]+)\t(.*)$/s.exec(line);
    if (match !== null) blobs.set(path.join(root, match[2]!), match[1]!);
  }
  return {
    has: (one) => blobs.has(one),
    text: (one) => git(command, folder, ["cat-file", "blob", blobs.get(one)!]),
  };
}

/** Texts by their paths, relative to the file that imports them, with "/". */
const KeptSources = v.record(v.string(), v.string());

/** The imports that a run has kept of its file; an older run has kept none. */
function keptVersion(file: string, directory: string): Version {
  const texts = new Map<string, string>();
  try {
    const kept = readRunFileSync(directory, SOURCES_FILE, 4 * LARGEST_ALL);
    for (const [name, text] of Object.entries(checkedJson(SOURCES_FILE, kept, KeptSources)))
      texts.set(path.resolve(path.dirname(file), name), text);
  } catch {
    // Not there, or damaged: the imports are those on the disk.
  }
  return { has: (one) => texts.has(one), text: (one) => Promise.resolve(texts.get(one)!) };
}

/**
 * Keeps the sources that a file imports in its run's directory: those of its workspace, as far as they are small.
 * @param sources texts by absolute path; that of the file itself is left out
 */
export function keepImports(
  directory: string,
  file: string,
  sources: ReadonlyMap<string, string>,
  workspace: string,
): void {
  const kept = runPathSync(directory, SOURCES_FILE);
  const texts: Record<string, string> = {};
  let size = 0;
  for (const [source, text] of [...sources].slice(0, MOST_FILES)) {
    if (source === file || isPackage(source) || path.relative(workspace, source).startsWith("..")) continue;
    if (text.length > LARGEST_FILE || size + text.length > LARGEST_ALL) continue;
    size += text.length;
    texts[path.relative(path.dirname(file), source).replaceAll(path.sep, "/")] = text;
  }
  if (size === 0 || fs.existsSync(kept)) return;
  writeRunFileSync(directory, SOURCES_FILE, `${JSON.stringify(texts, null, 1)}\n`);
}
