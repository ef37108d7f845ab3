// PyTorch's torch.optim: the `optim` that users import.
export { Adadelta, type AdadeltaOptions } from "./adadelta.ts";
export { Adafactor, type AdafactorOptions } from "./adafactor.ts";
export { Adagrad, type AdagradOptions } from "./adagrad.ts";
export { Adam, AdamW, type AdamOptions } from "./adam.ts";
export { Adamax, type AdamaxOptions } from "./adamax.ts";
export { ASGD, type ASGDOptions } from "./asgd.ts";
export { LBFGS, type LBFGSOptions } from "./lbfgs.ts";
export * as lrScheduler from "./lrScheduler/index.ts";
export { Muon, type MuonOptions, type MuonRate } from "./muon.ts";
export { NAdam, type NAdamOptions } from "./nadam.ts";
export { Optimizer } from "./optimizer.ts";
export type { OptimizerStateDict, SavedState } from "./optimizer.ts";
export type { ParamGroup, ParamGroupInput, Params } from "./groups.ts";
export { RAdam, type RAdamOptions } from "./radam.ts";
export { RMSprop, type RMSpropOptions } from "./rmsprop.ts";
export { Rprop, type RpropOptions } from "./rprop.ts";
export { SGD, type SGDOptions } from "./sgd.ts";
export * as swaUtils from "./swaUtils.ts";
