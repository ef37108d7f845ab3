import fs from "node:fs/promises";
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import type { InstallProgress } from "../protocol/native.ts";
import { codeString } from "../protocol/text/code.ts";
import {
  BINDING_FILE,
  cacheDirectory,
  downloadsDirectory,
  nativeDirectory,
  TENSORFLOW_VERSION,
  TFJS_NODE_VERSION,
  thisHost,
  type Host,
  type Manifest,
} from "./cache.ts";
import { runCommand } from "./command.ts";
import { findBindingSources, makeBinding, missingTools, type BindingSources } from "./compile.ts";
import { downloadWheel } from "./download.ts";
import { NativeError, systemErrorCode } from "./errors.ts";
import { findDamage, hashFile, writeManifest } from "./integrity.ts";
import { withLock } from "./lock.ts";
import { allowedWheels, unknownWheel } from "./pins.ts";
import { findPlatform, type Platform } from "./platforms.ts";
import { nativeStatus } from "./status.ts";
import { extractWheel } from "./wheel.ts";

export interface InstallOptions {
  onProgress?: (progress: InstallProgress) => void;
  signal?: AbortSignal | undefined;
  host?: Host;
  /** Sources to compile; by default those that ship with Layerwise. */
  binding?: BindingSources;
  /** Loads a binding in another process and returns its TensorFlow version. */
  tryBinding?: (file: string, host: Host, signal?: AbortSignal) => Promise<string>;
}

export interface InstallResult {
  directory: string;
  /** False if it was installed already. */
  installed: boolean;
}

/** Share of each phase in the total time, measured on a fast connection. */
const SHARE = { download: 0.5, unpack: 0.35, compile: 0.1, verify: 0.05 };

/** Disk space for the wheel and the unpacked libraries, with a margin. */
const NEEDED_BYTES = 1.4e9;

/**
 * Installs the native engine for this user: TensorFlow's libraries from its Python wheel (with pip and the user's pip
 * configuration), and tfjs-node's binding compiled against them. The engine's folder appears complete or not at all. A
 * downloaded wheel survives an interruption and is used next time. A second installer waits for the first.
 *
 * Rejects with a {@link NativeError} whose one-line message says what is missing, or with the signal's reason.
 */
export async function installNative(options: InstallOptions = {}): Promise<InstallResult> {
  const host = options.host ?? thisHost();
  const directory = nativeDirectory(host);
  const platform = findPlatform(host);
  if (platform === undefined)
    throw new NativeError(
      "unsupported-platform",
      `There is no native engine for ${host.platform}-${host.arch}.`,
    );
  if (isComplete(host)) return { directory, installed: false };
  const report = reporter(options.onProgress);
  const binding = options.binding ?? findBindingSources(host);
  requireTools(host, binding);
  try {
    return await withLock(
      `${directory}.lock`,
      {
        signal: options.signal,
        onWait: () => report("wait", 0, "Waiting for another installation of the native engine"),
      },
      async () => {
        if (isComplete(host)) return { directory, installed: false };
        await install({ ...options, host, directory, platform, binding, report });
        return { directory, installed: true };
      },
    );
  } catch (error) {
    throw explainSystemError(error, host);
  }
}

/** Throws if a tool is missing, before 274 MB are downloaded in vain. */
function requireTools(host: Host, binding: BindingSources): void {
  const missing = missingTools(host, binding);
  const [first] = missing;
  if (first === undefined) return;
  throw new NativeError(
    first.tool === "python" ? "no-python" : "no-compiler",
    `Installing the native engine needs ${missing.map(({ text }) => text).join(" and ")}.`,
  );
}

interface Job extends InstallOptions {
  host: Host;
  directory: string;
  platform: Platform;
  binding: BindingSources;
  report: (phase: InstallProgress["phase"], fraction: number, text: string) => void;
}

async function install(job: Job): Promise<void> {
  const { host, directory, platform, signal, report } = job;
  const staging = `${directory}.partial`;
  await fs.rm(staging, { recursive: true, force: true });
  await fs.mkdir(staging, { recursive: true });
  try {
    const { wheel, hashes } = await fetchLibraries(job, staging);
    report("compile", 0, "Compiling the binding");
    await makeBinding({
      ...job,
      headers: path.join(staging, "include"),
      libraries: staging,
      scratch: path.join(staging, "scratch"),
      output: path.join(staging, BINDING_FILE),
    });
    await fs.rm(path.join(staging, "include"), { recursive: true });
    report("verify", 0, "Loading it for the first time");
    const version = await (job.tryBinding ?? tryBinding)(path.join(staging, BINDING_FILE), host, signal);
    if (version !== TENSORFLOW_VERSION)
      throw new NativeError(
        "load-failed",
        `The new engine is TensorFlow ${version}; expected ${TENSORFLOW_VERSION}.`,
      );
    const files: Manifest["files"] = {};
    for (const name of [...platform.libraries, BINDING_FILE]) {
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
    await fs.rm(wheel, { force: true });
    report("verify", 1, "The native engine is installed");
  } finally {
    await fs.rm(staging, { recursive: true, force: true });
  }
}

/**
 * Downloads the wheel, unless an earlier attempt did, and unpacks it if its hash is allowed. Downloads an old file again if it
 * is damaged or not allowed.
 */
async function fetchLibraries(
  job: Job,
  staging: string,
): Promise<{ wheel: string; hashes: Record<string, string> }> {
  const { host, platform, signal, report } = job;
  const wheel = path.join(
    downloadsDirectory(host),
    `${platform.requirement.replace("==", "-")}-${host.platform}-${host.arch}.whl`,
  );
  const allowed = allowedWheels(host);
  const reused = existsSync(wheel);
  if (!reused) await download(job, wheel);
  try {
    const hashes = await extractWheel(wheel, {
      admit: (sha256) => {
        if (!allowed.has(sha256)) throw unknownWheel(platform.requirement, sha256);
      },
      place: (name) => placeOf(name, platform),
      directory: staging,
      signal,
      onProgress: (fraction) => report("unpack", fraction, "Unpacking TensorFlow"),
    });
    const absent = platform.libraries.filter((name) => hashes[name] === undefined);
    if (absent.length > 0)
      throw new NativeError("corrupt-download", `${path.basename(wheel)} holds no ${absent.join(", ")}.`);
    return { wheel, hashes };
  } catch (error) {
    if (!(error instanceof NativeError && ["corrupt-download", "unknown-wheel"].includes(error.code)))
      throw error;
    await fs.rm(wheel, { force: true });
    if (reused) return fetchLibraries(job, staging);
    throw error;
  }
}

async function download({ host, platform, signal, report }: Job, wheel: string): Promise<void> {
  const folder = path.dirname(wheel);
  await fs.mkdir(folder, { recursive: true });
  const { bavail, bsize } = await fs.statfs(folder);
  if (bavail * bsize < NEEDED_BYTES)
    throw new NativeError(
      "no-space",
      `The native engine needs ${(NEEDED_BYTES / 1e9).toFixed(1)} GB in ${cacheDirectory(host)}; ` +
        `${((bavail * bsize) / 1e9).toFixed(1)} GB are free.`,
    );
  const title = `Downloading TensorFlow ${TENSORFLOW_VERSION}`;
  report("download", 0, title);
  await downloadWheel({
    requirement: platform.requirement,
    target: wheel,
    host,
    signal,
    onProgress: (bytes, total) =>
      total === undefined
        ? report("download", 0, title)
        : report(
            "download",
            Math.min(bytes / total, 1),
            `${title} (${(Math.min(bytes, total) / 1e6).toFixed(0)} of ${(total / 1e6).toFixed(0)} MB)`,
          ),
  });
}

/** Licences of the libraries' contents; kept beside them. */
const NOTICES = "THIRD_PARTY_NOTICES.txt";

/** Files to unpack, of 15,000: the libraries, their notices, and the C API's headers with the few they include. */
const HEADERS =
  /^tensorflow\/(include\/(?:tensorflow\/c\/(?:eager\/)?|tensorflow\/core\/platform\/|tsl\/platform\/|xla\/tsl\/c\/)[^/]+\.h)$/;

function placeOf(name: string, platform: Platform): string | undefined {
  const inside = name.slice("tensorflow/".length);
  if (name.startsWith("tensorflow/") && [...platform.libraries, NOTICES].includes(inside)) return inside;
  return HEADERS.exec(name)?.[1];
}

async function tryBinding(file: string, host: Host, signal?: AbortSignal): Promise<string> {
  const script = `process.stdout.write(require(${codeString(file)}).TF_Version)`;
  const { code, stdout, output } = await runCommand(process.execPath, ["--eval", script], {
    // In the extension host, the executable is VS Code itself.
    env: { ...host.env, TF_CPP_MIN_LOG_LEVEL: "3", ELECTRON_RUN_AS_NODE: "1" },
    signal,
    limit: 120_000,
  });
  if (code === 0) return stdout;
  const line = output.split("\n").find((text) => text.startsWith("Error:")) ?? `exit code ${code}`;
  throw new NativeError(
    "load-failed",
    `TensorFlow ${TENSORFLOW_VERSION} can't be loaded here: ${line.replace(/^Error: /, "")}`,
    { detail: output },
  );
}

/** Replaces a folder with two renames; it is absent for a moment between them. */
async function replaceDirectory(from: string, to: string): Promise<void> {
  const old = `${to}.old`;
  await fs.rm(old, { recursive: true, force: true });
  if (existsSync(to)) await fs.rename(to, old);
  await fs.rename(from, to);
  await fs.rm(old, { recursive: true, force: true });
}

function isComplete(host: Host): boolean {
  const { directory, manifest } = nativeStatus({ ...host, env: { ...host.env, LAYERWISE_DEVICE: "auto" } });
  return manifest !== undefined && findDamage(directory, manifest) === undefined;
}

/** Limits reports to ten a second, and keeps the fraction from falling. */
function reporter(onProgress: InstallOptions["onProgress"]): Job["report"] {
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
  const directory = nativeDirectory(host);
  const parents = [path.dirname(directory), downloadsDirectory(host)];
  if (!parents.some((folder) => existsSync(folder))) return false;
  const found = existsSync(directory);
  try {
    await withLock(`${directory}.lock`, options, async () => {
      for (const parent of parents)
        for (const name of await fs.readdir(parent).catch(() => []))
          if (!name.endsWith(".lock")) await fs.rm(path.join(parent, name), { recursive: true, force: true });
    });
  } catch (error) {
    throw explainSystemError(error, host);
  }
  for (const parent of parents) await fs.rmdir(parent).catch(() => undefined);
  return found;
}
