import path from "node:path";
import { FOLDERS_VARIABLE } from "../../protocol/engine.ts";

/** Of an editor's window; none on the command line, whose working directory is its user's choice. */
const folders: readonly string[] = JSON.parse(process.env[FOLDERS_VARIABLE] ?? "[]") as string[];

/** Makes the workspace folder that has a file the working directory, which it is in an editor's terminals too. */
export function enterFolderOf(file: string): void {
  const [folder] = folders
    .filter((one) => {
      const way = path.relative(one, file);
      return !way.startsWith("..") && !path.isAbsolute(way);
    })
    .toSorted((a, b) => b.length - a.length);
  if (folder === undefined || folder === process.cwd()) return;
  try {
    process.chdir(folder);
  } catch {
    // It is gone; the file was read before, or its text is the editor's.
  }
}
