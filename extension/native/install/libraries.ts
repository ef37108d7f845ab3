import fs from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import type { InstallProgress } from "../../protocol/native.ts";
import { cacheDirectory, downloadsDirectory, TENSORFLOW_VERSION, type Host } from "../cache.ts";
import { downloadWheel, findWorkingDownloader, WHEEL_PYTHON } from "./download.ts";
import { NativeError } from "../errors.ts";
import { allowedWheels, unknownWheel } from "./pins.ts";
import type { Platform } from "../platforms.ts";
import type { Downloader } from "./tools.ts";
import { takeFiles, unpackWithUv } from "./uv.ts";
import { extractWheel } from "./wheel.ts";

/** Disk space for the download and the unpacked files, with a margin: uv unpacks the whole wheel. */
export const NEEDED_BYTES = { pip: 1.4e9, uv: 2e9 };

/** Size of an unpacked wheel, for uv's progress; TensorFlow's have 1.2 to 1.3 GB. */
const UNPACKED_BYTES = 1.25e9;

export type Report = (phase: InstallProgress["phase"], fraction: number, text: string) => void;

export interface LibraryJob {
  host: Host;
  platform: Platform;
  /** Receives the libraries. */
  staging: string;
  /** Whether to unpack the C API's headers too. */
  headers: boolean;
  signal?: AbortSignal | undefined;
  report: Report;
}

export interface Libraries {
  /** The downloaded wheel, which the caller removes; uv leaves none. */
  wheel?: string;
  /** In hex, by name. */
  hashes: Record<string, string>;
}

/** Fetches TensorFlow's libraries from an earlier attempt's wheel, or else with pip or uv. */
export async function fetchLibraries(job: LibraryJob): Promise<Libraries> {
  const { host, platform, signal } = job;
  const wheel = path.join(
    downloadsDirectory(host),
    `${platform.requirement.replace("==", "-")}-${host.platform}-${host.arch}.whl`,
  );
  if (existsSync(wheel))
    try {
      return await extract(job, wheel);
    } catch (error) {
      if (!isBadWheel(error)) throw error;
      await fs.rm(wheel, { force: true });
    }
  const folder = path.dirname(wheel);
  await fs.mkdir(folder, { recursive: true });
  const downloader = await findWorkingDownloader(host, folder, signal);
  const needed = NEEDED_BYTES[downloader.kind];
  const free = await requireSpace(host, folder, needed);
  job.report(
    "download",
    0,
    `${TITLE} with ${downloader.kind} (0.3 GB; needs ${gigabytes(needed)} of disk, ${gigabytes(free)} are free)`,
  );
  if (downloader.kind === "uv") return unpack(job, downloader, `${wheel}.unpacked`);
  await download(job, downloader, wheel);
  try {
    return await extract(job, wheel);
  } catch (error) {
    if (isBadWheel(error)) await fs.rm(wheel, { force: true });
    throw error;
  }
}

const isBadWheel = (error: unknown): boolean =>
  error instanceof NativeError && ["corrupt-download", "unknown-wheel"].includes(error.code);

/** Unpacks a wheel if its hash is allowed. */
async function extract(
  { host, platform, staging, headers, signal, report }: LibraryJob,
  wheel: string,
): Promise<Libraries> {
  const allowed = allowedWheels(host);
  const hashes = await extractWheel(wheel, {
    admit: (sha256) => {
      if (!allowed.has(sha256)) throw unknownWheel(platform.requirement, sha256);
    },
    place: (name) => placeOf(name, platform, headers),
    directory: staging,
    signal,
    onProgress: (fraction) => report("unpack", fraction, "Unpacking TensorFlow"),
  });
  requireLibraries(hashes, platform, path.basename(wheel));
  return { wheel, hashes };
}

function requireLibraries(hashes: Record<string, string>, platform: Platform, wheel: string): void {
  const names = platform.libraries.map((name) => path.basename(name));
  const absent = names.filter((name) => hashes[name] === undefined);
  if (absent.length > 0) throw new NativeError("corrupt-download", `${wheel} holds no ${absent.join(", ")}.`);
}

/** Returns the free space. Throws if it is too little. */
async function requireSpace(host: Host, folder: string, needed: number): Promise<number> {
  const { bavail, bsize } = await fs.statfs(folder);
  if (bavail * bsize >= needed) return bavail * bsize;
  throw new NativeError(
    "no-space",
    `The native engine needs ${gigabytes(needed)} in ${cacheDirectory(host)}; ${gigabytes(bavail * bsize)} are free.`,
  );
}

/** A size such as "1.4 GB". */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

const TITLE = `Downloading TensorFlow ${TENSORFLOW_VERSION}`;

async function download(
  { host, platform, signal, report }: LibraryJob,
  downloader: Downloader,
  wheel: string,
): Promise<void> {
  await downloadWheel({
    downloader,
    requirement: platform.requirement,
    options: platform.pip ?? [],
    target: wheel,
    host,
    signal,
    onProgress: (bytes, total) =>
      total !== undefined &&
      report(
        "download",
        Math.min(bytes / total, 1),
        `${TITLE} (${(Math.min(bytes, total) / 1e6).toFixed(0)} of ${(total / 1e6).toFixed(0)} MB)`,
      ),
  });
}

async function unpack(job: LibraryJob, downloader: Downloader, folder: string): Promise<Libraries> {
  const { host, platform, staging, headers, signal, report } = job;
  const title = `${TITLE} with uv`;
  await fs.rm(folder, { recursive: true, force: true });
  try {
    await unpackWithUv({
      downloader,
      requirement: platform.requirement,
      folder,
      allowed: allowedWheels(host),
      platform: platform.uv,
      python: WHEEL_PYTHON,
      host,
      signal,
      onBytes: (bytes) => {
        const share = Math.min(bytes / UNPACKED_BYTES, 1);
        report("download", share, `${title} (${(share * 100).toFixed(0)} % unpacked)`);
      },
    });
    const hashes = await takeFiles(folder, (name) => placeOf(name, platform, headers), staging);
    requireLibraries(hashes, platform, platform.requirement);
    report("unpack", 1, "Unpacking TensorFlow");
    return { hashes };
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

/** Licences of the libraries' contents; kept beside them. */
const NOTICES = "THIRD_PARTY_NOTICES.txt";

/** Files to unpack, of 15,000: the libraries, their notices, and the C API's headers with the few they include. */
const HEADERS =
  /^tensorflow\/(include\/(?:tensorflow\/c\/(?:eager\/)?|tensorflow\/core\/platform\/|tsl\/platform\/|xla\/tsl\/c\/)[^/]+\.h)$/;

function placeOf(name: string, platform: Platform, headers: boolean): string | undefined {
  const inside = name.slice("tensorflow/".length);
  if (name.startsWith("tensorflow/") && [...platform.libraries, NOTICES].includes(inside))
    return path.basename(inside);
  return headers ? HEADERS.exec(name)?.[1] : undefined;
}
