import { NativeError } from "../errors.ts";
import type { Host } from "../cache.ts";
import wheels from "./wheels.json";

/** Environment variable that allows more hashes than the pinned ones, for an index with its own builds. */
const ALLOWED = "LAYERWISE_WHEEL_SHA256";

/** Pinned wheels by platform, each file's name with its SHA-256 in hex. */
const WHEELS: Readonly<Record<string, Readonly<Record<string, string>>>> = wheels;

/**
 * The SHA-256 hashes of the wheels that may be unpacked on a platform: those of {@link WHEELS}, and those of
 * LAYERWISE_WHEEL_SHA256 (separated by commas or spaces). Throws if the variable contains anything else.
 */
export function allowedWheels({ platform, arch, env }: Host): ReadonlySet<string> {
  const own = (env[ALLOWED] ?? "")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  const wrong = own.find((hash) => !/^[0-9a-f]{64}$/.test(hash));
  if (wrong !== undefined)
    throw new NativeError(
      "unknown-wheel",
      `${ALLOWED} holds "${wrong.slice(0, 80)}"; expected SHA-256 hashes of 64 hexadecimal digits.`,
    );
  return new Set([...Object.values(WHEELS[`${platform}-${arch}`] ?? {}), ...own]);
}

/** The error for a wheel whose hash isn't in {@link allowedWheels}. */
export const unknownWheel = (requirement: string, sha256: string): NativeError =>
  new NativeError(
    "unknown-wheel",
    `pip's index sent a wheel of ${requirement} that Layerwise doesn't know (SHA-256 ${sha256}); it was not unpacked. ` +
      `If the index builds its own wheels and you trust them, set ${ALLOWED} to this hash and install again.`,
  );
