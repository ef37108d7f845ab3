import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";

/** Queries to find a program; tests answer for each platform. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The first of `names` that is an executable on PATH (or an absolute path to one). Relative entries of PATH are skipped:
 * the folder that is open would choose the program, as Windows lets it for a bare name.
 */
export function findExecutable(
  names: readonly string[],
  { platform, env }: Surroundings = process,
): string | undefined {
  const windows = platform === "win32";
  const directories = (env["PATH"] ?? env["Path"] ?? "")
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder));
  for (const name of names) {
    const candidates = path.isAbsolute(name) ? [name] : directories.map((folder) => path.join(folder, name));
    for (const candidate of candidates) {
      const file = windows && path.extname(candidate) === "" ? `${candidate}.exe` : candidate;
      if (isExecutable(file)) return file;
    }
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
