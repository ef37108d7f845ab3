import os from "node:os";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Host, Machine, NvidiaDriver } from "./cache.ts";

/** Memory in bytes that TensorFlow and Node take before the first tensor. */
export const OWN_MEMORY = 0.5e9;

/** Memory in bytes below which a training may not fit. */
export const SCARCE_MEMORY = 2e9;

/** The oldest glibc that TensorFlow's wheels load on. */
const OLDEST_GLIBC = "2.27";

/** The oldest driver for Linux that CUDA 12 runs on. */
const OLDEST_DRIVER = "525.60.13";

let known: Machine | undefined;

/** The host's machine: the one that a test passes, else this one. */
export const machineOf = (host: Host): Machine => host.machine ?? (known ??= thisMachine());

function thisMachine(): Machine {
  const limit = process.constrainedMemory();
  const total = os.totalmem();
  const nvidia = process.platform === "linux" ? nvidiaDriver() : undefined;
  let glibc: { version: string | undefined } | undefined;
  return {
    // Asked for when it is needed: Node's report takes some milliseconds.
    get glibc() {
      return (glibc ??= { version: glibcVersion() }).version;
    },
    avx: hasAvx(),
    memory: limit > 0 && limit < total ? limit : total,
    ...(process.platform === "win32" && { msvc: hasMsvcRuntime() }),
    wsl: process.platform === "linux" && /microsoft/i.test(os.release()),
    ...(nvidia !== undefined && { nvidia }),
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

/** Where distributions, containers and Windows Subsystem for Linux have the driver's library. */
const DRIVER_FOLDERS = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/usr/lib/wsl/lib",
  "/usr/local/nvidia/lib64",
  "/run/opengl-driver/lib",
];

/**
 * Finds NVIDIA's driver by its files; loads nothing.
 * @param root the file system's root; tests pass a folder
 * @param searched LD_LIBRARY_PATH
 */
export function nvidiaDriver(
  root = "/",
  searched = process.env["LD_LIBRARY_PATH"],
): NvidiaDriver | undefined {
  const folders = [...(searched ?? "").split(":").filter(Boolean), ...DRIVER_FOLDERS];
  if (!folders.some((folder) => existsSync(path.join(root, folder, "libcuda.so.1")))) return undefined;
  try {
    const text = readFileSync(path.join(root, "proc/driver/nvidia/version"), "latin1");
    return { version: / (\d{3,}(?:\.\d+)+) /.exec(text)?.[1] };
  } catch {
    // The driver is that of Windows, or its kernel module isn't loaded.
    return existsSync(path.join(root, "dev/dxg")) ? { version: undefined } : undefined;
  }
}

/** Whether the dotted version `a` comes before `b`. */
export const isOlder = (a: string, b: string): boolean => a.localeCompare(b, "en", { numeric: true }) < 0;

/** Why the build for GPUs is no use on this machine, and what would help; undefined if it is. */
export function gpuProblem(host: Host): { text: string; fix: string } | undefined {
  if (`${host.platform}-${host.arch}` !== "linux-x64")
    return {
      text: `TensorFlow computes on NVIDIA's GPUs on Linux x64 only; this is ${host.platform}-${host.arch}.`,
      fix: "On Windows, use Windows Subsystem for Linux.",
    };
  const { nvidia, wsl } = machineOf(host);
  if (nvidia === undefined)
    return {
      text: "There is no NVIDIA driver, which has /proc/driver/nvidia and libcuda.so.1.",
      fix: wsl
        ? "Install NVIDIA's driver on Windows; Linux needs none of its own."
        : "Install NVIDIA's driver. A container needs its runtime too: docker run --gpus all.",
    };
  if (nvidia.version !== undefined && isOlder(nvidia.version, OLDEST_DRIVER))
    return {
      text: `CUDA needs NVIDIA's driver ${OLDEST_DRIVER} or newer; this one is ${nvidia.version}.`,
      fix: "Upgrade the driver.",
    };
  return undefined;
}

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
