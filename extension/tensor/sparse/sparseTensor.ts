import { TensorError } from "../core/errors.ts";
import { fillValue, type Value } from "../recording/graph.ts";
import type { Shape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";

/**
 * A matrix of which only some elements are stored, by their coordinates: PyTorch's `torch.sparse_coo` layout. Made by
 * `torch.sparseCooTensor`; it can be multiplied with dense matrices, coalesced, transposed and made dense. Every other
 * function refuses it.
 */
export class SparseTensor extends Tensor {
  /** @internal Coordinates [dimensions, elements], of a sparse matrix two. */
  readonly places: Tensor;
  /** @internal The stored elements. */
  readonly stored: Tensor;
  /** @internal Whether no two elements have the same place, and all are in order. */
  readonly coalesced: boolean;
  /** @internal PyTorch's name of its gradient. */
  readonly gradName: string;

  /** @internal Users call `torch.sparseCooTensor`. */
  constructor(places: Tensor, stored: Tensor, shape: Shape, coalesced: boolean, gradName: string) {
    super(fillValue(0, shape, stored.dtype));
    this.places = places;
    this.stored = stored;
    this.coalesced = coalesced;
    this.gradName = gradName;
  }

  /** Always true; other tensors don't have it. */
  get isSparse(): true {
    return true;
  }

  override get requiresGrad(): boolean {
    return this.stored.requiresGrad;
  }

  override set requiresGrad(_: boolean) {
    this.requiresGrad_();
  }

  override get isLeaf(): boolean {
    return !this.requiresGrad;
  }

  /** @throws TensorError always: the elements have gradients, not the matrix */
  override requiresGrad_(): this {
    throw new TensorError(
      "unsupported",
      "gradients of a sparse tensor are not supported",
      "make it of values that require gradients: torch.sparseCooTensor(indices, values.requiresGrad_(), size)",
    );
  }

  /** @internal @throws TensorError always: functions read it first, and none takes a sparse tensor's value */
  override get value(): Value {
    throw new TensorError(
      "unsupported",
      "this function does not exist for the 'SparseCPU' backend",
      "multiply with torch.sparse.mm(a, x), or make the tensor dense: a.toDense()",
    );
  }

  /** Number of stored elements. */
  get nnz(): number {
    return this.places.shape[1]!;
  }

  /** @throws TensorError "Cannot get indices on an uncoalesced tensor, please call .coalesce() first" */
  indices(): Tensor {
    this.#check("indices");
    return this.places;
  }

  /** @throws TensorError "Cannot get values on an uncoalesced tensor, please call .coalesce() first" */
  values(): Tensor {
    this.#check("values");
    return this.stored;
  }

  isCoalesced(): boolean {
    return this.coalesced;
  }

  #check(what: string): void {
    if (this.coalesced) return;
    throw new TensorError(
      "value",
      `Cannot get ${what} on an uncoalesced tensor, please call .coalesce() first`,
    );
  }
}
