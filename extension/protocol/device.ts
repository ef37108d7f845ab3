import * as v from "valibot";

/** What computes a run. */
export const Device = v.picklist(["auto", "native", "wasm", "cpu"]);
export type Device = v.InferOutput<typeof Device>;
