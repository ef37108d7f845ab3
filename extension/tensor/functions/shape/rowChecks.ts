// Checks of rows that are added to those of a tensor, or put in their place.
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { formatShape, sameShape, type Shape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { requireType } from "../pointwise/operands.ts";
import { reshape } from "./shape.ts";

/** An index of rows as a vector. */
export function vectorOf(name: string, index: Tensor): Tensor {
  requireType(index, "int64", `${name}(): Expected dtype int32/int64 for index`);
  if (index.ndim > 1) {
    throw new TensorError(
      "index",
      `${name}(): Index is supposed to be a vector, but got dim: ${index.ndim} with type: Long and size: ${formatShape(index.shape)}`,
    );
  }
  return reshape(index, [index.numel()]);
}

function sameType(name: string, input: Tensor, source: Tensor): void {
  if (input.dtype === source.dtype) return;
  throw new TensorError(
    "dtype",
    `${name}(): self (${SCALAR_TYPE[input.dtype]}) and source (${SCALAR_TYPE[source.dtype]}) must have the same scalar type`,
  );
}

/** Checks the rows that a function adds to those of `input`, as PyTorch does. */
export function checkRows(name: string, input: Tensor, dim: number, places: Tensor, source: Tensor): void {
  sameType(name, input, source);
  if (dim > 0 && dim >= source.ndim) {
    throw new TensorError(
      "shape",
      `${name}(): Indexing dim ${dim} is out of bounds of the source tensor with dim ${source.ndim}`,
    );
  }
  if (source.ndim === 0 && places.numel() !== 1)
    throw new TensorError("shape", "Dimension specified as 0 but tensor has no dimensions");
  const length = source.shape[dim] ?? 1;
  if (places.numel() !== length) {
    throw new TensorError(
      "shape",
      `${name}(): Number of indices (${places.numel()}) should be equal to source.size(dim): (${length}), for dim: ${dim}`,
    );
  }
  const scalar = input.ndim === 0 || source.ndim === 0;
  const others = ({ shape }: Tensor): Shape => (scalar ? shape : shape.toSpliced(dim, 1));
  if (!sameShape(others(input), others(source))) {
    throw new TensorError(
      "shape",
      "source tensor shape must match self tensor shape, excluding the specified dimension. " +
        `Got self.shape = ${formatShape(input.shape)} source.shape = ${formatShape(source.shape)}`,
    );
  }
}

/** Checks the rows that `indexCopy` puts in the place of those of `input`, as PyTorch does. */
export function checkCopied(input: Tensor, dim: number, index: Tensor, source: Tensor): void {
  const n = index.numel();
  const refuse = (kind: "shape" | "dtype", message: string): never => {
    throw new TensorError(kind, `index_copy_(): ${message}`);
  };
  if (index.ndim > 1) refuse("shape", `Index should have dimension 1 or 0 (got ${index.ndim})`);
  if (source.ndim === 0 && n !== 1)
    refuse("shape", `When source is scalar, index should have one element (got ${n})`);
  if (source.ndim !== input.ndim && source.ndim > 0 && input.ndim > 0) {
    refuse(
      "shape",
      "When source and destination are not scalars, their dimensionality must match. " +
        `Source dimensionality (${source.ndim}), destination dimensionality (${input.ndim})`,
    );
  }
  if (index.dtype !== "int64")
    refuse("dtype", `Expected a long tensor for index, but got ${SCALAR_TYPE[index.dtype]}`);
  if (source.dtype !== input.dtype) {
    const types = `(self) ${SCALAR_TYPE[input.dtype]} and (source) ${SCALAR_TYPE[source.dtype]}`;
    refuse("dtype", `self and source expected to have the same dtype, but got ${types}`);
  }
  const [own, given] = [input, source].map(({ shape }) => shape.toSpliced(dim, 1));
  if (!sameShape(own!, given!)) {
    refuse(
      "shape",
      "Source/destination tensor must have same slice shapes. " +
        `Destination slice shape: ${own!.join(" ")} at dimension ${dim} and source slice shape: ${given!.join(" ")} at dimension 0.`,
    );
  }
  if (source.ndim > 0 && source.shape[dim] !== n)
    refuse("shape", `Number of indices (${n}) should be equal to source.size(dim) (${source.shape[dim]})`);
}
