// Whether gradients are recorded.
import { requireBody, scope, withGradients } from "../recording/scope.ts";
import { Tensor } from "../core/tensor.ts";

/** Records gradients in `body` even inside `noGrad`. */
export function enableGrad<T>(body: () => T): T {
  return withGradients(true, requireBody("enableGrad", body));
}

/** As `noGrad`: what is computed in `body` is not differentiated. */
export function inferenceMode<T>(body: () => T): T {
  return withGradients(false, requireBody("inferenceMode", body));
}

/** Whether gradients are recorded right now. */
export function isGradEnabled(): boolean {
  return scope.gradients;
}

/** Turns the recording of gradients on or off: from here on, or in `body` (PyTorch's `with torch.set_grad_enabled(on):`). */
export function setGradEnabled(on: boolean): void;
export function setGradEnabled<T>(on: boolean, body: () => T): T;
export function setGradEnabled<T>(on: boolean, body?: () => T): T | undefined {
  if (body !== undefined) return withGradients(on, requireBody("setGradEnabled", body));
  scope.gradients = on;
  return undefined;
}

/** Whether a value is a tensor. */
export function isTensor(x: unknown): x is Tensor {
  return x instanceof Tensor;
}
