import { NativeError } from "../errors.ts";
import type { Build, Host } from "../cache.ts";
import gpuWheels from "./gpuWheels.json";
import wheels from "./wheels.json";

/** Environment variable that allows more hashes than the pinned ones, for an index with its own builds. */
const ALLOWED = "LAYERWISE_WHEEL_SHA256";

/** Pinned wheels by platform, each file's name with its SHA-256 in hex. */
const WHEELS: Readonly<Record<string, Readonly<Record<string, string>>>> = wheels;
/** Those of the build for GPUs, and of CUDA's libraries. */
const GPU_WHEELS: Readonly<Record<string, string>> = gpuWheels;

/** The pinned wheels of a platform and build. */
const pinned = ({ platform, arch }: Host, build: Build): Readonly<Record<string, string>> =>
  build === "gpu" ? GPU_WHEELS : (WHEELS[`${platform}-${arch}`] ?? {});

/** The requirements of CUDA's libraries: those of the pinned wheels that aren't TensorFlow's. */
export const cudaRequirements = (): string[] =>
  Object.keys(GPU_WHEELS)
    .filter((name) => name.startsWith("nvidia_"))
    .map((name) => name.split("-").slice(0, 2).join("==").replaceAll("_", "-"));

/**
 * The SHA-256 hashes of the wheels that may be unpacked on a platform: those of {@link WHEELS}, and those of
 * LAYERWISE_WHEEL_SHA256 (separated by commas or spaces). Throws if the variable contains anything else.
 */
export function allowedWheels(host: Host, build: Build = "cpu"): ReadonlySet<string> {
  const own = (host.env[ALLOWED] ?? "")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  const wrong = own.find((hash) => !/^[0-9a-f]{64}$/.test(hash));
  if (wrong !== undefined)
    throw new NativeError(
      "unknown-wheel",
      `${ALLOWED} holds "${wrong.slice(0, 80)}"; expected SHA-256 hashes of 64 hexadecimal digits.`,
    );
  return new Set([...Object.values(pinned(host, build)), ...own]);
}

/** The error for a wheel whose hash isn't in {@link allowedWheels}. */
export const unknownWheel = (requirement: string, sha256: string): NativeError =>
  new NativeError(
    "unknown-wheel",
    `pip's index sent a wheel of ${requirement} that Layerwise doesn't know (SHA-256 ${sha256}); nothing of it was installed. ` +
      `If the index builds its own wheels and you trust them, set ${ALLOWED} to this hash and install again.`,
  );
