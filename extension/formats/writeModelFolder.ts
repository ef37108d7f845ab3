import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { FileError } from "../files/fileError.ts";
import { RUN_FILE } from "../protocol/run.ts";
import { temporaryName } from "../protocol/temporaryFiles.ts";
import { writeAtomic } from "../files/writeAtomic.ts";

/** A file of a folder. */
export interface NamedFile {
  readonly name: string;
  readonly chunks: readonly Uint8Array[];
}

/** Weights are named by what is in them: none is ever another model's. */
const WEIGHTS = /^weights-[0-9a-f]{12}-\d+of\d+\.bin$/;

/**
 * Writes a model's folder so that a reader or a crash sees either the old model or the whole new one: into a temporary
 * folder beside it. Other files of the folder stay.
 *
 * @param files weights, then the file that names them
 * @returns bytes in all
 * @throws FileError for a link or a run; the error of the file system; the temporary folder is gone then.
 */
export function writeModelFolder(path: string, files: readonly NamedFile[]): number {
  const temporary = join(dirname(path), temporaryName(basename(path), randomBytes(6).toString("hex")));
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true)
    throw new FileError(path, "link", "a symbolic link stands there, which is not followed");
  if (existsSync(join(path, RUN_FILE)))
    throw new FileError(path, "outside", "a run is kept there, which is no place for a model");
  try {
    mkdirSync(temporary);
    for (const { name, chunks } of files) writeAtomic(join(temporary, name), chunks);
    if (existsSync(path)) {
      for (const { name } of files) renameSync(join(temporary, name), join(path, name));
      for (const name of readdirSync(path))
        if (WEIGHTS.test(name) && !files.some((file) => file.name === name)) rmSync(join(path, name));
    } else renameSync(temporary, path);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return files.flatMap(({ chunks }) => chunks).reduce((bytes, { length }) => bytes + length, 0);
}
