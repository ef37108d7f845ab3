import { lstat, mkdir, realpath } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { makeFolder } from "../../files/folders.ts";
import { EngineError } from "../../protocol/errors.ts";

/**
 * Makes the folder that programs and runs go to on a machine. Its name may be public, so another user may have made it, or a link of that
 * name: a user who can write in it chooses the programs that this user runs.
 * @returns its path without links
 * @throws EngineError "remote-disk" for a folder or a link of another user, or a folder in which others can write
 */
export async function ownFolder(folder: string): Promise<string> {
  const refuse = (problem: string): never => {
    throw new EngineError({
      code: "remote-disk",
      message: `${folder} on ${hostname()} ${problem}.`,
      hint: `Name another folder as the target's "folder", or take it from others there: chmod go-w ${folder}`,
    });
  };
  const user = process.getuid?.();
  await makeFolder(dirname(folder));
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const link = await lstat(folder);
  // Home folders may have links to larger disks, which the administrator may have made.
  if (link.isSymbolicLink() && user !== undefined && link.uid !== user && link.uid !== 0)
    refuse("is a link of another user");
  const path = await realpath(folder);
  const stats = await lstat(path);
  if (!stats.isDirectory()) refuse("is no folder");
  if (user !== undefined && stats.uid !== user) refuse("is another user's");
  if (user !== undefined && (stats.mode & 0o022) !== 0) refuse("can be written by others");
  return path;
}
