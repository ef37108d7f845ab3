// `tensor.data`: a tensor's memory, apart from its gradient.
import type { HostArray } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import type { Value } from "../../recording/graph.ts";
import { hasExecutor, keepReadable, valuesOf } from "../../planning/barrier.ts";
import { noGrad, scope } from "../../recording/scope.ts";
import { Tensor } from "../../core/tensor.ts";
import { warnOnce } from "../../core/warnings.ts";
import { copied, DataView } from "../shape/views.ts";

/** A copy of the values, row-major: float32 as Float32Array, int64 as Int32Array, bool as Uint8Array of 0 and 1. */
export function toTypedArray(input: Tensor): HostArray {
  return valuesOf(input.value).slice();
}

/** Type of `tensor.data`: a tensor. It can still be called, for programs that get its values so. */
export interface DataTensor extends Tensor {
  /** @deprecated `tensor.data` is a tensor, as in PyTorch. Use `tensor.toTypedArray()` for its values. */
  (): HostArray;
}

/** A view of all of a tensor without gradient, through which writes reach the tensor unnoticed by autograd. */
export function dataOf(input: Tensor): DataTensor {
  const self = ((): HostArray => {
    warnOnce(
      "tensor.data() is deprecated: tensor.data is a tensor. Use tensor.toTypedArray() for its values.",
    );
    return toTypedArray(self);
  }) as DataTensor;
  // A function's own properties: tensors don't have them.
  Reflect.deleteProperty(self, "name");
  Reflect.deleteProperty(self, "length");
  Object.setPrototypeOf(self, Tensor.prototype);
  Object.assign(self, new Tensor(input.value));
  if (input.storage === undefined) keepReadable(input.value);
  return self.share(new DataView(input));
}

/**
 * Gives a tensor the memory of another, of any shape: both have the same values from here on, and a write to one reaches
 * the other. Its gradient and its place in autograd's graph stay.
 * @throws TensorError "Variable data has to be a tensor, but got number", "data set to a tensor that requires gradients must be floating point or complex dtype"
 */
export function setData(input: Tensor, data: Tensor): void {
  if (!((data as unknown) instanceof Tensor)) {
    throw new TensorError("value", `Variable data has to be a tensor, but got ${typeof data}`);
  }
  scope.sample?.checkWrite(input);
  input.takeData(data, formerValue, (base) => new DataView(base));
}

/** Returns the value of a tensor that is about to get another one; its views keep the old one. */
function formerValue(value: Value): Tensor {
  const { producer } = value;
  if (producer.kind !== "state" || !hasExecutor()) return new Tensor(value);
  return noGrad(() => copied(new Tensor(value)));
}
