// PyTorch's torch.nn.modules: hooks of all modules, and state dicts of other programs.
export * as module from "./module/globalHooks.ts";
export * as utils from "./module/stateDictUtils.ts";
