import * as v from "valibot";
import { Device } from "./device.ts";

/** A training step to be measured. Paths are absolute. */
export const ProfileRequest = v.object({
  file: v.string(),
  exportName: v.string(),
  device: Device,
  seed: v.optional(v.number()),
  /** Weights to begin with: a `.safetensors` file. */
  checkpoint: v.optional(v.string()),
  /** Seconds for each of the two measurements, once everything is warm; 2 by default. */
  seconds: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(600))),
});
export type ProfileRequest = v.InferOutput<typeof ProfileRequest>;

/** One direction of a layer in one step. */
const Pass = v.object({
  /** Median over the measured steps, in milliseconds. */
  ms: v.number(),
  ops: v.number(),
  /** As the op table counts them; 0 where no op has any. */
  multiplyAdds: v.number(),
});
export type Pass = v.InferOutput<typeof Pass>;

/** A module without those in it: what its own `forward` calls. */
export const LayerProfile = v.object({
  /** Dotted path; "" for code outside all layers: the model's own `forward`, the loss and the step's own code. */
  path: v.string(),
  className: v.string(),
  forward: Pass,
  backward: Pass,
  /** Bytes of its values that the backward pass needs. */
  activationBytes: v.number(),
  /** Bytes of the gradients of its own weights. */
  gradientBytes: v.number(),
});
export type LayerProfile = v.InferOutput<typeof LayerProfile>;

/** A choice of the engine's, or what wasn't compiled: see the engine's `Choice`. */
export const ChoiceReport = v.object({
  graph: v.string(),
  about: v.string(),
  chosen: v.string(),
  why: v.string(),
});

export const Profile = v.object({
  file: v.string(),
  exportName: v.string(),
  model: v.string(),
  /** Engine that computed it: "TensorFlow 2.21.0 with Layerwise's own kernels". */
  engine: v.string(),
  cpu: v.string(),
  /** Samples in the batch. */
  batch: v.number(),
  /** Steps that were timed op by op. */
  steps: v.number(),
  /** In the order of the model; the entry for code outside all layers comes last. */
  layers: v.array(LayerProfile),
  /** Clipping and optimizers. */
  update: Pass,
  /** By op and direction, dearest first. */
  ops: v.array(
    v.object({ name: v.string(), phase: v.picklist(["forward", "backward", "update"]), ...Pass.entries }),
  ),
  /** A step op by op, in milliseconds; the times above are its parts. */
  opByOpMs: v.number(),
  /** A step as a training runs it; undefined where nothing is compiled. */
  compiledMs: v.optional(v.number()),
  /** Most bytes of values of a step that are needed at one time, op by op; parameters and optimizer state not counted. */
  peakBytes: v.number(),
  /** Of a large matrix product on the same engine, run in the same way. */
  limitGflops: v.number(),
  choices: v.array(ChoiceReport),
  /** Parts that weren't compiled, with the reasons. */
  fallbacks: v.array(v.string()),
});
export type Profile = v.InferOutput<typeof Profile>;

/** GFLOP/s of a pass: a multiply-add is two operations. Undefined where none are counted. */
export const gflops = ({ multiplyAdds, ms }: Pass): number | undefined =>
  multiplyAdds === 0 || ms === 0 ? undefined : (2 * multiplyAdds) / ms / 1e6;
