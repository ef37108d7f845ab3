import fs from "node:fs/promises";
import path from "node:path";
import type { Host } from "./cache.ts";
import { runCommand, type CommandResult } from "./command.ts";
import { NativeError } from "./errors.ts";
import { findPip, findPython } from "./tools.ts";

/** The command that runs pip: a program and its first arguments. */
type Pip = readonly [command: string, ...args: string[]];

/** The newest Python with wheels of {@link TENSORFLOW_VERSION}; the library inside doesn't depend on Python. */
const WHEEL_PYTHON = "3.12";

/** Size limit, above any wheel of {@link TENSORFLOW_VERSION} (at most 274 MB): it stops an index that sends without end. */
const MOST_WHEEL_BYTES = 1e9;

const NETWORK =
  /ConnectionError|NewConnectionError|connection broken|Connection refused|ConnectTimeout|ReadTimeout|timed out|ProxyError|SSLError|Temporary failure in name resolution|Network is unreachable|Max retries exceeded|HTTP error \d+/i;

/**
 * Finds the first Python with pip; throws a NativeError "no-python" or "no-pip". Python imports modules from the current
 * folder first, so only this user may have write access to `cwd`.
 */
export async function findWorkingPip(host: Host, cwd: string, signal?: AbortSignal): Promise<Pip> {
  const python = findPython(host);
  const pip = findPip(host);
  const candidates: Pip[] = [];
  if (python !== undefined) candidates.push([python, "-m", "pip"]);
  if (pip !== undefined) candidates.push([pip]);
  for (const candidate of candidates) {
    const [command, ...args] = candidate;
    const { code } = await runCommand(command, [...args, "--version"], {
      env: host.env,
      cwd,
      signal,
      limit: 30_000,
    });
    if (code === 0) return candidate;
  }
  if (python === undefined) throw new NativeError("no-python", `Python 3 with pip is not on PATH.`);
  throw new NativeError(
    "no-pip",
    host.platform === "linux"
      ? "Python has no pip: install the package python3-pip."
      : "Python has no pip: run python3 -m ensurepip.",
  );
}

export interface DownloadOptions {
  requirement: string;
  /** The wheel's final path. */
  target: string;
  host: Host;
  signal?: AbortSignal | undefined;
  /** Receives the bytes so far, and the total once pip has printed it. */
  onProgress?: (bytes: number, total: number | undefined) => void;
}

/**
 * Downloads one wheel with pip and the user's pip configuration (index, proxy, certificates). The file appears at `target` once
 * it is complete. pip's temporary files lie beside it and are always removed.
 */
export async function downloadWheel(options: DownloadOptions): Promise<void> {
  const { target, host, signal } = options;
  const scratch = `${target}.partial`;
  await fs.rm(scratch, { recursive: true, force: true });
  await fs.mkdir(scratch, { recursive: true });
  try {
    const pip = await findWorkingPip(host, scratch, signal);
    let result = await pipDownload(pip, [], scratch, options);
    // The wheel's Python version doesn't matter: only its library is used.
    if (result.code !== 0 && !NETWORK.test(result.output))
      result = await pipDownload(pip, ["--python-version", WHEEL_PYTHON], scratch, options);
    const wheel = (await fs.readdir(scratch)).find((name) => name.endsWith(".whl"));
    if (result.code !== 0 || wheel === undefined) throw explainFailure(result, options);
    await fs.rename(path.join(scratch, wheel), target);
  } finally {
    await fs.rm(scratch, { recursive: true, force: true });
  }
}

async function pipDownload(
  [command, ...first]: Pip,
  extra: readonly string[],
  scratch: string,
  { requirement, host, signal, onProgress }: DownloadOptions,
): Promise<CommandResult> {
  let total: number | undefined;
  const temporary = path.join(scratch, "tmp");
  await fs.mkdir(temporary, { recursive: true });
  const limit = new AbortController();
  const note = (bytes: number): void => {
    onProgress?.(bytes, total);
    if (bytes > MOST_WHEEL_BYTES) limit.abort(tooLarge(requirement));
  };
  const watch = setInterval(() => {
    sizeOf(temporary).then(note, () => undefined);
  }, 200);
  try {
    return await runCommand(
      command,
      [
        ...first,
        "download",
        requirement,
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--progress-bar=off",
        "--disable-pip-version-check",
        "--no-input",
        ...extra,
        "--dest",
        scratch,
      ],
      {
        env: { ...host.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary, PYTHONUNBUFFERED: "1" },
        cwd: scratch,
        signal: signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]),
        onOutput: (text) => (total = announcedSize(text) ?? total),
      },
    );
  } finally {
    clearInterval(watch);
  }
}

const tooLarge = (requirement: string): NativeError =>
  new NativeError(
    "download-failed",
    `pip's index sent more than ${MOST_WHEEL_BYTES / 1e9} GB for ${requirement}; the download was stopped.`,
  );

/** pip writes "Downloading <file> (273.8 MB)". */
export function announcedSize(text: string): number | undefined {
  const match = /Downloading .*\(([\d.]+) ([kMG])B\)/.exec(text);
  if (match === null) return undefined;
  const [, value, unit] = match;
  return Number(value) * (unit === "G" ? 1e9 : unit === "M" ? 1e6 : 1e3);
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await fs.readdir(folder, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) bytes += (await fs.stat(path.join(entry.parentPath, entry.name))).size;
  return bytes;
}

function explainFailure({ output }: CommandResult, { requirement, host }: DownloadOptions): NativeError {
  if (NETWORK.test(output))
    return new NativeError("no-network", `pip can't reach its package index to download ${requirement}.`, {
      detail: output,
    });
  if (/No space left on device/.test(output))
    return new NativeError("no-space", `The disk is full: ${requirement} can't be downloaded.`, {
      detail: output,
    });
  if (/No matching distribution found/.test(output))
    return new NativeError(
      "no-wheel",
      `pip's package index has no ${requirement} for ${host.platform}-${host.arch}.`,
      { detail: output },
    );
  const last = output
    .trim()
    .split("\n")
    .findLast((line) => line.startsWith("ERROR:"));
  return new NativeError(
    "download-failed",
    `pip can't download ${requirement}${last === undefined ? "." : `: ${last.slice("ERROR:".length).trim()}`}`,
    { detail: output },
  );
}
