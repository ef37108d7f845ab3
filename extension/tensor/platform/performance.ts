// PyTorch's switches for speed, which programs set at their top. The engine chooses by itself.
import { availableParallelism } from "node:os";
import { TensorError } from "../core/errors.ts";

const PRECISIONS = ["highest", "high", "medium"] as const;
export type MatmulPrecision = (typeof PRECISIONS)[number];

let precision: MatmulPrecision = "highest";
let threads: number | undefined;

/**
 * Kept, without effect: products of float32 matrices are computed in float32.
 * @throws TensorError 'Float32 matmul precision must be one of "highest", "high", "medium"'
 */
export function setFloat32MatmulPrecision(value: MatmulPrecision): void {
  if (!PRECISIONS.includes(value))
    throw new TensorError(
      "value",
      `set_float32_matmul_precision: expected one of "highest", "high", "medium", but got "${value}"`,
    );
  precision = value;
}

/** The last value given to {@link setFloat32MatmulPrecision}. Default "highest". */
export const getFloat32MatmulPrecision = (): MatmulPrecision => precision;

/**
 * Kept, without effect: the engine chooses how many threads compute.
 * @throws TensorError "expects a positive integer"
 */
export function setNumThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1)
    throw new TensorError("value", "set_num_threads expects a positive integer");
  threads = count;
}

/** The last value given to {@link setNumThreads}. Default: the number of processor cores. */
export const getNumThreads = (): number => threads ?? availableParallelism();
