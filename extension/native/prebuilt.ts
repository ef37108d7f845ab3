import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { BINDING_FILE, BINDING_VERSION, type Host } from "./cache.ts";
import { NativeError, systemErrorCode } from "./errors.ts";
import { isOlder, machineOf } from "./machine.ts";

/** A binding that was compiled when Layerwise was packed. */
export interface Prebuilt {
  file: string;
  /** In hex. */
  sha256: string;
}

/** The list of a package's bindings by platform; scripts/package/prebuilt.mjs writes it. */
const Listing = v.object({
  binding: v.number(),
  files: v.record(
    v.string(),
    v.object({
      sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
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
  return { file: path.join(folder, key, BINDING_FILE), sha256: found.sha256 };
}

/** Copies a prebuilt binding whose hash is right. */
export async function copyPrebuilt({ file, sha256 }: Prebuilt, output: string): Promise<void> {
  const bytes = await fs.readFile(file).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (bytes === undefined || createHash("sha256").update(bytes).digest("hex") !== sha256)
    throw new NativeError(
      "broken",
      `Layerwise is damaged: ${file} ${bytes === undefined ? "is missing" : "differs from its hash"}. Install Layerwise again.`,
    );
  await fs.writeFile(output, bytes, { mode: 0o755 });
}
