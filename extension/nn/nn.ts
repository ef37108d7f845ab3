// PyTorch's torch.nn: the `nn` that users import.
export { Module } from "./module/module.ts";
export type { Layer, StateDictNames } from "./module/module.ts";
export type {
  BackwardHook,
  BackwardPreHook,
  ForwardHook,
  ForwardPreHook,
  HookOptions,
  RemovableHandle,
} from "./module/hooks.ts";
export type { LoadReport, StateDict } from "./module/stateDict.ts";
export { Parameter } from "../tensor/core/tensor.ts";
export * from "./modules/index.ts";
export * from "./models/index.ts";
export * as parallel from "./distributed/parallel.ts";
export { functional } from "./functional/callable.ts";
export * as init from "./init.ts";
export * as utils from "./utils/utils.ts";
