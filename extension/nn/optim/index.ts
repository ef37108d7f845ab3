// PyTorch's torch.optim: the `optim` that users import.
export { Adam, AdamW, type AdamOptions } from "./adam.ts";
export { Optimizer } from "./optimizer.ts";
export type { OptimizerStateDict, ParamGroup, ParamGroupInput, Params } from "./optimizer.ts";
export { SGD, type SGDOptions } from "./sgd.ts";
