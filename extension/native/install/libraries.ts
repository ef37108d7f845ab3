import fs from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { makeFolder } from "../../files/folders.ts";
import type { InstallProgress } from "../../protocol/native.ts";
import {
  cacheDirectory,
  downloadsDirectory,
  placeInEngine,
  TENSORFLOW_VERSION,
  type Build,
  type Host,
} from "../cache.ts";
import { downloadWheel, findWorkingDownloader, WHEEL_PYTHON } from "./download.ts";
import { NativeError } from "../errors.ts";
import { machineOf, OWN_MEMORY } from "../machine.ts";
import { allowedWheels, cudaRequirements, unknownWheel } from "./pins.ts";
import type { Platform } from "../platforms.ts";
import type { Downloader } from "./tools.ts";
import { StreamingUnpack } from "./streaming.ts";
import { takeFiles, unpackWithUv } from "./uv.ts";
import { extractWheel } from "./wheel.ts";

/** Sizes of a build in bytes: its download, and the disk it needs meanwhile, with a margin. uv unpacks whole wheels. */
export const SIZES: Readonly<Record<Build, { download: number; pip: number; uv: number }>> = {
  cpu: { download: 0.3e9, pip: 1.4e9, uv: 2e9 },
  gpu: { download: 3.4e9, pip: 10e9, uv: 8e9 },
};

/** Size limit of a wheel of the build for GPUs, above any of them. */
const MOST_GPU_WHEEL_BYTES = 2e9;

export type Report = (phase: InstallProgress["phase"], fraction: number, text: string) => void;

export interface LibraryJob {
  host: Host;
  build: Build;
  platform: Platform;
  /** Receives the libraries. */
  staging: string;
  /** Whether to unpack the C API's headers too. */
  headers: boolean;
  signal?: AbortSignal | undefined;
  report: Report;
}

export interface Libraries {
  /** The downloaded wheels, which the caller removes; uv leaves none. */
  wheels: readonly string[];
  /** In hex, by name. */
  hashes: Record<string, string>;
}

/** A wheel, and what to do with it. */
interface Wanted {
  readonly requirement: string;
  /** More arguments for pip. */
  readonly pip: readonly string[];
  /** Its kept download. */
  readonly wheel: string;
  readonly title: string;
  /** Size when unpacked, for uv's progress. */
  readonly bytes: number;
  /** Target of a file to unpack. */
  readonly place: (name: string) => string | undefined;
  /** Targets without which it is another wheel. */
  readonly needed: readonly string[];
}

/** Fetches TensorFlow's libraries, and CUDA's for GPUs, from an earlier attempt's wheels, or else with pip or uv. */
export async function fetchLibraries(job: LibraryJob): Promise<Libraries> {
  const wanted = wantedWheels(job);
  const part =
    (i: number): Report =>
    (phase, fraction, text) =>
      job.report(phase, (i + fraction) / wanted.length, text);
  const folder = downloadsDirectory(job.host);
  let found: Promise<Downloader> | undefined;
  const downloader = (): Promise<Downloader> => (found ??= prepare(job, folder));
  const hashes: Record<string, string> = {};
  const wheels: string[] = [];
  const streams = wanted.map((one, i) => streamOf(one, part(i)));
  const kept = wanted.map(({ wheel }) => existsSync(wheel));
  /** Downloads a wheel; with uv, unpacks it too. */
  const obtain = async (i: number): Promise<void> => {
    const step = { ...job, report: part(i) };
    const tool = await downloader();
    if (tool.kind === "uv") Object.assign(hashes, await unpack(step, tool, wanted[i]!));
    else await download(step, tool, wanted[i]!, streams[i]!);
  };
  /** Unpacks a wheel, or the rest of it. uv has left none. */
  const take = async (i: number): Promise<void> => {
    const { wheel } = wanted[i]!;
    if (!existsSync(wheel)) return;
    Object.assign(hashes, await extract({ ...job, report: part(i) }, wanted[i]!, streams[i]!));
    wheels.push(wheel);
  };
  try {
    for (const i of wanted.keys()) if (kept[i] !== true) await obtain(i);
    for (const [i, { wheel }] of wanted.entries())
      await take(i).catch(async (error: unknown) => {
        if (!isBadWheel(error)) throw error;
        await fs.rm(wheel, { force: true });
        if (kept[i] !== true) throw error;
        await obtain(i);
        await take(i);
      });
  } finally {
    // Also of an earlier attempt that was killed.
    for (const stream of streams) await stream.close();
  }
  // uv has unpacked each while it was downloaded; before the last one, this would be too early.
  job.report("unpack", 1, "The libraries are unpacked");
  return { wheels, hashes };
}

const streamOf = ({ wheel, title, place }: Wanted, report: Report): StreamingUnpack =>
  new StreamingUnpack({
    place,
    directory: `${wheel}.unpacking`,
    onProgress: (fraction) => report("unpack", fraction, title.replace("Downloading", "Unpacking")),
  });

const isBadWheel = (error: unknown): boolean =>
  error instanceof NativeError && ["corrupt-download", "unknown-wheel"].includes(error.code);

/** Finds what downloads, and says what that takes. Throws if there is too little space. */
async function prepare({ host, build, signal, report }: LibraryJob, folder: string): Promise<Downloader> {
  await makeFolder(folder);
  const downloader = await findWorkingDownloader(host, folder, signal);
  const needed = SIZES[build][downloader.kind];
  const free = await requireSpace(host, folder, needed);
  const size = gigabytes(SIZES[build].download);
  report(
    "download",
    0,
    `${titleOf(build)} with ${downloader.kind} (${size}; needs ${gigabytes(needed)} of disk, ${gigabytes(free)} are free; ` +
      `then ${gigabytes(OWN_MEMORY)} of memory, there are ${gigabytes(machineOf(host).memory)})`,
  );
  return downloader;
}

function wantedWheels({ host, build, platform, headers }: LibraryJob): Wanted[] {
  const { requirement, pip = [], libraries } = platform;
  const wheel = (name: string): string =>
    path.join(downloadsDirectory(host), `${name.replace("==", "-")}-${host.platform}-${host.arch}.whl`);
  const tensorflow: Wanted = {
    requirement,
    pip,
    wheel: wheel(requirement),
    title: titleOf(build),
    bytes: build === "gpu" ? 1.9e9 : 1.25e9,
    place: (name) => placeOf(name, build, platform, headers),
    needed: libraries.map((name) => placeInEngine(build, path.basename(name))),
  };
  if (platform.cuda !== true) return [tensorflow];
  const cuda = cudaRequirements().map((requirement): Wanted => ({
    requirement,
    pip: [],
    wheel: wheel(requirement),
    title: `Downloading ${requirement.replace("==", " ")}`,
    bytes: 0.6e9,
    place: cudaPlaceOf,
    needed: [],
  }));
  return [tensorflow, ...cuda];
}

/** Unpacks a wheel if its hash is allowed. */
async function extract(
  { host, build, staging, signal, report }: LibraryJob,
  { requirement, wheel, title, place, needed }: Wanted,
  stream: StreamingUnpack,
): Promise<Record<string, string>> {
  const streamed = stream.finish();
  const allowed = allowedWheels(host, build);
  const hashes = await extractWheel(wheel, {
    admit: (sha256) => {
      if (!allowed.has(sha256)) throw unknownWheel(requirement, sha256);
    },
    place,
    directory: staging,
    streamed,
    signal,
    onProgress: (fraction) => report("unpack", fraction, title.replace("Downloading", "Unpacking")),
  });
  requireFiles(hashes, needed, path.basename(wheel));
  return hashes;
}

function requireFiles(hashes: Record<string, string>, needed: readonly string[], wheel: string): void {
  const absent = needed.filter((name) => hashes[name] === undefined);
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

const titleOf = (build: Build): string =>
  `Downloading TensorFlow ${TENSORFLOW_VERSION}${build === "gpu" ? " for GPUs" : ""}`;

async function download(
  { host, build, signal, report }: LibraryJob,
  downloader: Downloader,
  { requirement, pip, wheel, title }: Wanted,
  stream: StreamingUnpack,
): Promise<void> {
  await downloadWheel({
    downloader,
    requirement,
    options: pip,
    target: wheel,
    ...(build === "gpu" && { most: MOST_GPU_WHEEL_BYTES }),
    host,
    signal,
    onWheel: (file) => stream.follow(file),
    onProgress: (bytes, total) =>
      total !== undefined &&
      report(
        "download",
        Math.min(bytes / total, 1),
        `${title} (${(Math.min(bytes, total) / 1e6).toFixed(0)} of ${(total / 1e6).toFixed(0)} MB)`,
      ),
  });
}

async function unpack(
  { host, build, platform, staging, signal, report }: LibraryJob,
  downloader: Downloader,
  { requirement, wheel, title, bytes: expected, place, needed }: Wanted,
): Promise<Record<string, string>> {
  const folder = `${wheel}.unpacked`;
  await fs.rm(folder, { recursive: true, force: true });
  try {
    await unpackWithUv({
      downloader,
      requirement,
      folder,
      allowed: allowedWheels(host, build),
      platform: platform.uv,
      python: WHEEL_PYTHON,
      host,
      signal,
      onBytes: (bytes) => {
        const share = Math.min(bytes / expected, 1);
        report("download", share, `${title} with uv (${(share * 100).toFixed(0)} % unpacked)`);
      },
    });
    const hashes = await takeFiles(folder, place, staging);
    requireFiles(hashes, needed, requirement);
    return hashes;
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

/** Licences of the libraries' contents; kept beside them. */
export const NOTICES = "THIRD_PARTY_NOTICES.txt";

/** Files to unpack, of 15,000: the libraries, their notices, and the C API's headers with the few they include. */
const HEADERS =
  /^tensorflow\/(include\/(?:tensorflow\/c\/(?:eager\/)?|tensorflow\/core\/platform\/|tsl\/platform\/|xla\/tsl\/c\/)[^/]+\.h)$/;

function placeOf(name: string, build: Build, platform: Platform, headers: boolean): string | undefined {
  const inside = name.slice("tensorflow/".length);
  if (name.startsWith("tensorflow/") && [...platform.libraries, NOTICES].includes(inside))
    return placeInEngine(build, path.basename(inside));
  return headers ? HEADERS.exec(name)?.[1] : undefined;
}

/** Of CUDA: the libraries, what XLA compiles with, and the licences. */
const CUDA_FILES = /^nvidia\/[^/]+\/(?:lib\/[^/]+\.so[^/]*|bin\/ptxas|nvvm\/libdevice\/[^/]+)$/;
const CUDA_LICENCE = /^(nvidia_[^/]+)\.dist-info\/(?:licenses\/)?(licen[sc]e[^/]*)$/i;

function cudaPlaceOf(name: string): string | undefined {
  if (CUDA_FILES.test(name)) return name;
  const [, distribution, licence] = CUDA_LICENCE.exec(name) ?? [];
  return licence === undefined ? undefined : `nvidia/${distribution}-${licence}`;
}
