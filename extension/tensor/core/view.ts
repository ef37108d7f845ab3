// How tensors share memory.

/** How a view is made from its base and written back to it, so that in-place writes reach all who share memory. */
export interface View<T> {
  readonly base: T;
  /** Whether gradients were recorded where the view was made: then they are whenever it follows its base. */
  readonly gradients: boolean;
  /** A view through `detach()`: writes to it are no business of autograd's. */
  readonly detached: boolean;
  /** Whether writes through it are left out of the memory's versions: those through `data`. */
  readonly uncounted?: boolean;
  /** Whether the view is all of its base, in the base's shape. */
  readonly whole?: boolean;
  /** Whether several of its elements are one of its base: such a view can't be written to. */
  readonly overlaps?: boolean;
  /** Whether it repeats elements of its base: after a write to one of them all are read from the base again. */
  readonly repeats?: boolean;
  /** Whether the view has a gradient of its own, which doesn't change when it follows its base. */
  readonly computed?: boolean;
  forward(base: T): T;
  /** The base's new value when the view's becomes `view`. */
  scatter(base: T, view: T): T;
  /** Steps in PyTorch's memory, given those of the base: they decide what can be a view of this view. */
  strides(base: readonly number[]): readonly number[];
}

/**
 * The memory that the views of a tensor share. Assigning `data` gives the tensor other memory: its views keep the old
 * one, which `owner` holds from then on. The owner has as many `writes` as the tensor had.
 */
export interface Memory<T> {
  owner?: T;
}
