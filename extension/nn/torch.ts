// PyTorch's torch: the `torch` that users import.
export * from "../tensor/torch.ts";
export { load, save } from "./files.ts";
export * as onnx from "./onnx/index.ts";
