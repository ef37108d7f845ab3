// Tensors as memory: steps between elements, and sizes compared.
import { BYTES, filled } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { formatShape, numel, range, sameShape, strides, type Shape } from "../../core/shape.ts";
import { sizeOf, type Size } from "../../core/size.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { valuesOf } from "../../planning/barrier.ts";
import { noGrad } from "../../recording/scope.ts";
import { detach } from "../creation/conversion.ts";
import { composed, named, sizesOf, type Sizes } from "../pointwise/operands.ts";
import { sum } from "../reduction/reduction.ts";
import { reshape } from "./shape.ts";
import { GatheredView } from "./views.ts";

interface MemoryOf {
  /** The tensor that has the memory. */
  root: Tensor;
  /** How the tensor is read of it. */
  read: (root: Tensor) => Tensor;
  /** Whether the tensor is all of it, in its shape. */
  whole: boolean;
  /** Whether it is a view of it through `detach()`. */
  detached: boolean;
}

function memoryOf(x: Tensor): MemoryOf {
  const view = x.currentView();
  if (view === undefined) return { root: x, read: (root) => root, whole: true, detached: false };
  const { root, read, whole, detached } = memoryOf(view.base);
  return {
    root,
    read: (memory) => view.forward(read(memory)),
    whole: whole && view.whole === true,
    detached: detached || view.detached,
  };
}

/** Where a tensor's elements are: in the memory of `root`, `strides` apart from `offset` on. */
export interface Placed {
  root: Tensor;
  offset: number;
  strides: readonly number[];
}

/** @internal The tensor that has the memory of a tensor: itself, unless that is a view. */
export const rootOf = (x: Tensor): Tensor => memoryOf(x).root;

/** @internal Where the elements of a tensor are in memory that is laid out row by row; undefined for other memory. */
export function placeOf(x: Tensor): Placed | undefined {
  const root = rootOf(x);
  if (root.viewStrides() !== undefined || root.dtype !== x.dtype) return undefined;
  return { root, offset: offsetOf(x), strides: x.viewStrides() ?? strides(x.shape) };
}

/** Where the first element of x is in its memory. */
function offsetOf(x: Tensor): number {
  const { root, read, whole } = memoryOf(x);
  if (whole || x.numel() === 0) return 0;
  const places = fromHost(
    filled(new Int32Array(root.numel()), (i) => i),
    root.shape,
    "int64",
  );
  return noGrad(() => valuesOf(composed(() => read(places)).value)[0]!);
}

/**
 * A view of the elements of the tensor's memory that are `stride` apart in each dimension, from `storageOffset` on (by default
 * from where the tensor begins). Views whose places overlap can be read, not written to.
 * @throws TensorError "mismatch in length of strides and shape", and in a write to a view that overlaps "unsupported operation: …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.as_strided.html
 */
export function asStrided(
  input: Tensor,
  size: readonly number[],
  stride: readonly number[],
  storageOffset?: number | null,
): Tensor {
  if (size.length !== stride.length)
    throw new TensorError("shape", "mismatch in length of strides and shape");
  if (stride.some((step) => step < 0)) {
    throw new TensorError(
      "value",
      `as_strided: Negative strides are not supported at the moment, got strides: ${formatShape(stride)}`,
    );
  }
  const memory = memoryOf(input);
  // A tensor detached from another may have gradients of its own.
  const own = memory.whole && input.isLeaf && input.requiresGrad;
  const root = own ? input : memory.detached ? detach(memory.root) : memory.root;
  const start = storageOffset ?? offsetOf(input);
  const count = numel(size);
  const last = size.reduce((sum_, n, d) => sum_ + (n - 1) * stride[d]!, start);
  if (count > 0 && last >= root.numel()) {
    throw new TensorError(
      "value",
      `setStorage: sizes ${formatShape(size)}, strides ${formatShape(stride)}, storage offset ${start}, and itemsize ${BYTES[input.dtype]} requiring a storage size of ${(last + 1) * BYTES[input.dtype]} are out of bounds for storage of size ${root.numel() * BYTES[input.dtype]}`,
    );
  }
  const rows = strides(size);
  const places = filled(new Int32Array(count), (i) =>
    size.reduce((at, n, d) => at + (Math.floor(i / rows[d]!) % n) * stride[d]!, start),
  );
  const overlaps = new Set(places).size < places.length;
  return named(
    new GatheredView(root, places, size, { steps: stride, overlaps }).make(),
    "AsStridedBackward0",
  );
}

/** Whether two tensors have the same shape. */
export const isSameSize = (input: Tensor, other: Tensor): boolean => sameShape(input.shape, other.shape);

/**
 * The sums over the dimensions that broadcasting would add or repeat: what has the given size.
 * @throws TensorError "size {[2, 2]} is not expandable to size {[2, 3]}."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.sum_to_size.html
 */
export function sumToSize(input: Tensor, ...size: Sizes): Tensor {
  const target = sizesOf(size);
  const lead = input.ndim - target.length;
  if (lead < 0 || target.some((n, d) => n !== 1 && n !== input.shape[d + lead])) {
    throw new TensorError(
      "shape",
      `size {${formatShape(target)}} is not expandable to size {${formatShape(input.shape)}}.`,
    );
  }
  const dims = range(input.ndim).filter((d) => d < lead || (target[d - lead] === 1 && input.shape[d] !== 1));
  if (dims.length === 0) return input;
  return composed(() => reshape(sum(input, dims, true), target));
}

/**
 * The shape that shapes broadcast to; a number stands for a shape of one dimension.
 * @throws TensorError "Attempting to broadcast a dimension of length 3 at -1! …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.broadcast_shapes.html
 */
export function broadcastShapes(...shapes: readonly (number | Shape)[]): Size {
  const lists = shapes.map((shape) => (typeof shape === "number" ? [shape] : shape));
  const rank = Math.max(0, ...lists.map((shape) => shape.length));
  const common = Array.from({ length: rank }, () => 1);
  lists.forEach((shape, i) => {
    const lead = rank - shape.length;
    for (let d = shape.length - 1; d >= 0; d--) {
      const n = shape[d]!;
      if (n < 0) throw new TensorError("value", "Attempting to broadcast a dimension with negative length!");
      if (n === 1 || n === common[lead + d]) continue;
      if (common[lead + d] !== 1) {
        const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
        throw new TensorError(
          "shape",
          `Attempting to broadcast a dimension of length ${n} at ${d - shape.length}! Mismatching argument at index ${i} had ${tuple}; but expected shape should be broadcastable to ${formatShape(common)}`,
        );
      }
      common[lead + d] = n;
    }
  });
  return sizeOf(common);
}
