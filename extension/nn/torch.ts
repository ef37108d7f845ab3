// PyTorch's torch: the `torch` that users import.
import { functional } from "./functional/callable.ts";

export * from "./inPlaceFunctions.ts";
export * from "./torchFunctions.ts";
export * as amp from "./amp.ts";
export { autocast } from "./amp.ts";
export { compile, type CompileOptions } from "./compile.ts";
export * as cuda from "./cuda.ts";
export * as nn from "./nn.ts";
// Functions that PyTorch has in `torch` as well as in `torch.nn.functional`.
export const {
  adaptiveAvgPool1d,
  avgPool1d,
  bilinear,
  celu,
  celu_,
  channelShuffle,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  groupNorm,
  hardshrink,
  layerNorm,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  pixelShuffle,
  pixelUnshuffle,
  prelu,
  relu_,
  rrelu,
  rrelu_,
  selu,
  selu_,
  threshold,
  threshold_,
} = functional;
export { load, save, type Loaded, type LoadOptions } from "./files.ts";
export * as onnx from "./onnx/index.ts";
export * as optim from "./optim/index.ts";
export * as utils from "./utils/torchUtils.ts";
export * as distributed from "./distributed/index.ts";
export * as distributions from "./distributions/index.ts";
export * as func from "./func.ts";
export { vmap } from "../tensor/differentiation/vmap.ts";
