import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import type { Host } from "./cache.ts";

/**
 * The first of `names` that is an executable on PATH (or an absolute path to one). Relative entries of PATH are skipped:
 * the folder that is open would choose the program.
 */
export function findExecutable(names: readonly string[], host: Host): string | undefined {
  const windows = host.platform === "win32";
  const directories = (host.env["PATH"] ?? host.env["Path"] ?? "")
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

export const findPython = (host: Host): string | undefined => findExecutable(["python3", "python"], host);

export const findPip = (host: Host): string | undefined => findExecutable(["pip3", "pip"], host);

/** CXX of the environment if it names one program, else the usual names. */
export function findCompiler(host: Host): string | undefined {
  const chosen = host.env["CXX"];
  return findExecutable([...(chosen ? [chosen] : []), "g++", "c++", "clang++"], host);
}

export interface MissingTool {
  tool: "python" | "compiler";
  /** What to install, in the words of the platform. */
  text: string;
}

/** Which of Python and a compiler isn't on PATH. Whether that Python has pip shows only when it is run. */
export function toolsNotFound(host: Host): MissingTool[] {
  const mac = host.platform === "darwin";
  const missing: MissingTool[] = [];
  if (findPython(host) === undefined && findPip(host) === undefined)
    missing.push({
      tool: "python",
      text: "Python 3 with pip" + (mac ? "" : " (packages python3 and python3-pip)"),
    });
  if (findCompiler(host) === undefined)
    missing.push({
      tool: "compiler",
      text: "a C++ compiler " + (mac ? "(xcode-select --install)" : "(package g++)"),
    });
  return missing;
}
