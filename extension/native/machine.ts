import os from "node:os";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Host, Machine } from "./cache.ts";

/** Memory in bytes below which a training may not fit: TensorFlow and Node take half a gigabyte before the first tensor. */
export const SCARCE_MEMORY = 2e9;

/** The oldest glibc that TensorFlow's wheels load on. */
const OLDEST_GLIBC = "2.27";

let known: Machine | undefined;

/** The host's machine: the one that a test passes, else this one. */
export const machineOf = (host: Host): Machine => host.machine ?? (known ??= thisMachine());

function thisMachine(): Machine {
  const limit = process.constrainedMemory();
  const total = os.totalmem();
  return {
    glibc: glibcVersion(),
    avx: hasAvx(),
    memory: limit > 0 && limit < total ? limit : total,
    ...(process.platform === "win32" && { msvc: hasMsvcRuntime() }),
    wsl: process.platform === "linux" && /microsoft/i.test(os.release()),
  };
}

function glibcVersion(): string | undefined {
  // Without this property of newer versions, the report would look up the names of all connected hosts.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime;
}

function hasAvx(): boolean | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1];
    return flags?.split(" ").includes("avx");
  } catch {
    return undefined;
  }
}

/** Whether Windows has the DLLs of Microsoft's C++ runtime that TensorFlow imports. */
function hasMsvcRuntime(): boolean {
  const folder = path.join(process.env["SystemRoot"] ?? "C:\\Windows", "System32");
  return ["msvcp140.dll", "vcruntime140.dll", "vcruntime140_1.dll"].every((name) =>
    existsSync(path.join(folder, name)),
  );
}

/** Whether the dotted version `a` comes before `b`. */
export const isOlder = (a: string, b: string): boolean => a.localeCompare(b, "en", { numeric: true }) < 0;

/** Why TensorFlow can't run on this machine, and what would help; undefined if it can. */
export function machineProblem(host: Host): { text: string; fix: string } | undefined {
  const { glibc, avx, msvc } = machineOf(host);
  if (host.platform === "linux" && glibc === undefined)
    return {
      text: "TensorFlow has no build for this Linux's C library.",
      fix: `Use a distribution with glibc ${OLDEST_GLIBC} or newer, such as Debian.`,
    };
  if (host.platform === "linux" && glibc !== undefined && isOlder(glibc, OLDEST_GLIBC))
    return {
      text: `TensorFlow needs glibc ${OLDEST_GLIBC} or newer; this Linux has ${glibc}.`,
      fix: "Upgrade the distribution.",
    };
  if (host.arch === "x64" && avx === false)
    return {
      text: "TensorFlow needs a processor with AVX; this one has none.",
      fix: "In a virtual machine, pass on the host's processor type.",
    };
  if (host.platform === "win32" && msvc === false)
    return {
      text: "TensorFlow needs Microsoft's Visual C++ runtime.",
      fix: "Install it: winget install Microsoft.VCRedist.2015+.x64",
    };
  return undefined;
}
