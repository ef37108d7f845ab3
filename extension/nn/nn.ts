// PyTorch's torch.nn: the `nn` that users import.
export { Module } from "./module/module.ts";
export type { Layer } from "./module/module.ts";
export type { StateDictNames } from "./module/moduleMembers.ts";
export type { HookOptions, RemovableHandle } from "./module/hookList.ts";
export type {
  BackwardHook,
  BackwardPreHook,
  ForwardHook,
  ForwardHookWithKwargs,
  ForwardPreHook,
  ForwardPreHookWithKwargs,
} from "./module/hooks.ts";
export type { StateDict } from "./module/stateDict.ts";
export type {
  LoadReport,
  LoadStateDictPostHook,
  LoadStateDictPreHook,
  StateDictHooks,
  StateDictPostHook,
  StateDictPreHook,
} from "./module/stateHooks.ts";
export { Parameter } from "../tensor/core/tensor.ts";
export { Buffer } from "./module/buffer.ts";
export { UninitializedBuffer, UninitializedParameter } from "./module/uninitialized.ts";
export type { LazyModule } from "./modules/lazy/lazyModule.ts";
export * from "./modules/index.ts";
export * from "./models/index.ts";
export * as attention from "./attention.ts";
export * as modules from "./modulesNamespace.ts";
export * as parallel from "./distributed/parallel.ts";
export { functional } from "./functional/callable.ts";
export * as init from "./initNames.ts";
export * as utils from "./utils/utils.ts";
