import fs from "node:fs";
import { lstat } from "node:fs/promises";
import { basename, join } from "node:path";
import { NAME_PROBLEMS, nameProblem } from "../protocol/names.ts";
import { FileError, isMissing } from "./fileError.ts";

/** Whether a text is the name of a file in a folder here and nothing else: no path, no device, no hidden stream. */
export function isPlainName(name: string): boolean {
  if (name === "" || name === "." || name === ".." || /[/\\\0]/.test(name)) return false;
  if (process.platform !== "win32") return true;
  const problem = nameProblem(name);
  return problem === undefined || problem === "dot" || problem === "long";
}

/**
 * Checks the name of a file or folder that is to be made for the user: others copy it to other systems.
 * @throws FileError "name" for one that isn't a name on every system
 */
export function demandPortable(path: string): void {
  const problem = nameProblem(basename(path));
  if (problem !== undefined && problem !== "dot")
    throw new FileError(path, "name", `${NAME_PROBLEMS[problem]}; choose another one`);
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
