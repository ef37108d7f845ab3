import * as v from "valibot";

/** The engine that computes a run; "gpu" is the native engine's build for NVIDIA's GPUs, "kernels" what of it needs no TensorFlow. */
export const Device = v.picklist(["auto", "native", "gpu", "kernels", "wasm", "cpu"]);
export type Device = v.InferOutput<typeof Device>;

/** Whether a device was chosen that computes without TensorFlow. */
export const withoutTensorFlow = (device: Device): device is "kernels" | "wasm" | "cpu" =>
  device === "kernels" || device === "wasm" || device === "cpu";
