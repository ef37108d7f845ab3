// Properties of tensors that are computed from them.
import { TensorError } from "../core/errors.ts";
import { gradientName } from "../core/print.ts";
import { dataOf, setData, type DataTensor } from "../functions/creation/data.ts";
import { permute, transpose } from "../functions/shape/shape.ts";
import { CPU, type Device } from "../platform/device.ts";
import { installProperty } from "./install.ts";

declare module "../core/tensor.ts" {
  interface Tensor {
    /** The transpose: dimensions in reverse order; a view. */
    readonly T: Tensor;
    /** The last two dimensions exchanged; a view. */
    readonly mT: Tensor;
    /**
     * The tensor's memory as a tensor without gradient: what is written to it is not differentiated. Assigning a tensor
     * gives this one that tensor's memory.
     */
    get data(): DataTensor;
    set data(value: Tensor);
    /** The function whose gradient the tensor carries, under PyTorch's name; null for a leaf, and without gradients. */
    readonly gradFn: GradientFunction | null;
    /** Where the tensor is: the CPU. */
    readonly device: Device;
    /** Whether the tensor is on a GPU: never. */
    readonly isCuda: boolean;
  }
}

/** PyTorch's `grad_fn`: a function whose gradient `backward()` computes. It prints as `<AddBackward0>`. */
export interface GradientFunction {
  /** PyTorch's name of the gradient: "AddBackward0". */
  name(): string;
  toString(): string;
}

installProperty("gradFn", (x) => {
  const name = gradientName(x);
  return name === undefined ? null : { name: () => name, toString: () => `<${name}>` };
});
installProperty("T", (x) =>
  permute(
    x,
    x.shape.map((_, d) => x.ndim - 1 - d),
  ),
);
installProperty("mT", (x) => {
  if (x.ndim === 0) return permute(x, []);
  if (x.ndim < 2) {
    throw new TensorError(
      "shape",
      `tensor.mT is only supported on matrices or batches of matrices. Got ${x.ndim}-D tensor.`,
    );
  }
  return transpose(x, -2, -1);
});
installProperty("data", dataOf, setData);
installProperty("device", () => CPU);
installProperty("isCuda", () => false);
