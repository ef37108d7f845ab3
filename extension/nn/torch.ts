// PyTorch's torch: the `torch` that users import.
export * from "./torchFunctions.ts";
export * as amp from "./amp.ts";
export { autocast } from "./amp.ts";
export * as cuda from "./cuda.ts";
export * as nn from "./nn.ts";
export { load, save, type Loaded, type LoadOptions } from "./files.ts";
export * as onnx from "./onnx/index.ts";
export * as optim from "./optim/index.ts";
export * as utils from "./utils/torchUtils.ts";
export * as distributed from "./distributed/index.ts";
export * as distributions from "./distributions/index.ts";
export * as func from "./func.ts";
export { vmap } from "../tensor/differentiation/vmap.ts";
