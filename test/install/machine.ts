/** A machine without a compiler and build tools, as a PATH of few programs. */
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

/** This platform, as packages name it. */
export const TARGET = `${process.platform}-${process.arch}`;

/** The program of python3 itself; undefined if it has no pip. */
export const PYTHON = ((): string | undefined => {
  const script = "import pip, sys; print(sys.executable)";
  const { status, stdout } = spawnSync("python3", ["-c", script], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
})();

/** Why an installation can't be tested here. */
export const REASON =
  TARGET !== "linux-x64"
    ? `it compiles and loads on linux-x64 only; this is ${TARGET}`
    : PYTHON === undefined
      ? "there is no Python with pip"
      : undefined;

/** Where a program of this machine is. */
export const where = (name: string): string => execFileSync("which", [name], { encoding: "utf8" }).trim();

/** Makes a folder for PATH, with programs by their names there. */
export function programs(folder: string, names: Readonly<Record<string, string>>): void {
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, program] of Object.entries(names))
    fs.writeFileSync(path.join(folder, name), `#!/bin/sh\nexec "${program}" "$@"\n`, { mode: 0o755 });
}
