import { TensorError } from "../../tensor/core/errors.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { isGradEnabled } from "../../tensor/functions/grad.ts";

/**
 * Refuses to record what PyTorch has no derivative of.
 * @param name PyTorch's name of the function, as its error says it
 * @param constants arguments by PyTorch's names
 * @throws TensorError for one that requires a gradient
 */
export function refuseGradient(
  name: string,
  constants: Readonly<Record<string, Tensor | null | undefined>>,
): void {
  if (!isGradEnabled()) return;
  for (const [argument, tensor] of Object.entries(constants)) {
    if (tensor?.requiresGrad !== true) continue;
    throw new TensorError(
      "autograd",
      `The function '${name}' is not differentiable with respect to argument '${argument}'. This input cannot have requires_grad True.`,
    );
  }
}
