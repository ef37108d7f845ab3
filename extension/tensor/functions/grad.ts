// Whether gradients are recorded.
import { recorded, requireBody, scope, withGradients, type Decorated } from "../recording/scope.ts";
import { Tensor } from "../core/tensor.ts";

/** Records gradients in `body` even inside `noGrad`. Of a function with parameters, returns one that does so. */
export function enableGrad<T>(body: () => T): T;
export function enableGrad<A extends readonly unknown[], R>(body: Decorated<A, R>): Decorated<A, R>;
export function enableGrad(body: Decorated<readonly unknown[], unknown>): unknown {
  return recorded("enableGrad", true, body);
}

/** As `noGrad`: what is computed in `body` is not differentiated. */
export function inferenceMode<T>(body: () => T): T;
export function inferenceMode<A extends readonly unknown[], R>(body: Decorated<A, R>): Decorated<A, R>;
export function inferenceMode(body: Decorated<readonly unknown[], unknown>): unknown {
  return recorded("inferenceMode", false, body);
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
