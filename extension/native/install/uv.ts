// uv has no command that downloads a wheel: it unpacks the wheel while it downloads it.
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "../../files/folders.ts";
import { runCommand } from "./command.ts";
import { explainFailure, whileWatching, type DownloadOptions } from "./download.ts";
import { hashFile } from "../integrity.ts";

/** Size limit of an unpacked wheel, above TensorFlow's 1.3 GB. */
const MOST_BYTES = 4e9;

export interface UnpackOptions extends Omit<DownloadOptions, "target" | "onProgress" | "options"> {
  /** The new folder of the wheel's files. */
  folder: string;
  /** SHA-256 hashes of the wheels that may be unpacked. uv checks them. */
  allowed: ReadonlySet<string>;
  /** uv's name of the platform, and the wheel's Python version. */
  platform: string;
  python: string;
  /** Receives the bytes unpacked so far. */
  onBytes?: (bytes: number) => void;
}

/**
 * Downloads and unpacks one wheel with uv and the user's uv configuration. Its cache lies beside the folder and is removed, so
 * that nothing of the 1.3 GB remains.
 */
export async function unpackWithUv(options: UnpackOptions): Promise<void> {
  const { downloader, requirement, folder, allowed, platform, python, host, signal } = options;
  const scratch = `${folder}.uv`;
  await fs.rm(scratch, { recursive: true, force: true });
  await makeFolder(scratch);
  try {
    const requirements = path.join(scratch, "requirements.txt");
    const hashes = [...allowed].map((hash) => `--hash=sha256:${hash}`);
    await fs.writeFile(requirements, [requirement, ...hashes].join(" "));
    const result = await whileWatching(
      scratch,
      MOST_BYTES,
      { requirement, signal },
      {
        onBytes: (bytes) => options.onBytes?.(bytes),
        run: (limited) =>
          runCommand(
            downloader.command,
            [
              ...downloader.args,
              "pip",
              "install",
              "--no-progress",
              "--no-deps",
              "--only-binary=:all:",
              "--require-hashes",
              "--requirement",
              requirements,
              "--python-version",
              python,
              "--python-platform",
              platform,
              "--cache-dir",
              path.join(scratch, "cache"),
              "--target",
              folder,
            ],
            { env: host.env, cwd: scratch, signal: limited },
          ),
      },
    );
    if (result.code !== 0 || !existsSync(folder)) throw explainFailure(result, options);
  } finally {
    await fs.rm(scratch, { recursive: true, force: true });
  }
}

/** Moves selected files of an unpacked wheel into a folder, and removes the others. Returns their hex hashes by target. */
export async function takeFiles(
  unpacked: string,
  place: (name: string) => string | undefined,
  directory: string,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const entry of await fs.readdir(unpacked, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const from = path.join(entry.parentPath, entry.name);
    const target = place(path.relative(unpacked, from).replaceAll("\\", "/"));
    if (target === undefined) continue;
    const file = path.join(directory, target);
    await makeFolder(path.dirname(file));
    await fs.rename(from, file);
    hashes[target] = hashFile(file);
  }
  await fs.rm(unpacked, { recursive: true, force: true });
  return hashes;
}
