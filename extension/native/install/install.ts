import fs from "node:fs/promises";
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { makeFolder } from "../../files/folders.ts";
import type { InstallProgress } from "../../protocol/native.ts";
import {
  BINDING_FILE,
  bindingOf,
  cacheDirectory,
  downloadsDirectory,
  nativeDirectory,
  placeInEngine,
  TENSORFLOW_VERSION,
  TFJS_NODE_VERSION,
  thisHost,
  type Build,
  type Host,
  type Manifest,
} from "../cache.ts";
import { findBindingSources, makeBinding, missingTools, type BindingSources } from "./compile.ts";
import { NativeError, systemErrorCode } from "../errors.ts";
import { reuseLibraries } from "./earlier.ts";
import { tryBinding } from "./firstLoad.ts";
import { findDamage, hashFile, writeManifest } from "../integrity.ts";
import { fetchLibraries, type Report } from "./libraries.ts";
import { withLock } from "./lock.ts";
import { gpuProblem, machineProblem } from "../machine.ts";
import { findPlatform, type Platform } from "../platforms.ts";
import { nativeStatus } from "../status.ts";

export interface InstallOptions {
  onProgress?: (progress: InstallProgress) => void;
  signal?: AbortSignal | undefined;
  host?: Host;
  /** By default, the one for the CPU. */
  build?: Build;
  /** Sources to compile; by default those that ship with Layerwise. */
  binding?: BindingSources;
  /** Loads the binding of a folder in another process and returns its TensorFlow version. */
  tryBinding?: typeof tryBinding;
}

export interface InstallResult {
  directory: string;
  /** False if it was installed already. */
  installed: boolean;
}

/** Share of each phase in the total time, measured on a fast connection. */
const SHARE = { download: 0.5, unpack: 0.35, compile: 0.1, verify: 0.05 };

/**
 * Installs the native engine for this user: TensorFlow's libraries from its Python wheel (with pip and the user's pip
 * configuration), and the binding to them: a prebuilt one, or one that is compiled here. The engine's folder appears complete or not at all. A
 * downloaded wheel survives an interruption and is used next time. A second installer waits for the first.
 *
 * Rejects with a {@link NativeError} whose one-line message says what is missing, or with the signal's reason.
 */
export async function installNative(options: InstallOptions = {}): Promise<InstallResult> {
  const { host = thisHost(), build = "cpu" } = options;
  const directory = nativeDirectory(host, build);
  const platform = findPlatform(host, build);
  const gpu = build === "gpu" ? gpuProblem(host) : undefined;
  if (gpu !== undefined) throw new NativeError("unsupported-machine", `${gpu.text} ${gpu.fix}`);
  if (platform === undefined)
    throw new NativeError(
      "unsupported-platform",
      `There is no native engine for ${host.platform}-${host.arch}.`,
    );
  if (isComplete(host, build)) return { directory, installed: false };
  const unfit = machineProblem(host);
  if (unfit !== undefined) throw new NativeError("unsupported-machine", `${unfit.text} ${unfit.fix}`);
  const report = reporter(options.onProgress);
  const binding = options.binding ?? findBindingSources(host);
  try {
    return await withLock(
      `${directory}.lock`,
      {
        signal: options.signal,
        onWait: () => report("wait", 0, "Waiting for another installation of the native engine"),
      },
      async () => {
        if (isComplete(host, build)) return { directory, installed: false };
        await install({ ...options, host, build, directory, platform, binding, report });
        return { directory, installed: true };
      },
    );
  } catch (error) {
    throw explainSystemError(error, host);
  }
}

/** Throws if a tool is missing, before 274 MB are downloaded in vain. An update that finds its libraries here needs none. */
function requireTools(host: Host, binding: BindingSources): void {
  const missing = missingTools(host, binding);
  const [first] = missing;
  if (first === undefined) return;
  throw new NativeError(
    first.tool === "python" ? "no-python" : "no-compiler",
    `Installing the native engine needs ${missing.map(({ text }) => text).join("; and ")}.`,
  );
}

interface Job extends InstallOptions {
  host: Host;
  build: Build;
  directory: string;
  platform: Platform;
  binding: BindingSources;
  report: Report;
}

async function install(job: Job): Promise<void> {
  const { host, build, directory, platform, signal, report } = job;
  const staging = `${directory}.partial`;
  await fs.rm(staging, { recursive: true, force: true });
  await makeFolder(staging);
  try {
    const headers = job.binding.prebuilt === undefined;
    const own = Object.keys(job.binding.prebuilt?.files ?? { [BINDING_FILE]: "" });
    // To compile, the headers are needed too, and no installation keeps them. CUDA's libraries aren't looked for.
    const reuses = !headers && build !== "gpu";
    const reused = reuses ? await reuseLibraries(directory, platform, own, staging) : undefined;
    if (reused === undefined) requireTools(host, job.binding);
    const { wheels, hashes } =
      reused === undefined
        ? await fetchLibraries({ ...job, staging, headers })
        : { wheels: [], hashes: reused };
    report("compile", 0, headers ? "Compiling the binding" : "Copying the binding");
    await makeBinding({
      ...job,
      headers: path.join(staging, "include"),
      scratch: path.join(staging, "scratch"),
      output: path.join(staging, bindingOf(build)),
    });
    await fs.rm(path.join(staging, "include"), { recursive: true, force: true });
    report("verify", 0, "Loading it for the first time");
    // Both end before the folder is renamed or removed.
    const [loaded, flushed] = await Promise.allSettled([
      (job.tryBinding ?? tryBinding)(path.join(staging, bindingOf(build)), host, signal),
      flushFiles(staging),
    ]);
    if (loaded.status === "rejected") throw loaded.reason;
    if (flushed.status === "rejected") throw flushed.reason;
    const version = loaded.value;
    if (version !== TENSORFLOW_VERSION)
      throw new NativeError(
        "load-failed",
        `The new engine is TensorFlow ${version}; expected ${TENSORFLOW_VERSION}.`,
      );
    const files: Manifest["files"] = {};
    const cuda = Object.keys(hashes).filter((name) => name.startsWith("nvidia/"));
    const placed = [...platform.libraries.map((one) => path.basename(one)), ...own];
    for (const name of [...placed.map((one) => placeInEngine(build, one)), ...cuda]) {
      const file = path.join(staging, name);
      const { size, mtimeMs } = statSync(file);
      files[name] = { size, mtimeMs, sha256: hashes[name] ?? hashFile(file) };
    }
    writeManifest(staging, {
      version: 1,
      tensorflow: TENSORFLOW_VERSION,
      tfjsNode: TFJS_NODE_VERSION,
      installedAt: new Date().toISOString(),
      files,
    });
    signal?.throwIfAborted();
    await replaceDirectory(staging, directory);
    for (const wheel of wheels) await fs.rm(wheel, { force: true });
    report("verify", 1, "The native engine is installed");
  } finally {
    await fs.rm(staging, { recursive: true, force: true });
  }
}

/** Flushes a folder's files to disk, so that a power cut leaves no truncated file under its final name. */
async function flushFiles(folder: string): Promise<void> {
  for (const entry of await fs.readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // Windows flushes only what is open for writing.
    const handle = await fs.open(path.join(entry.parentPath, entry.name), "r+");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/** Replaces a folder with two renames; it is absent for a moment between them. */
async function replaceDirectory(from: string, to: string): Promise<void> {
  const old = `${to}.old`;
  await fs.rm(old, { recursive: true, force: true });
  if (existsSync(to)) await fs.rename(to, old);
  await fs.rename(from, to);
  await fs.rm(old, { recursive: true, force: true });
}

function isComplete(host: Host, build: Build): boolean {
  const device = build === "gpu" ? "gpu" : "auto";
  const { directory, manifest } = nativeStatus({ ...host, env: { ...host.env, LAYERWISE_DEVICE: device } });
  return manifest !== undefined && findDamage(directory, manifest) === undefined;
}

/** Limits reports to ten a second, and keeps the fraction from falling. */
function reporter(onProgress: InstallOptions["onProgress"]): Report {
  const starts = {
    wait: 0,
    download: 0,
    unpack: SHARE.download,
    compile: SHARE.download + SHARE.unpack,
    verify: 1 - SHARE.verify,
  };
  let last: InstallProgress = { phase: "wait", fraction: 0, text: "" };
  let lastTime = -Infinity;
  return (phase, part, text) => {
    const share = phase === "wait" ? 0 : SHARE[phase];
    const fraction = Math.max(last.fraction, starts[phase] + share * part);
    const now = performance.now();
    if (phase === last.phase && part < 1 && now - lastTime < 100) return;
    last = { phase, fraction, text };
    lastTime = now;
    onProgress?.(last);
  };
}

function explainSystemError(error: unknown, host: Host): unknown {
  const code = systemErrorCode(error);
  if (code === "ENOSPC")
    return new NativeError("no-space", `The disk of ${cacheDirectory(host)} is full.`, { cause: error });
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new NativeError(
      "no-permission",
      `${cacheDirectory(host)} can't be written to. Set LAYERWISE_CACHE to another folder.`,
      { cause: error },
    );
  return error;
}

/**
 * Removes the user's native engine in all versions, and its downloads. Returns whether there was one. Waits for a running
 * installation.
 */
export async function removeNative(
  options: { host?: Host; signal?: AbortSignal | undefined; onWait?: () => void } = {},
): Promise<boolean> {
  const host = options.host ?? thisHost();
  const [cpu, gpu] = [nativeDirectory(host, "cpu"), nativeDirectory(host, "gpu")];
  const parents = [path.dirname(cpu), downloadsDirectory(host)];
  if (!parents.some((folder) => existsSync(folder))) return false;
  const found = existsSync(cpu) || existsSync(gpu);
  const removeAll = async (): Promise<void> => {
    for (const parent of parents)
      for (const name of await fs.readdir(parent).catch(() => []))
        if (!name.endsWith(".lock")) await fs.rm(path.join(parent, name), { recursive: true, force: true });
  };
  try {
    await withLock(`${cpu}.lock`, options, () => withLock(`${gpu}.lock`, options, removeAll));
  } catch (error) {
    throw explainSystemError(error, host);
  }
  for (const parent of parents) await fs.rmdir(parent).catch(() => undefined);
  return found;
}
