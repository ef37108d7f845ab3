// What the strict mode of torch.autograd.functional refuses, in PyTorch's words.
import { TensorError } from "../core/errors.ts";
import { zerosLike } from "../functions/creation/creation.ts";
import type { Tensor } from "../core/tensor.ts";

const refused = (text: string): never => {
  throw new TensorError("autograd", text);
};

/** Refuses in strict mode outputs that don't depend on any input. */
export function requireDependent(outputs: readonly Tensor[], strict: boolean): void {
  const free = strict ? outputs.findIndex((y) => !y.requiresGrad) : -1;
  if (free < 0) return;
  refused(
    `Output ${free} of the user-provided function does not require gradients. The outputs must be computed in a differentiable manner from the input when running in strict mode.`,
  );
}

export const independent =
  (subject: string) =>
  (i: number): string =>
    `${subject} of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`;

export const linear = (i: number): string =>
  `While computing the hessian, found that the jacobian of the user-provided function with respect to input ${i} is independent of the input. This is not allowed in strict mode. You should ensure that your function is twice differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for example).`;

export const untilTwice = (i: number): string =>
  `The jacobian of the user-provided function is independent of input ${i}. This is not allowed in strict mode when create_graph=True.`;

export const ofEntry = (i: number): string =>
  `The gradient with respect to the input is independent of entry ${i} in the grad_outputs when using the double backward trick to compute forward mode gradients. This is not allowed in strict mode.`;

export const ofSlope = (i: number): string =>
  `The hessian of the user-provided function is independent of entry ${i} in the grad_jacobian. This is not allowed in strict mode as it prevents from using the double backward trick to replace forward mode AD.`;

export type Text = (i: number) => string;

/**
 * Gradients with zeros where there are none.
 * @param like tensors of their shapes
 * @param missing text that refuses a gradient that isn't there, in strict mode
 * @param constant text that refuses one that can't be differentiated again, in strict mode
 */
export function filled(
  found: readonly (Tensor | null)[],
  like: readonly Tensor[],
  strict: boolean,
  missing: Text,
  constant?: Text,
): Tensor[] {
  return found.map((g, i) => {
    if (strict && g === null) refused(missing(i));
    if (strict && g?.requiresGrad === false && constant !== undefined) refused(constant(i));
    return g ?? zerosLike(like[i]!);
  });
}
