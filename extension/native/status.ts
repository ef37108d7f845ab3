import { statSync } from "node:fs";
import path from "node:path";
import { Device, withoutTensorFlow } from "../protocol/device.ts";
import type { NativeReport } from "../protocol/native.ts";
import {
  bindingOf,
  nativeDirectory,
  readManifest,
  thisHost,
  type Build,
  type Host,
  type Manifest,
} from "./cache.ts";
import { findBindingSources, missingTools } from "./install/compile.ts";
import { gpuProblem, machineOf, machineProblem } from "./machine.ts";
import { findPlatform } from "./platforms.ts";

export interface NativeStatus extends NativeReport {
  /** Present if installed. */
  manifest?: Manifest;
}

/** Reads LAYERWISE_DEVICE; "auto" if unset. Throws a RangeError for an unknown device. */
export function deviceOfEnvironment(env: NodeJS.ProcessEnv = process.env): Device {
  const value = env["LAYERWISE_DEVICE"] || "auto";
  const device = Device.options.find((name) => name === value);
  if (device === undefined)
    throw new RangeError(`LAYERWISE_DEVICE: expected one of ${Device.options.join(", ")}; got "${value}".`);
  return device;
}

/**
 * Returns which backend will run, and why. Checks only names, sizes and the environment; loads and hashes nothing. The loader
 * later checks the hash of a file whose time changed but not its size.
 */
export function nativeStatus(host: Host = thisHost()): NativeStatus {
  const device = deviceOfEnvironment(host.env);
  const gpu = gpuReport(host);
  const wsl = host.platform === "linux" && machineOf(host).wsl;
  return {
    ...engineStatus(host, device, device === "gpu" ? "gpu" : "cpu"),
    ...(gpu !== undefined && { gpu }),
    ...(wsl && { wsl }),
  };
}

/** Looks for names alone. */
function gpuReport(host: Host): NativeReport["gpu"] {
  const { nvidia } = machineOf(host);
  const installed = inspect(nativeDirectory(host, "gpu"), "gpu").manifest !== undefined;
  if (findPlatform(host, "gpu") === undefined || (nvidia === undefined && !installed)) return undefined;
  const problem = gpuProblem(host);
  return {
    installed,
    ...(problem !== undefined && { problem: `${problem.text} ${problem.fix}` }),
    ...(nvidia?.version !== undefined && { driver: nvidia.version }),
  };
}

function engineStatus(host: Host, device: Device, build: Build): NativeStatus {
  const directory = nativeDirectory(host, build);
  if (withoutTensorFlow(device))
    return {
      backend: device,
      state: "disabled",
      reason: `LAYERWISE_DEVICE=${device}`,
      directory,
      missing: [],
    };
  const sources = findBindingSources(host);
  const backend = sources.prebuilt === undefined ? "wasm" : "kernels";
  if (findPlatform(host, build) === undefined)
    return {
      backend,
      state: "unsupported",
      reason: `There is no native engine for ${build === "gpu" ? "GPUs on " : ""}${host.platform}-${host.arch}.`,
      directory,
      missing: [],
    };
  const name = build === "gpu" ? "The native engine for GPUs" : "The native engine";
  const { manifest, problem } = inspect(directory, build);
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
      backend,
      state: "unsupported",
      reason: `${unfit.text} ${unfit.fix}`,
      directory,
      missing: [],
    };
  const missing = missingTools(host, sources).map(({ text }) => text);
  const install =
    missing.length > 0
      ? `Installing it needs ${missing.join("; and ")}.`
      : `Install it with "layerwise engine install${build === "gpu" ? " --gpu" : ""}".`;
  if (problem !== undefined)
    return {
      backend,
      state: "broken",
      reason: `${name} is damaged (${problem}). ${install}`,
      directory,
      missing,
    };
  return {
    backend,
    state: "not-installed",
    reason: `${name} is not installed. ${install}`,
    directory,
    missing,
  };
}

function inspect(directory: string, build: Build): { manifest?: Manifest; problem?: string } {
  let manifest: Manifest | undefined;
  try {
    manifest = readManifest(directory);
  } catch {
    return { problem: "its manifest can't be read" };
  }
  if (manifest === undefined) return {};
  const binding = bindingOf(build);
  if (manifest.files[binding] === undefined) return { problem: `${binding} is missing` };
  for (const [name, record] of Object.entries(manifest.files)) {
    const size = statSync(path.join(directory, name), { throwIfNoEntry: false })?.size;
    if (size === undefined) return { problem: `${name} is missing` };
    if (size !== record.size) return { problem: `${name} has ${size} bytes instead of ${record.size}` };
  }
  return { manifest };
}
