// Activations that overwrite their input: PyTorch's names with an underscore.
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { celu, elu, hardtanh, leakyRelu, relu, selu, threshold } from "./activation.ts";
import { rrelu } from "./randomActivation.ts";

/** `relu` that overwrites its input. */
export const relu_ = (input: Tensor): Tensor => relu(input, true);

/** `selu` that overwrites its input. */
export const selu_ = (input: Tensor): Tensor => selu(input, true);

/** `leakyRelu` that overwrites its input. */
export const leakyRelu_ = (input: Tensor, negativeSlope?: number): Tensor =>
  leakyRelu(input, negativeSlope, true);

/** `elu` that overwrites its input. */
export const elu_ = (input: Tensor, alpha?: number): Tensor => elu(input, alpha, true);

/** `celu` that overwrites its input. */
export const celu_ = (input: Tensor, alpha?: number): Tensor => celu(input, alpha, true);

/** `hardtanh` that overwrites its input. */
export const hardtanh_ = (input: Tensor, minVal?: number, maxVal?: number): Tensor =>
  hardtanh(input, minVal, maxVal, true);

/** `threshold` that overwrites its input. */
export const threshold_ = (input: Tensor, bound: number, value: number): Tensor =>
  threshold(input, bound, value, true);

/** `rrelu` that overwrites its input. */
export const rrelu_ = (input: Tensor, lower?: number, upper?: number, training?: boolean): Tensor =>
  rrelu(input, lower, upper, training, true);
