// PyTorch's torch.optim.lr_scheduler.
export { LRScheduler, type PerGroup, type SchedulerStateDict } from "./base.ts";
export { ChainedScheduler, SequentialLR, type SequentialLROptions } from "./composed.ts";
export {
  CosineAnnealingLR,
  CosineAnnealingWarmRestarts,
  type CosineAnnealingLROptions,
  type CosineAnnealingWarmRestartsOptions,
} from "./cosine.ts";
export { CyclicLR, type CyclicLROptions, type CyclicMode } from "./cyclic.ts";
export {
  ConstantLR,
  LinearLR,
  PolynomialLR,
  type ConstantLROptions,
  type LinearLROptions,
  type PolynomialLROptions,
} from "./factors.ts";
export { OneCycleLR, type OneCycleLROptions } from "./oneCycle.ts";
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from "./plateau.ts";
export {
  ExponentialLR,
  LambdaLR,
  MultiplicativeLR,
  MultiStepLR,
  StepLR,
  type ExponentialLROptions,
  type LambdaLROptions,
  type LRLambda,
  type MultiStepLROptions,
  type StepLROptions,
} from "./steps.ts";
