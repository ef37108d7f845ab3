import { statSync } from "node:fs";
import path from "node:path";
import type { Device } from "../protocol/device.ts";
import type { NativeReport } from "../protocol/native.ts";
import { BINDING_FILE, nativeDirectory, readManifest, thisHost, type Host, type Manifest } from "./cache.ts";
import { findBindingSources, missingTools } from "./install/compile.ts";
import { machineProblem } from "./machine.ts";
import { findPlatform } from "./platforms.ts";

export interface NativeStatus extends NativeReport {
  /** Present if installed. */
  manifest?: Manifest;
}

const DEVICES: readonly Device[] = ["auto", "native", "wasm", "cpu"];

/** Reads LAYERWISE_DEVICE; "auto" if unset. Throws a RangeError for an unknown device. */
export function deviceOfEnvironment(env: NodeJS.ProcessEnv = process.env): Device {
  const value = env["LAYERWISE_DEVICE"] || "auto";
  const device = DEVICES.find((name) => name === value);
  if (device === undefined)
    throw new RangeError(`LAYERWISE_DEVICE: expected one of ${DEVICES.join(", ")}; got "${value}".`);
  return device;
}

/**
 * Returns which backend will run, and why. Checks only names, sizes and the environment; loads and hashes nothing. The loader
 * later checks the hash of a file whose time changed but not its size.
 */
export function nativeStatus(host: Host = thisHost()): NativeStatus {
  const directory = nativeDirectory(host);
  const device = deviceOfEnvironment(host.env);
  if (device === "wasm" || device === "cpu")
    return {
      backend: device,
      state: "disabled",
      reason: `LAYERWISE_DEVICE=${device}`,
      directory,
      missing: [],
    };
  if (findPlatform(host) === undefined)
    return {
      backend: "wasm",
      state: "unsupported",
      reason: `There is no native engine for ${host.platform}-${host.arch}.`,
      directory,
      missing: [],
    };
  const { manifest, problem } = inspect(directory);
  if (manifest !== undefined && problem === undefined)
    return {
      backend: "tensorflow",
      state: "installed",
      version: manifest.tensorflow,
      directory,
      manifest,
      missing: [],
    };
  const unfit = machineProblem(host);
  if (unfit !== undefined && problem === undefined)
    return {
      backend: "wasm",
      state: "unsupported",
      reason: `${unfit.text} ${unfit.fix}`,
      directory,
      missing: [],
    };
  const missing = missingTools(host, findBindingSources(host)).map(({ text }) => text);
  const install =
    missing.length > 0
      ? `Installing it needs ${missing.join("; and ")}.`
      : 'Install it with "layerwise engine install".';
  if (problem !== undefined)
    return {
      backend: "wasm",
      state: "broken",
      reason: `The native engine is damaged (${problem}). ${install}`,
      directory,
      missing,
    };
  return {
    backend: "wasm",
    state: "not-installed",
    reason: `The native engine is not installed. ${install}`,
    directory,
    missing,
  };
}

function inspect(directory: string): { manifest?: Manifest; problem?: string } {
  let manifest: Manifest | undefined;
  try {
    manifest = readManifest(directory);
  } catch {
    return { problem: "its manifest can't be read" };
  }
  if (manifest === undefined) return {};
  if (manifest.files[BINDING_FILE] === undefined) return { problem: `${BINDING_FILE} is missing` };
  for (const [name, record] of Object.entries(manifest.files)) {
    const size = statSync(path.join(directory, name), { throwIfNoEntry: false })?.size;
    if (size === undefined) return { problem: `${name} is missing` };
    if (size !== record.size) return { problem: `${name} has ${size} bytes instead of ${record.size}` };
  }
  return { manifest };
}
