// Whether gradients are recorded.
import { scope, withGradients } from "../recording/scope.ts";
import { Tensor } from "../core/tensor.ts";

/** Records gradients in `body` even inside `noGrad`. */
export function enableGrad<T>(body: () => T): T {
  return withGradients(true, body);
}

/** As `noGrad`: what is computed in `body` is not differentiated. */
export function inferenceMode<T>(body: () => T): T {
  return withGradients(false, body);
}

/** Whether gradients are recorded right now. */
export function isGradEnabled(): boolean {
  return scope.gradients;
}

/** Turns the recording of gradients on or off from here on. */
export function setGradEnabled(on: boolean): void {
  scope.gradients = on;
}

/** Whether a value is a tensor. */
export function isTensor(x: unknown): x is Tensor {
  return x instanceof Tensor;
}
