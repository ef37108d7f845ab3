import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import path from "node:path";
import type { NativeBinding } from "./binding.ts";
import { BINDING_FILE, bindingOf, thisHost, type Build, type Host } from "./cache.ts";
import { NativeError } from "./errors.ts";
import { findBindingSources } from "./install/compile.ts";
import { checkPrebuilt } from "./install/prebuilt.ts";
import { findDamage } from "./integrity.ts";
import { nativeStatus } from "./status.ts";

/**
 * Sizes of TensorFlow's thread pools. The library reads them once when it loads, so a supervisor sets them in the environment of
 * a child process ({@link threadEnvironment}). By default, {@link loadNative} uses half the cores inside an op, and TensorFlow
 * uses one thread per core between ops.
 */
export interface Threads {
  /** Threads inside one op (matrix products, convolutions). */
  intraOp?: number;
  /** Ops that may run at the same time. */
  interOp?: number;
}

/** The environment variables for {@link Threads}, to be merged into a child's environment before it starts. */
export function threadEnvironment({ intraOp, interOp }: Threads): Record<string, string> {
  return {
    ...(intraOp === undefined ? {} : { TF_NUM_INTRAOP_THREADS: String(intraOp) }),
    ...(interOp === undefined ? {} : { TF_NUM_INTEROP_THREADS: String(interOp) }),
  };
}

/** The prebuilt binding: a file of its own, which finds no TensorFlow beside it. */
let kernels: NativeBinding | undefined;
let loaded: { readonly binding: NativeBinding; readonly build: Build } | undefined;

/** The size of this process's pool, and the reason for it. */
export interface ChosenThreads {
  readonly intraOp: string;
  readonly interOp: string | undefined;
  readonly why: string;
  /** Whether the environment set it. */
  readonly asked: boolean;
}
let threads: ChosenThreads | undefined;

/** Undefined before {@link loadNative}. */
export const chosenThreads = (): ChosenThreads | undefined => threads;

/**
 * Loads the binding into this process, once. It loads TensorFlow when something needs it, which takes about 0.3 s. Throws a
 * {@link NativeError} ("not-installed", "broken", "load-failed") whose one-line message says why the engine can't be used. Ignores
 * LAYERWISE_DEVICE: the caller has chosen.
 */
export function loadNative(host: Host = thisHost(), build: Build = "cpu"): NativeBinding {
  if (loaded?.build === build) return loaded.binding;
  if (loaded !== undefined)
    throw new NativeError("load-failed", "This process has loaded TensorFlow's other build already.");
  const env = { ...host.env, LAYERWISE_DEVICE: build === "gpu" ? "gpu" : "native" };
  const status = nativeStatus({ ...host, env });
  if (status.manifest === undefined)
    throw new NativeError(
      status.state === "broken" ? "broken" : "not-installed",
      status.reason ?? "The native engine is not installed.",
    );
  const damaged = findDamage(status.directory, status.manifest);
  if (damaged !== undefined)
    throw new NativeError(
      "broken",
      `The native engine is damaged (${damaged} was changed). Install it again with "layerwise engine install".`,
    );
  // TensorFlow's errors reach JavaScript as exceptions; its log lines are noise in a run's log.
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "3";
  // TensorFlow disables oneDNN on processors without AVX-512, though its convolutions are over twice as fast there too.
  process.env["TF_ENABLE_ONEDNN_OPTS"] ??= "1";
  // Half the cores inside one op: small products lose more by synchronizing threads than they gain. The other half is for ops
  // that run at the same time. Measured on two cores: MLP 1.2 times as fast, convolutions 0.7 times.
  const cores = availableParallelism();
  const asked = process.env["TF_NUM_INTRAOP_THREADS"];
  const intraOp = (process.env["TF_NUM_INTRAOP_THREADS"] ??= String(Math.max(1, cores >> 1)));
  threads = {
    intraOp,
    interOp: process.env["TF_NUM_INTEROP_THREADS"],
    asked: asked !== undefined,
    why:
      asked === undefined
        ? `half of ${cores} cores: small products lose more by synchronizing threads than they gain`
        : "set by TF_NUM_INTRAOP_THREADS or a setting",
  };
  // Each session gets a pool of its own, of the size that its graph gains most from.
  process.env["TF_OVERRIDE_GLOBAL_THREADPOOL"] ??= "1";
  if (build === "gpu") setGpuVariables();
  const binding = requireBinding(path.join(status.directory, bindingOf(build)));
  loaded = { binding, build };
  return binding;
}

function requireBinding(file: string): NativeBinding {
  let binding: unknown;
  try {
    binding = createRequire(import.meta.url)(file);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new NativeError("load-failed", `The native engine can't be loaded: ${detail.split("\n")[0]}`, {
      detail,
      cause: error,
    });
  }
  if (!isBinding(binding))
    throw new NativeError("broken", `The native engine is damaged (${BINDING_FILE} is another addon).`);
  return binding;
}

/**
 * Loads the binding for its own kernels, which need no TensorFlow: the prebuilt one that ships with Layerwise, else that of an installed
 * engine. Throws a {@link NativeError} ("not-installed", "broken", "load-failed").
 * @param attempt tries the prebuilt one outside of this process, before it is loaded here; throws if it doesn't work
 */
export async function loadKernels(
  attempt: (file: string, host: Host) => Promise<void>,
  host: Host = thisHost(),
): Promise<NativeBinding> {
  if (loaded?.build === "cpu") return loaded.binding;
  if (kernels !== undefined) return kernels;
  const { prebuilt } = findBindingSources(host);
  if (prebuilt === undefined) return loadNative(host);
  checkPrebuilt(prebuilt);
  const file = path.join(prebuilt.folder, BINDING_FILE);
  await attempt(file, host);
  return (kernels = requireBinding(file));
}

/** What TensorFlow's build for GPUs reads when it loads. */
function setGpuVariables(): void {
  // Otherwise the first of several processes takes all memory of the GPU.
  process.env["TF_FORCE_GPU_ALLOW_GROWTH"] ??= "true";
  // Products in float32, as on the CPU and in PyTorch, instead of in TF32's 10 bits.
  process.env["NVIDIA_TF32_OVERRIDE"] ??= "0";
}

const isBinding = (value: unknown): value is NativeBinding =>
  typeof value === "object" && value !== null && "loadTensorFlow" in value && "openGraph" in value;
