import type { Module } from "../../module/module.ts";
import { BatchNormBase } from "./batchNorm.ts";

/**
 * Makes a module's batch norms compute with the statistics of the batch, also in evaluation: they lose their running ones,
 * whose updates in place keep `vmap` from computing all samples together.
 * @returns the module
 * @see https://docs.pytorch.org/docs/stable/func.batch_norm.html
 */
export function replaceAllBatchNormModules_<M extends Module>(root: M): M {
  for (const module of root.modules()) {
    if (!(module instanceof BatchNormBase) || !module.trackRunningStats) continue;
    module.runningMean = module.runningVar = module.numBatchesTracked = null;
    module.trackRunningStats = false;
  }
  return root;
}
