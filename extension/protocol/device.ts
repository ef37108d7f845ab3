import * as v from "valibot";

/** The engine that computes a run; "gpu" is the native engine's build for NVIDIA's GPUs. */
export const Device = v.picklist(["auto", "native", "gpu", "wasm", "cpu"]);
export type Device = v.InferOutput<typeof Device>;
