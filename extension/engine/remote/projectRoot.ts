import fs from "node:fs";
import path from "node:path";
import { rootOfRun } from "../../files/runFiles.ts";
import type { RunRequest } from "../../protocol/engine.ts";

/** The folder of a run's project: that of its workspace, if the file is in it, else the file's own. */
export function projectRoot({ directory, file }: RunRequest): string {
  const root = rootOfRun(directory) === path.resolve(directory) ? process.cwd() : rootOfRun(directory);
  const way = path.relative(root, file);
  return way.startsWith("..") || path.isAbsolute(way) || !fs.existsSync(root) ? path.dirname(file) : root;
}
