import path from "node:path";
import { findExecutable } from "../../processes/programs.ts";
import type { Host } from "../cache.ts";

export { findExecutable };

/** A program that downloads wheels, with the user's own configuration of index, proxy and certificates. */
export interface Downloader {
  kind: "pip" | "uv";
  command: string;
  /** Its first arguments. */
  args: readonly string[];
}

/** The arguments that start the Python of a downloader that is a module of it; undefined for a program of its own. */
export function pythonArgs({ args }: Downloader): readonly string[] | undefined {
  const [flag, name] = args.slice(-2);
  return flag === "-m" && name === "pip" ? args.slice(0, -2) : undefined;
}

/** Finds the programs that may be able to download wheels, in the order in which they are tried: pip first, since it shows progress. */
export function findDownloaders(host: Host): Downloader[] {
  const pip = (command: string, ...args: string[]): Downloader => ({ kind: "pip", command, args });
  const uv = findExecutable(["uv"], host);
  const own = findExecutable(["pip3", "pip"], host);
  return [
    ...findPythons(host).map(([command, ...args]) => pip(command, ...args, "-m", "pip")),
    ...(own === undefined ? [] : [pip(own)]),
    ...(uv === undefined ? [] : [{ kind: "uv", command: uv, args: [] } as const]),
  ];
}

/** Pythons with the arguments that start them: of the environment that is active, then those on PATH. */
export function findPythons(host: Host): [command: string, ...args: string[]][] {
  const windows = host.platform === "win32";
  const active = [host.env["VIRTUAL_ENV"], host.env["CONDA_PREFIX"]].flatMap((folder) => {
    if (!folder) return [];
    const names = windows ? ["Scripts/python.exe", "python.exe"] : ["bin/python3", "bin/python"];
    return names.map((name) => path.join(folder, name));
  });
  const found = [...active, "python3", "python"].flatMap((name) => findExecutable([name], host) ?? []);
  const launcher = windows ? findExecutable(["py"], host) : undefined;
  return [
    ...[...new Set(found)].map((command): [string] => [command]),
    ...(launcher === undefined ? [] : [[launcher, "-3"] as [string, string]]),
  ];
}

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

const PYTHON: { linux: string; [platform: string]: string } = {
  linux: "Python 3 with pip (packages python3 and python3-pip), or uv",
  darwin: "Python 3 with pip (xcode-select --install), or uv",
  win32: "Python 3 (winget install Python.Python.3.12), or uv",
};

const COMPILER: { linux: string; [platform: string]: string } = {
  linux: "a C++ compiler (package g++)",
  darwin: "a C++ compiler (xcode-select --install)",
  // On Windows, only a prebuilt binding serves.
  win32: "Layerwise from its VSIX or npm package, which ship the binding",
};

/** Returns which of Python and a compiler is not on PATH. Whether that Python has pip is known only when it runs. */
export function toolsNotFound(host: Host): MissingTool[] {
  const missing: MissingTool[] = [];
  if (findDownloaders(host).length === 0)
    missing.push({ tool: "python", text: PYTHON[host.platform] ?? PYTHON.linux });
  if (host.platform === "win32" || findCompiler(host) === undefined)
    missing.push({ tool: "compiler", text: COMPILER[host.platform] ?? COMPILER.linux });
  return missing;
}
