// Keeps the paths that runs were imported from in the user's cache folder: a record in a workspace may come from a stranger, and
// must not choose the files that are read.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { makeFolder } from "../../files/folders.ts";
import { writeAtomicAsync } from "../../files/writeAtomic.ts";
import { cacheDirectory } from "../../native/cache.ts";

const fileOf = (imported: string): string =>
  path.join(cacheDirectory(), "imports", createHash("sha256").update(path.resolve(imported)).digest("hex"));

/** Remembers that the user has imported what is at a path or below it. */
export async function rememberImport(imported: string): Promise<void> {
  const file = fileOf(imported);
  await makeFolder(path.dirname(file));
  await writeAtomicAsync(file, [Buffer.from(`${path.resolve(imported)}\n`)]);
}

/** Whether the user has imported what is at a path, or at one above it. */
export function wasImported(from: string): boolean {
  for (let at = path.resolve(from); ; at = path.dirname(at)) {
    if (existsSync(fileOf(at))) return true;
    if (at === path.dirname(at)) return false;
  }
}
