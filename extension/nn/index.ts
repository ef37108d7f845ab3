// Exports of the package `layerwise`.
import "../tensor/methods.ts";
import { libraryClasses } from "./module/moduleCall.ts";
import * as modules from "./modules/index.ts";

for (const { prototype } of Object.values(modules)) libraryClasses.add(prototype);

/** Functions of tensors, random numbers, linear algebra, automatic differentiation and files: PyTorch's `torch`. */
export * as torch from "./torch.ts";
/** Layers, losses, containers and pretrained models: PyTorch's `torch.nn`. */
export * as nn from "./nn.ts";
/** The computations of layers and losses as functions: PyTorch's `torch.nn.functional`. */
export { functional as F } from "./functional/callable.ts";
/** Optimizers and learning rate schedules: PyTorch's `torch.optim`. */
export * as optim from "./optim/index.ts";
/** Copies of modules, as Python's `copy` makes them. */
export * as copy from "./module/copy.ts";
/** Data sets, samplers, loaders and the bundled data: PyTorch's `torch.utils.data` and more. */
export * as data from "./data/index.ts";
/** Probability distributions: PyTorch's `torch.distributions`. */
export * as distributions from "./distributions/index.ts";
/** Exchanges between the processes that train a model together: PyTorch's `torch.distributed`. */
export * as distributed from "./distributed/index.ts";
/** Transforms of images, for data sets: torchvision's `transforms`. */
export * as transforms from "./transforms/index.ts";
/** Metrics of classification and regression. */
export * as metrics from "./metrics/index.ts";
export {
  experiment,
  type Batch,
  type Experiment,
  type ExperimentOptions,
  type TrainContext,
  type TrainStep,
} from "./experiment/experiment.ts";
export { sweep, type Domain } from "./experiment/searchSpace.ts";
export { slice, type Slice } from "../tensor/functions/shape/slice.ts";
export { format } from "./format.ts";
export { print } from "./print.ts";
export { summary, type SummaryOptions } from "./summary/index.ts";
export type { Parameter, Tensor } from "../tensor/core/tensor.ts";
export type { DType } from "../tensor/core/dtype.ts";
export type { Shape } from "../tensor/core/shape.ts";
