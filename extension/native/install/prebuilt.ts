import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { BINDING_VERSION, type Host } from "../cache.ts";
import { NativeError, systemErrorCode } from "../errors.ts";
import { isOlder, machineOf } from "../machine.ts";

/** A binding that was compiled when Layerwise was packed. */
export interface Prebuilt {
  folder: string;
  /** Its files, by name, with their SHA-256 in hex. */
  files: Readonly<Record<string, string>>;
}

/** The list of a package's bindings by platform; scripts/package/prebuilt.mjs writes it. */
const Listing = v.object({
  binding: v.number(),
  files: v.record(
    v.string(),
    v.object({
      /** By name of a file: the binding, and what it needs beside it. */
      sha256: v.record(v.string(), v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
      /** The oldest glibc that it loads on; only of Linux. */
      glibc: v.optional(v.string()),
    }),
  ),
});

/** Finds the binding for a platform in a package's folder of bindings; undefined if none fits. */
export function findPrebuilt(folder: string, host: Host): Prebuilt | undefined {
  let text: string;
  try {
    text = readFileSync(path.join(folder, "bindings.json"), "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const { binding, files } = v.parse(Listing, JSON.parse(text));
  const key = `${host.platform}-${host.arch}`;
  const found = files[key];
  if (found === undefined || binding !== BINDING_VERSION) return undefined;
  const { glibc } = machineOf(host);
  if (found.glibc !== undefined && (glibc === undefined || isOlder(glibc, found.glibc))) return undefined;
  return { folder: path.join(folder, key), files: found.sha256 };
}

/** Throws a {@link NativeError} unless all files of a prebuilt binding have the right hashes. */
export function checkPrebuilt({ folder, files }: Prebuilt): void {
  for (const [name, sha256] of Object.entries(files)) {
    const file = path.join(folder, name);
    const bytes = existsSync(file) ? readFileSync(file) : undefined;
    if (!isIntact(bytes, sha256)) throw damagedPackage(file, bytes);
  }
}

const isIntact = (bytes: Uint8Array | undefined, sha256: string): bytes is Uint8Array =>
  bytes !== undefined && createHash("sha256").update(bytes).digest("hex") === sha256;

const damagedPackage = (file: string, bytes: Uint8Array | undefined): NativeError =>
  new NativeError(
    "broken",
    `Layerwise is damaged: ${file} ${bytes === undefined ? "is missing" : "differs from its hash"}. Install Layerwise again.`,
  );

/** Copies the files of a prebuilt binding into a folder, if their hashes are right. */
export async function copyPrebuilt({ folder, files }: Prebuilt, target: string): Promise<void> {
  for (const [name, sha256] of Object.entries(files)) {
    const file = path.join(folder, name);
    const bytes = await fs.readFile(file).catch((error: unknown) => {
      if (systemErrorCode(error) === "ENOENT") return undefined;
      throw error;
    });
    if (!isIntact(bytes, sha256)) throw damagedPackage(file, bytes);
    await fs.writeFile(path.join(target, path.basename(name)), bytes, { mode: 0o755 });
  }
}
