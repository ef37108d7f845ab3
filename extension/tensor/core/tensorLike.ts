// Checks of arguments that must be tensors: JavaScript checks no types.
import { kindOf, TensorError } from "./errors.ts";
import { Tensor } from "./tensor.ts";

/** Whether an argument may stand for a tensor: one of any class, or a number. */
export function isTensorLike(x: unknown): boolean {
  if (x instanceof Tensor || typeof x === "number" || typeof x === "boolean") return true;
  if (typeof x !== "object" || x === null) return false;
  return !Array.isArray(x) && !ArrayBuffer.isView(x) && Object.getPrototypeOf(x) !== Object.prototype;
}

/** Whether an element of a list of tensors is a tensor; `tensor.data`, a function, is one. */
export const isElement = (x: unknown): boolean =>
  x instanceof Tensor || (typeof x === "object" && isTensorLike(x));

/**
 * Returns the tensors of an argument that takes one, or several in any iterable.
 * @throws TensorError in PyTorch's words for anything else
 */
export function listTensors(callee: string, name: string, given: unknown): Tensor[] {
  if (given instanceof Tensor) return [given];
  if (typeof given !== "object" || given === null || !(Symbol.iterator in given)) {
    throw new TensorError("value", `${callee}(): argument '${name}' must be Tensors, not ${kindOf(given)}`);
  }
  const list = [...(given as Iterable<unknown>)];
  const wrong = list.findIndex((one) => !isElement(one));
  if (wrong < 0) return list as Tensor[];
  throw new TensorError("value", notElement(callee, name, wrong, list[wrong]));
}

/** PyTorch's message for an element of a list of tensors that is no tensor. */
export const notElement = (callee: string, name: string, at: number, x: unknown): string =>
  `${callee}(): expected Tensor as element ${at} in argument '${name}', but got ${kindOf(x)}`;
