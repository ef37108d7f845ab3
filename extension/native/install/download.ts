import fs from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "../../files/folders.ts";
import type { Host } from "../cache.ts";
import { runCommand, type CommandResult } from "./command.ts";
import { NativeError } from "../errors.ts";
import { OTHER_PIP, RESUMABLE_DOWNLOAD } from "./resumable.ts";
import { findDownloaders, findPythons, pythonArgs, type Downloader } from "./tools.ts";

/** The newest Python with wheels of {@link TENSORFLOW_VERSION}; the library inside doesn't depend on Python. */
export const WHEEL_PYTHON = "3.12";

/** Size limit, above any wheel of TensorFlow for CPUs (at most 274 MB): it stops an index that sends without end. */
const MOST_WHEEL_BYTES = 1e9;

export const NETWORK =
  /ConnectionError|NewConnectionError|connection broken|Connection refused|ConnectTimeout|ReadTimeout|timed out|ProxyError|SSLError|Temporary failure in name resolution|Network is unreachable|Max retries exceeded|HTTP error \d+|error sending request|dns error|Failed to fetch/i;

/**
 * Finds the first program that can download wheels; throws a NativeError "no-python" or "no-pip". Python imports modules from the
 * current folder first, so only this user may have write access to `cwd`.
 */
export async function findWorkingDownloader(
  host: Host,
  cwd: string,
  signal?: AbortSignal,
): Promise<Downloader> {
  for (const downloader of findDownloaders(host)) {
    const python = pythonArgs(downloader);
    // pip prints its version after a third of a second, spent on loading all its commands.
    const args = python === undefined ? [...downloader.args, "--version"] : [...python, "-c", "import pip"];
    const { code } = await runCommand(downloader.command, args, {
      env: host.env,
      cwd,
      signal,
      limit: 30_000,
    });
    if (code === 0) return downloader;
  }
  if (findPythons(host).length === 0)
    throw new NativeError("no-python", `Neither Python 3 with pip nor uv is on PATH.`);
  throw new NativeError(
    "no-pip",
    host.platform === "linux"
      ? "Python has no pip: install the package python3-pip."
      : "Python has no pip: run python3 -m ensurepip.",
  );
}

export interface DownloadOptions {
  downloader: Downloader;
  requirement: string;
  /** More arguments for pip. */
  options: readonly string[];
  /** The wheel's final path. */
  target: string;
  /** Size limit, by default that of TensorFlow for CPUs. */
  most?: number;
  host: Host;
  signal?: AbortSignal | undefined;
  /** Receives the bytes so far, and the total once pip has printed it. */
  onProgress?: (bytes: number, total: number | undefined) => void;
  /** Receives the path of the growing wheel, again and again while it is downloaded. */
  onWheel?: (file: string) => void;
}

/**
 * Downloads one wheel with pip and the user's pip configuration (index, proxy, certificates). The file appears at `target` once
 * it is complete. After a broken connection or an interruption, the next call continues with what lies beside it.
 */
export async function downloadWheel(options: DownloadOptions): Promise<void> {
  const { target, signal } = options;
  const scratch = `${target}.partial`;
  await makeFolder(scratch);
  try {
    let result = await pipDownload(options.options, scratch, options);
    // The wheel's Python version doesn't matter: only its library is used.
    if (result.code !== 0 && !NETWORK.test(result.output))
      result = await pipDownload(["--python-version", WHEEL_PYTHON], scratch, options);
    const wheel = (await fs.readdir(scratch)).find((name) => name.endsWith(".whl"));
    if (result.code !== 0 || wheel === undefined) throw explainFailure(result, options);
    await fs.rename(path.join(scratch, wheel), target);
  } catch (error) {
    const broken = signal?.aborted === true || (error instanceof NativeError && error.code === "no-network");
    await removeAllBut(broken ? PARTIAL : undefined, scratch);
    throw error;
  }
  await fs.rm(scratch, { recursive: true, force: true });
}

/** Files of {@link RESUMABLE_DOWNLOAD} from which it continues. */
const PARTIAL = /\.whl\.part(\.tag)?$/;

/** Removes what is in a folder, but for some files; without any, the folder too. */
async function removeAllBut(kept: RegExp | undefined, folder: string): Promise<void> {
  const names = await fs.readdir(folder);
  const stays = (name: string): boolean => kept?.test(name) === true;
  if (!names.some(stays)) return fs.rm(folder, { recursive: true, force: true });
  for (const name of names.filter((one) => !stays(one)))
    await fs.rm(path.join(folder, name), { recursive: true, force: true });
}

const PIP_OPTIONS = [
  "--no-deps",
  "--only-binary=:all:",
  "--no-cache-dir",
  "--progress-bar=off",
  "--disable-pip-version-check",
  "--no-input",
];

/** Downloads with a program that can continue, or with pip itself, whose temporary files can't be used again. */
async function pipDownload(
  extra: readonly string[],
  scratch: string,
  { downloader, requirement, most, host, signal, onProgress, onWheel }: DownloadOptions,
): Promise<CommandResult> {
  let total: number | undefined;
  const temporary = path.join(scratch, "tmp");
  await makeFolder(temporary);
  const env = {
    ...host.env,
    TMPDIR: temporary,
    TEMP: temporary,
    TMP: temporary,
    PYTHONUNBUFFERED: "1",
    // Since pip 25.1: a connection that breaks is resumed where it broke.
    PIP_RESUME_RETRIES: host.env["PIP_RESUME_RETRIES"] ?? "10",
  };
  const run = (program: readonly string[], watched: string): Promise<CommandResult> => {
    const args = [...program, requirement, ...PIP_OPTIONS, ...extra, "--dest", scratch];
    return whileWatching(
      watched,
      most ?? MOST_WHEEL_BYTES,
      { requirement, signal },
      {
        onBytes: (bytes, files) => {
          onProgress?.(bytes, total);
          const wheel = files.find((one) => /\.whl(?:\.part)?$/.test(one));
          if (wheel !== undefined) onWheel?.(wheel);
        },
        run: (limited) =>
          runCommand(downloader.command, args, {
            env,
            cwd: scratch,
            signal: limited,
            onOutput: (text) => (total = announcedSize(text) ?? total),
          }),
      },
    );
  };
  const python = pythonArgs(downloader);
  if (python !== undefined) {
    const file = path.join(scratch, "download.py");
    await fs.writeFile(file, RESUMABLE_DOWNLOAD);
    const result = await run([...python, file], scratch);
    if (result.code !== OTHER_PIP) return result;
  }
  return run([...downloader.args, "download"], temporary);
}

/** Milliseconds between two looks at what has arrived; a wheel isn't unpacked before the first that sees it. */
const LOOK = 50;

/** Runs a download, reports the size and files of the folder that it writes to, and stops it past a limit. */
export async function whileWatching<T>(
  folder: string,
  most: number,
  { requirement, signal }: { requirement: string; signal: AbortSignal | undefined },
  {
    onBytes,
    run,
  }: {
    onBytes: (bytes: number, files: readonly string[]) => void;
    run: (signal: AbortSignal) => Promise<T>;
  },
): Promise<T> {
  const limit = new AbortController();
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    try {
      const { bytes, files } = await contentOf(folder);
      onBytes(bytes, files);
      if (bytes > most) limit.abort(tooLarge(requirement, most));
    } catch {
      // A file was renamed or removed meanwhile.
    }
    if (!ended) timer = setTimeout(() => void look(), LOOK);
  };
  void look();
  try {
    return await run(signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]));
  } finally {
    ended = true;
    clearTimeout(timer);
  }
}

const tooLarge = (requirement: string, most: number): NativeError =>
  new NativeError(
    "download-failed",
    `The package index sent more than ${most / 1e9} GB for ${requirement}; the download was stopped.`,
  );

/** pip writes "Downloading <file> (273.8 MB)". */
export function announcedSize(text: string): number | undefined {
  const match = /Downloading .*\(([\d.]+) ([kMG])B\)/.exec(text);
  if (match === null) return undefined;
  const [, value, unit] = match;
  return Number(value) * (unit === "G" ? 1e9 : unit === "M" ? 1e6 : 1e3);
}

async function contentOf(folder: string): Promise<{ bytes: number; files: string[] }> {
  const entries = await fs.readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.flatMap((entry) => (entry.isFile() ? [path.join(entry.parentPath, entry.name)] : []));
  let bytes = 0;
  for (const file of files) bytes += (await fs.stat(file)).size;
  return { bytes, files };
}

/** The error for a failed download, from what pip or uv has printed. */
export function explainFailure(
  { output }: CommandResult,
  { downloader: { kind }, requirement, host }: Pick<DownloadOptions, "downloader" | "requirement" | "host">,
): NativeError {
  if (NETWORK.test(output))
    return new NativeError(
      "no-network",
      `${kind} can't reach its package index to download ${requirement}.`,
      {
        detail: output,
      },
    );
  if (/No space left on device|os error 28|os error 112/.test(output))
    return new NativeError("no-space", `The disk is full: ${requirement} can't be downloaded.`, {
      detail: output,
    });
  if (/No matching distribution found|No solution found/.test(output))
    return new NativeError(
      "no-wheel",
      `${kind}'s package index has no ${requirement} for ${host.platform}-${host.arch}.`,
      { detail: output },
    );
  const last = output
    .trim()
    .split("\n")
    .findLast((line) => /^error:/i.test(line));
  return new NativeError(
    "download-failed",
    `${kind} can't download ${requirement}${last === undefined ? "." : `: ${last.slice("error:".length).trim()}`}`,
    { detail: output },
  );
}
