import type { Tensor } from "../../../tensor/core/tensor.ts";

const tables = new WeakSet<Tensor>();

/** Notes that the gradients of a table are sparse in PyTorch: `sparse: true`. Here they are dense, with the same values. */
export function noteSparse(weight: Tensor): void {
  tables.add(weight);
}

export const isSparseTable = (weight: Tensor): boolean => tables.has(weight);
