import { createHash } from "node:crypto";
import { lstatSync, readdirSync, type Dirent } from "node:fs";
import path from "node:path";
import { DEEPEST, ForeignError, MOST_ENTRIES } from "./limits.ts";

/** Folders that hold no runs of other tools. */
const SKIPPED: ReadonlySet<string> = new Set(["node_modules", ".git", ".layerwise", "artifacts"]);

/** Reads folders below one, without following links, up to a number of entries in all. */
export class FolderReader {
  #left = MOST_ENTRIES;

  /** The entries of a folder by name. @throws ForeignError when there are too many in all */
  entries(folder: string): Dirent[] {
    const entries = readdirSync(folder, { withFileTypes: true });
    this.#left -= entries.length;
    if (this.#left < 0)
      throw new ForeignError(
        folder,
        `more than ${MOST_ENTRIES.toLocaleString("en-US")} files and folders; choose a folder with fewer`,
      );
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Visits a folder and those below it, each with its entries. Returning false leaves out what is below. */
  walk(folder: string, visit: (folder: string, entries: Dirent[]) => boolean, depth = 0): void {
    const entries = this.entries(folder);
    if (!visit(folder, entries) || depth >= DEEPEST) return;
    for (const entry of entries)
      if (entry.isDirectory() && !SKIPPED.has(entry.name))
        this.walk(path.join(folder, entry.name), visit, depth + 1);
  }

  /** Regular files below a folder, by their paths from there, with "/" between names. */
  files(folder: string): string[] {
    const found: string[] = [];
    this.walk(folder, (at, entries) => {
      for (const entry of entries)
        if (entry.isFile())
          found.push(path.relative(folder, path.join(at, entry.name)).split(path.sep).join("/"));
      return true;
    });
    return found;
  }
}

/** @throws ForeignError for what is neither a regular file nor a folder; the file system's error */
export function kindOf(file: string): "file" | "folder" {
  const stats = lstatSync(file);
  if (stats.isDirectory()) return "folder";
  if (stats.isFile()) return "file";
  throw new ForeignError(
    file,
    stats.isSymbolicLink() ? "a symbolic link, which is not followed" : "neither a file nor a folder",
  );
}

/** A file's length; 0 for one that is gone. */
export const bytesOf = (file: string): number => lstatSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Which version of files there is, and when one was last written, in milliseconds since 1970. */
export function versionOf(files: readonly string[]): { version: string; writtenAt: number } {
  const hash = createHash("sha256");
  let writtenAt = 0;
  for (const file of files) {
    const stats = lstatSync(file, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    hash.update(`${file}\n${stats.size} ${stats.mtimeMs}\n`);
    writtenAt = Math.max(writtenAt, stats.mtimeMs);
  }
  return { version: hash.digest("base64"), writtenAt };
}
