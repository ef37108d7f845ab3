import fs from "node:fs";
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { FileError, isMissing } from "./fileError.ts";

/** Names that Windows keeps for devices, with any extension. */
const DEVICES = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/** Whether a text is the name of a file in a folder and nothing else: no path, no device, no hidden stream. */
export function isPlainName(name: string): boolean {
  if (name === "" || name === "." || name === ".." || /[/\\\0]/.test(name)) return false;
  return process.platform !== "win32" || !(/[:*?"<>|]/.test(name) || DEVICES.test(name));
}

/** The parts of relative paths. @throws FileError "outside" when one is no plain name */
function partsOf(root: string, names: readonly string[]): string[] {
  const parts = names.flatMap((name) => name.split("/"));
  for (const part of parts)
    if (!isPlainName(part))
      throw new FileError(root, "outside", `${JSON.stringify(names.join("/"))} is not a path inside of it`);
  return parts;
}

/** @throws FileError "link" */
function demandNoLink(path: string, stats: fs.Stats): void {
  if (stats.isSymbolicLink())
    throw new FileError(path, "link", "a symbolic link stands there, which is not followed");
}

/**
 * Gives the path of something below a folder that is to be read, written or deleted. The folder itself may be reached
 * through links; below it there are none.
 *
 * @param names names, or relative paths with "/" between names
 * @throws FileError "outside" for a path that leaves the folder, "link" for a link on the way or at its end
 */
export async function inside(root: string, ...names: string[]): Promise<string> {
  let path = root;
  let there = true;
  for (const part of partsOf(root, names)) {
    path = join(path, part);
    if (!there) continue;
    try {
      demandNoLink(path, await lstat(path));
    } catch (error) {
      if (!isMissing(error)) throw error;
      there = false;
    }
  }
  return path;
}

/** Like {@link inside}, for code that may block. */
export function insideSync(root: string, ...names: string[]): string {
  let path = root;
  let there = true;
  for (const part of partsOf(root, names)) {
    path = join(path, part);
    if (!there) continue;
    try {
      demandNoLink(path, fs.lstatSync(path));
    } catch (error) {
      if (!isMissing(error)) throw error;
      there = false;
    }
  }
  return path;
}
