import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import path from "node:path";
import { writeAtomic } from "../files/writeAtomic.ts";
import { manifestPath, type Manifest } from "./cache.ts";

/**
 * Hashes the files whose modification time has changed since the installation (after a copied or restored cache folder).
 * Returns the name of a file with another hash, or undefined.
 */
export function findDamage(directory: string, manifest: Manifest): string | undefined {
  const files = { ...manifest.files };
  let changed = false;
  for (const [name, record] of Object.entries(manifest.files)) {
    const file = path.join(directory, name);
    const { mtimeMs } = statSync(file);
    if (mtimeMs === record.mtimeMs) continue;
    if (hashFile(file) !== record.sha256) return name;
    files[name] = { ...record, mtimeMs };
    changed = true;
  }
  if (changed)
    try {
      writeManifest(directory, { ...manifest, files });
    } catch {
      // The cache is read-only: the files are hashed again next time.
    }
  return undefined;
}

/** Replaces the manifest atomically. */
export function writeManifest(directory: string, manifest: Manifest): void {
  writeAtomic(manifestPath(directory), [Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`)]);
}

/** SHA-256 of a file in hex. Synchronous, like loading: 850 MB take about half a second. */
export function hashFile(file: string): string {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(1 << 20);
  const descriptor = openSync(file, "r");
  try {
    for (let read = -1; read !== 0;) {
      read = readSync(descriptor, buffer);
      hash.update(buffer.subarray(0, read));
    }
  } finally {
    closeSync(descriptor);
  }
  return hash.digest("hex");
}
