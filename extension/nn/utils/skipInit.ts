import { TensorError } from "../../tensor/core/errors.ts";
import { zero_ } from "../../tensor/functions/creation/filling.ts";
import { defaultStream } from "../../tensor/random/stream.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { Module } from "../module/module.ts";

/**
 * A module whose parameters are not initialized, for what is overwritten anyway: here zeros. Draws nothing.
 *
 * ```ts
 * nn.utils.skipInit(nn.Linear, 5, 1).weight.tolist(); // [[0, 0, 0, 0, 0]]
 * ```
 * @throws TensorError "Expected a Module; got …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html
 */
export function skipInit<A extends unknown[], M extends Module>(
  moduleCls: new (...args: A) => M,
  ...args: A
): M {
  if (!(moduleCls?.prototype instanceof Module)) {
    throw new TensorError("value", `Expected a Module; got ${String(moduleCls)}`);
  }
  const state = defaultStream.getState();
  const module = new moduleCls(...args);
  noGrad(() => {
    for (const tensor of [...module.parameters(), ...module.buffers()]) zero_(tensor);
  });
  defaultStream.setState(state);
  return module;
}
