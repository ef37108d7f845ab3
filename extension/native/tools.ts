import { findExecutable } from "../processes/programs.ts";
import type { Host } from "./cache.ts";

export { findExecutable };

export const findPython = (host: Host): string | undefined => findExecutable(["python3", "python"], host);

export const findPip = (host: Host): string | undefined => findExecutable(["pip3", "pip"], host);

/** Finds the compiler: CXX of the environment if it names one program, else the usual names. */
export function findCompiler(host: Host): string | undefined {
  const chosen = host.env["CXX"];
  return findExecutable([...(chosen ? [chosen] : []), "g++", "c++", "clang++"], host);
}

export interface MissingTool {
  tool: "python" | "compiler";
  /** What to install on this platform. */
  text: string;
}

/** Returns which of Python and a compiler is not on PATH. Whether that Python has pip is known only when it runs. */
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
