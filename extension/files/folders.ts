// Folders that may be missing. Node's own recursive mkdir never returns where the system has the folder above but makes nothing in it, as
// in /proc, and says "ENOENT" for a file system that is read-only.
import { mkdirSync, statSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** More than one, as another process may remove an empty folder, or make the one above, in between. */
const TRIES = 3;
const EVERYONE = 0o777;

/**
 * Makes a folder, and those above it that are missing. It may exist, and be a link to one.
 * @param mode of what is made, less the user's mask
 * @throws the file system's error for the first that can't be made
 */
export async function makeFolder(folder: string, mode = EVERYONE): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await mkdir(folder, { mode });
    } catch (error) {
      if (await isFolder(folder)) return;
      if (!mayLackOneAbove(error, folder) || tries === TRIES) throw error;
    }
    await makeFolder(dirname(folder), mode);
  }
}

/** Like {@link makeFolder}, for code that may block. */
export function makeFolderSync(folder: string, mode = EVERYONE): void {
  for (let tries = 1; ; tries++) {
    try {
      return mkdirSync(folder, { mode });
    } catch (error) {
      if (isFolderSync(folder)) return;
      if (!mayLackOneAbove(error, folder) || tries === TRIES) throw error;
    }
    makeFolderSync(dirname(folder), mode);
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );

function isFolderSync(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** The root of a drive that isn't there has nothing above it. */
const mayLackOneAbove = (error: unknown, folder: string): boolean =>
  (error as NodeJS.ErrnoException).code === "ENOENT" && dirname(folder) !== folder;
