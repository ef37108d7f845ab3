// What `import … from "layerwise"` gives.
import "../tensor/methods.ts";
import { libraryClasses } from "./module/moduleCall.ts";
import * as modules from "./modules/index.ts";

for (const { prototype } of Object.values(modules)) libraryClasses.add(prototype);

export * as torch from "./torch.ts";
export * as nn from "./nn.ts";
export { functional as F } from "./functional/callable.ts";
export * as optim from "./optim/index.ts";
export * as copy from "./module/copy.ts";
export * as data from "./data/index.ts";
export * as distributions from "./distributions/index.ts";
export * as transforms from "./transforms/index.ts";
export * as metrics from "./metrics/index.ts";
export {
  experiment,
  type Batch,
  type Experiment,
  type ExperimentOptions,
  type TrainContext,
  type TrainStep,
} from "./experiment/experiment.ts";
export { slice, type Slice } from "../tensor/functions/shape/slice.ts";
export { format } from "./format.ts";
export { print } from "./print.ts";
export { summary, type SummaryOptions } from "./summary/index.ts";
export type { Parameter, Tensor } from "../tensor/core/tensor.ts";
export type { DType } from "../tensor/core/dtype.ts";
export type { Shape } from "../tensor/core/shape.ts";
