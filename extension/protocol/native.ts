import * as v from "valibot";
import { ExecutorInfo } from "./run.ts";

/** Which backend will run, and how the native engine stands: what `layerwise engine status --json` prints. */
export const NativeReport = v.object({
  /** The backend a run with device "auto" gets. */
  backend: ExecutorInfo.entries.backend,
  state: v.picklist(["installed", "not-installed", "broken", "disabled", "unsupported"]),
  /** Why it isn't the native engine, in one line. */
  reason: v.optional(v.string()),
  /** NVIDIA's driver and the build for GPUs, where there is either. */
  gpu: v.optional(
    v.object({
      installed: v.boolean(),
      /** Why a run on device "gpu" computes on the CPU, or what to do to have one, in one line. */
      problem: v.optional(v.string()),
      /** The driver's version, if it is known. */
      driver: v.optional(v.string()),
    }),
  ),
  /** Whether this is Linux in Windows. */
  wsl: v.optional(v.boolean()),
  /** TensorFlow's version when installed. */
  version: v.optional(v.string()),
  /** The installation's folder, existing or not. */
  directory: v.string(),
  /** Tools an installation would need and that aren't on PATH. */
  missing: v.array(v.string()),
});
export type NativeReport = v.InferOutput<typeof NativeReport>;

/** One finding of `layerwise engine doctor`; with `--json`, it prints a list of them. */
export const EngineCheck = v.object({
  name: v.string(),
  state: v.picklist(["ok", "warning", "problem"]),
  /** One line: what was found. */
  text: v.string(),
  /** One line: what to do. */
  fix: v.optional(v.string()),
});
export type EngineCheck = v.InferOutput<typeof EngineCheck>;

export const InstallProgress = v.object({
  phase: v.picklist(["wait", "download", "unpack", "compile", "verify"]),
  /** Of the whole installation, 0 to 1; never falls. */
  fraction: v.number(),
  /** The current activity, such as "Downloading TensorFlow 2.21.0 (120 of 274 MB)". */
  text: v.string(),
});
export type InstallProgress = v.InferOutput<typeof InstallProgress>;

/** One line of `layerwise engine install --json`; the last is "installed", "failed" or "cancelled". */
export const InstallLine = v.variant("type", [
  v.object({ type: v.literal("progress"), ...InstallProgress.entries }),
  v.object({
    type: v.literal("installed"),
    directory: v.string(),
    /** False when it was there already. */
    installed: v.boolean(),
  }),
  v.object({
    type: v.literal("failed"),
    /** Stable id, such as "no-compiler" or "no-network". */
    code: v.string(),
    /** One line for the user. */
    message: v.string(),
    /** Output of pip or the compiler, for a log. */
    detail: v.optional(v.string()),
  }),
  v.object({ type: v.literal("cancelled") }),
]);
export type InstallLine = v.InferOutput<typeof InstallLine>;
