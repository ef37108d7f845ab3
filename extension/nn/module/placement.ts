import type { Tensor } from "../../tensor/core/tensor.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { target, type ToArguments } from "../../tensor/functions/creation/conversion.ts";
import { zero_ } from "../../tensor/functions/creation/filling.ts";
import { requireCpu, type DeviceLike } from "../../tensor/platform/device.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { StateDictHooks } from "./stateHooks.ts";

export interface ToEmptyOptions {
  /** The CPU; null keeps each tensor where it is. */
  device: DeviceLike | null;
  /** Whether modules inside are emptied, too; true by default. */
  recurse?: boolean;
}

/** Where a module's tensors are and of which type: always on the CPU, floats of 32 bits. */
export abstract class Placement extends StateDictHooks {
  abstract parameters(recurse?: boolean): Tensor[];
  abstract buffers(recurse?: boolean): Tensor[];

  /**
   * The module itself: there is one device, the CPU, and one floating point type. Takes what `tensor.to` takes.
   * @throws TensorError for a device or type that doesn't exist here: "Torch not compiled with CUDA enabled"
   */
  to(...args: ToArguments): this {
    const { dtype } = target(args);
    if (dtype === undefined || dtype === "float32") return this;
    throw new TensorError(
      "dtype",
      `nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.${dtype}`,
    );
  }

  /**
   * Gives up the values of parameters and buffers, as before others are loaded: here they become zeros, of the same shapes.
   * @throws TensorError for a device that doesn't exist here
   */
  toEmpty({ device, recurse = true }: ToEmptyOptions): this {
    if (device !== null) requireCpu(device);
    noGrad(() => {
      for (const tensor of [...this.parameters(recurse), ...this.buffers(recurse)]) zero_(tensor);
    });
    return this;
  }

  /** Returns the module unchanged: processes that train together exchange gradients instead. */
  shareMemory(): this {
    return this;
  }

  /** Returns the module unchanged: parameters are float32. */
  float(): this {
    return this.to("float32");
  }

  /** @throws TensorError: there is no float64 */
  double(): this {
    return this.to("float64");
  }

  /** @throws TensorError: there is no float16 */
  half(): this {
    return this.to("float16");
  }

  /** @throws TensorError: there is no bfloat16 */
  bfloat16(): this {
    return this.to("bfloat16");
  }

  cpu(): this {
    return this.to("cpu");
  }

  /** @throws TensorError "Torch not compiled with CUDA enabled" */
  cuda(): this {
    return this.to("cuda");
  }
}
