import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import * as v from "valibot";
import { systemErrorCode } from "./errors.ts";

/** The installed versions. All are part of the folder's name, so a new version never reads an old file. */
export const TENSORFLOW_VERSION = "2.21.0";
export const TFJS_NODE_VERSION = "4.22.0";
/** Version of our own C++ files. */
export const BINDING_VERSION = 25;

export const BINDING_FILE = "tfjs_binding.node";
const MANIFEST_FILE = "manifest.json";

/** Properties of a machine, beside its platform, that decide whether TensorFlow runs. Tests pass their own. */
export interface Machine {
  /** Version of glibc on Linux; undefined if the C library is another one, such as musl. */
  readonly glibc: string | undefined;
  /** Whether an x64 processor has AVX, which TensorFlow's builds use without asking; undefined if unknown. */
  readonly avx: boolean | undefined;
  /** Memory of the machine, or of its container, in bytes. */
  readonly memory: number;
  /** Linux inside Windows. */
  readonly wsl: boolean;
  /** On Windows: whether Microsoft's C++ runtime is there. */
  readonly msvc?: boolean;
  /** On Linux: NVIDIA's driver, if there is one. */
  readonly nvidia?: NvidiaDriver;
}

/** NVIDIA's driver for GPUs. */
export interface NvidiaDriver {
  /** Such as "550.54.14"; undefined in Windows Subsystem for Linux, where the driver is that of Windows. */
  readonly version: string | undefined;
}

/** TensorFlow's build: for the CPU alone, or with kernels for NVIDIA's GPUs. They are installed beside each other. */
export type Build = "cpu" | "gpu";

/**
 * The place of a library or binding in an engine's folder. The build for GPUs looks for CUDA's libraries in `../nvidia`, as Python
 * packages have them, so that no LD_LIBRARY_PATH is needed.
 */
export const placeInEngine = (build: Build, name: string): string =>
  build === "gpu" ? `tensorflow/${name}` : name;

export const bindingOf = (build: Build): string => placeInEngine(build, BINDING_FILE);

/** Platform and environment; tests pass their own. */
export interface Host {
  platform: NodeJS.Platform;
  arch: string;
  env: NodeJS.ProcessEnv;
  /** By default, this machine. */
  machine?: Machine;
}

export const thisHost = (): Host => ({ platform: process.platform, arch: process.arch, env: process.env });

/**
 * The user's cache folder of Layerwise: LAYERWISE_CACHE if set, else the platform's default (XDG_CACHE_HOME or ~/.cache,
 * ~/Library/Caches, %LOCALAPPDATA%).
 */
export function cacheDirectory({ platform, env }: Host = thisHost()): string {
  if (env["LAYERWISE_CACHE"]) return path.resolve(env["LAYERWISE_CACHE"]);
  const home = env["HOME"] || homedir();
  if (platform === "darwin") return path.join(home, "Library", "Caches", "layerwise");
  if (platform === "win32")
    return path.join(env["LOCALAPPDATA"] || path.join(homedir(), "AppData", "Local"), "layerwise");
  // The XDG specification ignores relative paths.
  const xdg = env["XDG_CACHE_HOME"];
  return path.join(xdg && path.isAbsolute(xdg) ? xdg : path.join(home, ".cache"), "layerwise");
}

/** Folder of the completed steps of an unfinished installation. */
export const downloadsDirectory = (host: Host = thisHost()): string =>
  path.join(cacheDirectory(host), "downloads");

/** The native engine's folder for these versions, platform, processor and build. If it exists, it is complete. */
export function nativeDirectory(host: Host = thisHost(), build: Build = "cpu"): string {
  const versions = `tensorflow-${TENSORFLOW_VERSION}-tfjs-${TFJS_NODE_VERSION}-binding-${BINDING_VERSION}`;
  const key = `${versions}-${host.platform}-${host.arch}${build === "gpu" ? "-gpu" : ""}`;
  return path.join(cacheDirectory(host), "native", key);
}

const FileRecord = v.object({ size: v.number(), mtimeMs: v.number(), sha256: v.string() });
const Manifest = v.object({
  version: v.literal(1),
  tensorflow: v.string(),
  tfjsNode: v.string(),
  /** ISO 8601. */
  installedAt: v.string(),
  files: v.record(v.string(), FileRecord),
});
export type Manifest = v.InferOutput<typeof Manifest>;
export type FileRecord = v.InferOutput<typeof FileRecord>;

export const manifestPath = (directory: string): string => path.join(directory, MANIFEST_FILE);

/** Reads an installation's manifest; undefined if there is none. Throws if it is invalid. */
export function readManifest(directory: string): Manifest | undefined {
  let text: string;
  try {
    text = readFileSync(manifestPath(directory), "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  return v.parse(Manifest, JSON.parse(text));
}
