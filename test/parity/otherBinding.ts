// The installed engine with another binding, such as the prebuilt one.
import fs from "node:fs";
import path from "node:path";
import { BINDING_FILE, nativeDirectory, readManifest, thisHost } from "../../extension/native/cache.ts";
import { hashFile, writeManifest } from "../../extension/native/integrity.ts";

/**
 * Makes a cache folder whose engine has the installed one's libraries, as links, and a given binding.
 * @returns the folder, for LAYERWISE_CACHE
 */
export function cacheWithBinding(binding: string, cache: string): string {
  const installed = nativeDirectory();
  const manifest = readManifest(installed);
  if (manifest === undefined)
    throw new Error(`there is no native engine in ${installed} to take libraries from`);
  const host = { ...thisHost(), env: { LAYERWISE_CACHE: cache } };
  const directory = nativeDirectory(host);
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  for (const name of Object.keys(manifest.files))
    if (name !== BINDING_FILE) fs.symlinkSync(path.join(installed, name), path.join(directory, name));
  const file = path.join(directory, BINDING_FILE);
  fs.copyFileSync(binding, file);
  const { size, mtimeMs } = fs.statSync(file);
  const record = { size, mtimeMs, sha256: hashFile(file) };
  writeManifest(directory, { ...manifest, files: { ...manifest.files, [BINDING_FILE]: record } });
  return cache;
}
