// PyTorch's torch.nn.modules: hooks of all modules.
export * as module from "./module/globalHooks.ts";
