// Activations that overwrite their input: PyTorch's names with an underscore.
import type { Tensor } from "../../../tensor/core/tensor.ts";
import {
  celu,
  elu,
  hardtanh,
  leakyRelu,
  relu,
  selu,
  threshold,
  type AlphaOptions,
  type HardtanhOptions,
  type LeakyReluOptions,
  type ThresholdOptions,
} from "./activation.ts";
import { rrelu, type RReluOptions } from "./randomActivation.ts";

/** Options without the one that these functions stand for. */
type Without<O> = Omit<O, "inplace">;

/** `relu` that overwrites its input. */
export const relu_ = (input: Tensor): Tensor => relu(input, true);

/** `selu` that overwrites its input. */
export const selu_ = (input: Tensor): Tensor => selu(input, true);

/** `leakyRelu` that overwrites its input. */
export function leakyRelu_(input: Tensor, slope: number | Without<LeakyReluOptions> = {}): Tensor {
  return leakyRelu(input, {
    ...(typeof slope === "number" ? { negativeSlope: slope } : slope),
    inplace: true,
  });
}

const alphaOf = (alpha: number | Without<AlphaOptions>): AlphaOptions => ({
  ...(typeof alpha === "number" ? { alpha } : alpha),
  inplace: true,
});

/** `elu` that overwrites its input. */
export const elu_ = (input: Tensor, alpha: number | Without<AlphaOptions> = {}): Tensor =>
  elu(input, alphaOf(alpha));

/** `celu` that overwrites its input. */
export const celu_ = (input: Tensor, alpha: number | Without<AlphaOptions> = {}): Tensor =>
  celu(input, alphaOf(alpha));

/** `hardtanh` that overwrites its input. */
export function hardtanh_(
  input: Tensor,
  minVal: number | Without<HardtanhOptions> = {},
  maxVal?: number,
): Tensor {
  const options =
    typeof minVal === "number" ? { minVal, ...(maxVal === undefined ? {} : { maxVal }) } : minVal;
  return hardtanh(input, { ...options, inplace: true });
}

/** `threshold` that overwrites its input. */
export function threshold_(input: Tensor, bound: number | Without<ThresholdOptions>, value?: number): Tensor {
  const options = typeof bound === "number" ? { threshold: bound, value: value! } : bound;
  return threshold(input, { ...options, inplace: true });
}

/** `rrelu` that overwrites its input. */
export function rrelu_(
  input: Tensor,
  lower: number | Without<RReluOptions> = {},
  upper?: number,
  training?: boolean,
): Tensor {
  const given = typeof lower === "number" ? { lower } : lower;
  return rrelu(input, {
    ...given,
    ...(upper === undefined ? {} : { upper }),
    ...(training === undefined ? {} : { training }),
    inplace: true,
  });
}
