// A new version of Layerwise has a new binding, mostly to the same TensorFlow: its libraries needn't be downloaded again.
import fs from "node:fs/promises";
import { constants, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { readManifest, TENSORFLOW_VERSION, type Manifest } from "../cache.ts";
import { findDamage } from "../integrity.ts";
import { isOlder } from "../machine.ts";
import type { Platform } from "../platforms.ts";
import { NOTICES } from "./libraries.ts";
import { withLock } from "./lock.ts";

/** The engine's folders for the same platform that other versions of Layerwise have made; oldest first. */
export function earlierEngines(directory: string): string[] {
  const parent = path.dirname(directory);
  const own = path.basename(directory);
  const sameKind = new RegExp(`^${VERSIONS.source}${own.replace(VERSIONS, "")}$`);
  try {
    return readdirSync(parent)
      .filter((name) => isOlder(name, own) && sameKind.test(name))
      .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
      .map((name) => path.join(parent, name));
  } catch {
    return [];
  }
}

/** How the name of an engine's folder begins; what follows is the platform. */
const VERSIONS = /tensorflow-[\d.]+-tfjs-[\d.]+-binding-\d+/;

/** The manifest of a whole installation of this TensorFlow. */
function manifestOf(directory: string): Manifest | undefined {
  try {
    const manifest = readManifest(directory);
    if (manifest?.tensorflow !== TENSORFLOW_VERSION || findDamage(directory, manifest) !== undefined)
      return undefined;
    return manifest;
  } catch {
    return undefined;
  }
}

/**
 * Puts TensorFlow's libraries of an earlier installation into a folder, as links: they take no more disk, and stay when the
 * earlier installation is deleted.
 * @param directory The engine's folder to be.
 * @param own Names of the binding's own files.
 * @returns The libraries' hashes in hex by name; undefined if no installation has these libraries and no others.
 */
export async function reuseLibraries(
  directory: string,
  { libraries }: Platform,
  own: readonly string[],
  staging: string,
): Promise<Record<string, string> | undefined> {
  const wanted = libraries.map((name) => path.basename(name)).sort();
  for (const earlier of earlierEngines(directory).toReversed()) {
    const { files = {} } = manifestOf(earlier) ?? {};
    const found = Object.keys(files).filter((name) => !own.includes(name));
    if (found.sort().join() !== wanted.join()) continue;
    for (const name of wanted) await linkOrCopy(path.join(earlier, name), path.join(staging, name));
    // The first installations had no notices.
    await linkOrCopy(path.join(earlier, NOTICES), path.join(staging, NOTICES)).catch(() => undefined);
    return Object.fromEntries(wanted.map((name) => [name, files[name]!.sha256]));
  }
  return undefined;
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await fs.link(from, to);
  } catch {
    await fs.copyFile(from, to, constants.COPYFILE_FICLONE);
  }
}

/** The bytes that deleting folders frees: files that others link to stay on the disk. */
export function bytesOf(directories: readonly string[]): number {
  const files = directories.flatMap((directory) =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(path.join(entry.parentPath, entry.name))),
  );
  return files.reduce((sum, { nlink, size }) => (nlink > 1 ? sum : sum + size), 0);
}

/** Deletes the engines of other versions of Layerwise; waits for a running installation. Returns how many there were. */
export async function removeEarlier(directory: string, signal?: AbortSignal): Promise<number> {
  const found = earlierEngines(directory);
  if (found.length > 0)
    await withLock(`${directory}.lock`, { signal }, async () => {
      for (const one of found) await fs.rm(one, { recursive: true, force: true });
    });
  return found.length;
}
