import { createRequire } from "node:module";
import path from "node:path";
import { distFolder } from "../files/shipped.ts";
import { TENSORFLOW_VERSION, thisHost } from "../native/cache.ts";
import { NativeError } from "../native/errors.ts";
import { loadKernels, loadNative } from "../native/load.ts";
import { gpuProblem } from "../native/machine.ts";
import type { Device } from "../protocol/device.ts";
import type { ExecutorInfo } from "../protocol/run.ts";
import "../tensor/ops/table.ts";
import { setExecutor, type Executor } from "../tensor/planning/barrier.ts";
import type { Tfjs } from "../tensor/recording/op.ts";
import { joinBy } from "../tensor/distributed/communicator.ts";
import { drawBy } from "../tensor/random/mt19937.ts";
import type { Choice, Fallbacks } from "./choices.ts";
import { tryKernels } from "./kernels/trial.ts";
import { KernelExecutor } from "./kernels/executor.ts";
import { TensorFlowExecutor } from "./tensorflow/executor.ts";
import { TfjsExecutor } from "./tfjs/executor.ts";
import { quiet, tfjsLoader } from "./tfjs/load.ts";

/** The executor of this process. */
export interface LoadedExecutor {
  readonly info: ExecutorInfo;
  /** Counts of runs since the process began, by how they ran: `interpreted`, `compiledRuns`, …, and live `tensors`. */
  counters(): Record<string, number>;
  /** Automatic choices so far, for the process and for each graph, with their reasons. */
  choices(): Choice[];
  /** Graphs of a training that couldn't be compiled; undefined for an executor that compiles nothing. */
  readonly fallbacks: Fallbacks | undefined;
  /** Frees its graphs. Call it when another executor takes its place and none of its values will be read. */
  close(): void;
}

/**
 * Loads an executor and installs it for all tensors: TensorFlow if it is installed, else the kernels that ship with Layerwise, else
 * the wasm backend, else plain JavaScript.
 * @param device "auto" takes the best available; any other is taken or refused. "gpu" falls back to TensorFlow's
 * CPU kernels, with the reason.
 * @throws NativeError when "native" or "gpu" is requested and can't be loaded
 */
export async function loadExecutor(device: Device): Promise<LoadedExecutor> {
  if (device === "gpu") return loadGpu();
  let reason: string | undefined;
  if (device === "native" || device === "auto") {
    try {
      const binding = loadNative();
      drawBy(binding);
      const executor = new TensorFlowExecutor(binding, ownCores());
      joinBy((cluster) => executor.join(cluster));
      return install(executor, {
        backend: "tensorflow",
        version: `TensorFlow ${TENSORFLOW_VERSION} with Layerwise's own kernels`,
      });
    } catch (error) {
      if (device === "native" || !(error instanceof NativeError)) throw error;
      reason = error.message;
    }
  }
  joinBy(undefined);
  const loadTfjs = await tfjsLoader();
  if (device === "kernels" || device === "auto") {
    try {
      const binding = await loadKernels(tryKernels);
      drawBy(binding);
      return install(new KernelExecutor(binding, () => onCpu(quiet(loadTfjs())), ownCores()), {
        backend: "kernels",
        version: "Layerwise's own kernels",
        ...(reason !== undefined && { reason }),
      });
    } catch (error) {
      if (device === "kernels" || !(error instanceof NativeError)) throw error;
      reason = error.code === "not-installed" ? reason : error.message;
    }
  }
  drawBy(undefined);
  const library = loadTfjs();
  const k = quiet(library);
  const why = reason === undefined ? {} : { reason };
  if (device !== "cpu") {
    library.setWasmPaths(wasmFolder());
    if (await k.setBackend("wasm")) {
      return install(new TfjsExecutor(k), {
        backend: "wasm",
        version: `tfjs ${k.version_core} wasm`,
        ...why,
      });
    }
    reason ??= "the wasm backend can't be started";
  }
  await k.setBackend("cpu");
  return install(new TfjsExecutor(k), { backend: "cpu", version: `tfjs ${k.version_core} cpu`, ...why });
}

/** The cpu backend is there at once: a plan that needs it can't wait. */
function onCpu(k: Tfjs): Tfjs {
  if (k.getBackend() !== "cpu") void k.setBackend("cpu");
  return k;
}

/** Cores that this process is to use, where several share the machine. */
function ownCores(): number | undefined {
  const cores = Number(process.env["LAYERWISE_CORES"]);
  return Number.isSafeInteger(cores) && cores > 0 ? cores : undefined;
}

function loadGpu(): LoadedExecutor {
  const binding = loadNative(thisHost(), "gpu");
  drawBy(binding);
  const gpu = binding.isUsingGpuDevice();
  return install(new TensorFlowExecutor(binding, undefined, gpu), {
    backend: "tensorflow",
    version: `TensorFlow ${TENSORFLOW_VERSION}${gpu ? " on a GPU" : ""}`,
    gpu: true,
    ...(gpu ? {} : { reason: `TensorFlow's kernels for the CPU compute: ${whyNoGpu()}` }),
  });
}

const whyNoGpu = (): string => gpuProblem(thisHost())?.text ?? "it finds no GPU.";

function install(
  executor: Executor & {
    readonly counters: Record<string, number>;
    readonly tensors: number;
    readonly fallbacks?: Fallbacks;
    choices(): Choice[];
    close?(): void;
  },
  info: ExecutorInfo,
): LoadedExecutor {
  setExecutor(executor);
  const why =
    info.reason ?? (info.backend === "tensorflow" ? "the native engine is installed" : "it was asked for");
  const engine = { graph: "", about: "engine", chosen: info.version, why };
  return {
    info,
    counters: () => ({ ...executor.counters, tensors: executor.tensors }),
    choices: () => [engine, ...executor.choices()],
    fallbacks: executor.fallbacks,
    close: () => executor.close?.(),
  };
}

/** Beside the bundle in a build, in the package when running from source. */
function wasmFolder(): string {
  const dist = distFolder();
  if (dist !== undefined) return path.join(dist, "wasm", path.sep);
  const module = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm");
  return path.join(path.dirname(module), path.sep);
}
