// PyTorch's torch.nn: the `nn` that users import.
export { Module } from "./module.ts";
export type { Layer, StateDictNames } from "./module.ts";
export type {
  BackwardHook,
  BackwardPreHook,
  ForwardHook,
  ForwardPreHook,
  HookOptions,
  RemovableHandle,
} from "./hooks.ts";
export type { LoadReport, StateDict } from "./stateDict.ts";
export { Parameter } from "../tensor/tensor.ts";
export * from "./modules/index.ts";
export * from "./models/index.ts";
export * as functional from "./functional/callable.ts";
export * as init from "./init.ts";
export * as utils from "./utils.ts";
