// Ops that TensorFlow's build for GPUs computes on the CPU: it places each op of a graph by itself.
import kernels from "./cpuOnlyOps.json";

const CPU_ONLY = new Set<string>(kernels.ops);

/** Returns those of the given ops that have kernels for the CPU alone, sorted and without duplicates. */
export const withoutGpuKernel = (ops: readonly string[]): string[] =>
  [...new Set(ops)].filter((op) => CPU_ONLY.has(op)).sort();
