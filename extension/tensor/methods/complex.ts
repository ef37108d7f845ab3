// Methods and properties of complex tensors, which real ones have too.
import { TensorError } from "../core/errors.ts";
import * as complex from "../complex/functions.ts";
import { installAs, installProperty, type Methods } from "./install.ts";

declare module "../core/tensor.ts" {
  interface Tensor extends Methods<
    typeof complex,
    "adjoint" | "angle" | "conj" | "conjPhysical" | "isComplex" | "isreal" | "resolveConj"
  > {
    /** The real part, which shares the tensor's memory; of a real tensor itself. */
    readonly real: Tensor;
    /**
     * The imaginary part, which shares the tensor's memory.
     * @throws TensorError "imag is not implemented for tensors with non-complex dtypes."
     */
    readonly imag: Tensor;
    /** The transpose of a matrix, with complex numbers conjugated. */
    readonly H: Tensor;
    /** The last two dimensions exchanged, and complex numbers conjugated. */
    readonly mH: Tensor;
  }
}

const { adjoint, angle, conj, conjPhysical, imag, isComplex, isreal, real, resolveConj } = complex;
for (const [name, f] of Object.entries({
  adjoint,
  angle,
  conj,
  conjPhysical,
  isComplex,
  isreal,
  resolveConj,
})) {
  installAs(name, f);
}
installProperty("real", real);
installProperty("imag", imag);
installProperty("mH", adjoint);
installProperty("H", (x) => {
  if (x.ndim !== 2 && x.ndim !== 0) {
    throw new TensorError(
      "shape",
      `tensor.H is only supported on matrices (2-D tensors). Got ${x.ndim}-D tensor.`,
      "use tensor.mH for batches of matrices",
    );
  }
  return x.ndim === 0 ? conj(x) : adjoint(x);
});
