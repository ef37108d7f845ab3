// What TensorFlow's build for GPUs computes on the CPU all the same. It places each op of a graph by itself.
import kernels from "./cpuOnlyOps.json";

const CPU_ONLY = new Set<string>(kernels.ops);

/** The ops among some that have kernels for the CPU alone, each once. */
export const withoutGpuKernel = (ops: readonly string[]): string[] =>
  [...new Set(ops)].filter((op) => CPU_ONLY.has(op)).sort();
