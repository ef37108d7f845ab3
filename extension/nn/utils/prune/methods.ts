// PyTorch's methods of pruning.
import { TensorError } from "../../../tensor/core/errors.ts";
import { formatSize, sameShape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { zerosLike } from "../../../tensor/functions/creation/creation.ts";
import { rand, randLike } from "../../../tensor/functions/creation/random.ts";
import { topk } from "../../../tensor/functions/indexing/gathering.ts";
import { indexPut } from "../../../tensor/functions/indexing/indexing.ts";
import type { IndexSpec } from "../../../tensor/functions/indexing/places.ts";
import { matrixNorm, vectorNorm } from "../../../tensor/functions/linalg/norms.ts";
import { mul } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { abs, gt } from "../../../tensor/functions/pointwise/elementwise.ts";
import { castTo } from "../../../tensor/functions/pointwise/operands.ts";
import { kthvalue } from "../../../tensor/functions/reduction/statistics.ts";
import { reshape } from "../../../tensor/functions/shape/shape.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import { roundHalfEven } from "../../rounding.ts";
import { BasePruningMethod } from "./pruningMethod.ts";

/** An order of a norm: a number, Infinity, or a matrix norm's name. */
export type NormOrder = number | "fro" | "nuc";

/** @throws TensorError for what is neither a share nor a count */
function checkAmount(amount: unknown): void {
  if (typeof amount !== "number") {
    throw new TensorError("value", `Invalid type for amount: ${String(amount)}. Must be int or float.`);
  }
  if (amount < 0 || (!Number.isInteger(amount) && !(amount <= 1))) {
    throw new TensorError(
      "value",
      `amount=${amount} should either be a float in the range [0, 1] or a non-negative integer`,
    );
  }
}

/** How many of `size` an amount is: the share that a fraction is, a whole number as it stands. */
function countOf(amount: number, size: number): number {
  const count = Number.isInteger(amount) ? amount : roundHalfEven(amount * size);
  if (count <= size) return count;
  throw new TensorError(
    "value",
    `amount=${count} should be smaller than the number of parameters to prune=${size}`,
  );
}

/** @throws TensorError for tensors without channels */
function checkChannels(t: Tensor, dim: number): number {
  if (t.ndim <= 1) {
    throw new TensorError(
      "shape",
      `Structured pruning can only be applied to multidimensional tensors. Found tensor of shape ${formatSize(t.shape)} with ${t.ndim} dims`,
    );
  }
  if (dim >= t.ndim)
    throw new TensorError("index", `Invalid index ${dim} for tensor of size ${formatSize(t.shape)}`);
  return dim < 0 ? dim + t.ndim : dim;
}

/** Ones at some channels of a dimension, zeros elsewhere. */
function channels(t: Tensor, dim: number, kept: Tensor): Tensor {
  const at: IndexSpec[] = t.shape.map(() => ":");
  at[dim] = kept;
  return indexPut(zerosLike(t), at, 1);
}

/** A mask with zeros at these places of the flattened one. */
function without(mask: Tensor, places: Tensor): Tensor {
  return reshape(indexPut(reshape(mask, [-1]), [places], 0), mask.shape);
}

/** Prunes nothing: the parameter gets a mask of ones. */
class Identity extends BasePruningMethod {
  override readonly pruningType = "unstructured";

  override computeMask(_: Tensor, defaultMask: Tensor): Tensor {
    return defaultMask;
  }
}

/** How much is pruned: a share, or as a whole number a count. */
interface Amount {
  amount: number;
}

/** Prunes elements that are drawn. */
export class RandomUnstructured extends BasePruningMethod {
  override readonly pruningType = "unstructured";
  readonly amount: number;

  constructor(amount: number | Amount) {
    super();
    ({ amount: this.amount } = bind<Amount>("RandomUnstructured", [amount], { amount: REQUIRED }));
    checkAmount(this.amount);
  }

  override computeMask(t: Tensor, defaultMask: Tensor): Tensor {
    const count = countOf(this.amount, t.numel());
    if (count === 0) return defaultMask;
    return without(defaultMask, topk(reshape(randLike(t), [-1]), count).indices);
  }
}

/** Prunes the elements with the smallest absolute values. */
export class L1Unstructured extends BasePruningMethod {
  override readonly pruningType = "unstructured";
  readonly amount: number;

  constructor(amount: number | Amount) {
    super();
    ({ amount: this.amount } = bind<Amount>("L1Unstructured", [amount], { amount: REQUIRED }));
    checkAmount(this.amount);
  }

  override computeMask(t: Tensor, defaultMask: Tensor): Tensor {
    const count = countOf(this.amount, t.numel());
    if (count === 0) return defaultMask;
    return without(defaultMask, topk(reshape(abs(t), [-1]), count, -1, { largest: false }).indices);
  }
}

/** Prunes channels of a dimension that are drawn. */
export class RandomStructured extends BasePruningMethod {
  override readonly pruningType = "structured";
  readonly amount: number;
  override readonly dim: number;

  constructor(amount: number, dim?: number);
  constructor(named: Amount & { dim?: number });
  constructor(...args: unknown[]) {
    super();
    const bound = bind<Amount & { dim?: number }>("RandomStructured", args, { amount: REQUIRED, dim: -1 });
    checkAmount(bound.amount);
    ({ amount: this.amount, dim: this.dim } = bound);
  }

  override computeMask(t: Tensor, defaultMask: Tensor): Tensor {
    const dim = checkChannels(t, this.dim);
    const size = t.shape[dim]!;
    const count = countOf(this.amount, size);
    if (count === 0) return defaultMask;
    const drawn = rand(size);
    return mul(channels(t, dim, gt(drawn, kthvalue(drawn, count).values)), defaultMask);
  }
}

/** Prunes the channels of a dimension that have the smallest norm. */
export class LnStructured extends BasePruningMethod {
  override readonly pruningType = "structured";
  readonly amount: number;
  readonly n: NormOrder;
  override readonly dim: number;

  constructor(amount: number, n: NormOrder, dim?: number);
  constructor(named: Amount & { n: NormOrder; dim?: number });
  constructor(amount: number, named: { n: NormOrder; dim?: number });
  constructor(...args: unknown[]) {
    super();
    const bound = bind<Amount & { n: NormOrder; dim?: number }>("LnStructured", args, {
      amount: REQUIRED,
      n: REQUIRED,
      dim: -1,
    });
    checkAmount(bound.amount);
    ({ amount: this.amount, n: this.n, dim: this.dim } = bound);
  }

  override computeMask(t: Tensor, defaultMask: Tensor): Tensor {
    const dim = checkChannels(t, this.dim);
    const size = t.shape[dim]!;
    const count = countOf(this.amount, size);
    const kept = topk(this.norms(t, dim), size - count).indices;
    return count === 0 ? defaultMask : mul(channels(t, dim, kept), defaultMask);
  }

  /** The norm of each channel. */
  private norms(t: Tensor, dim: number): Tensor {
    const others = [...t.shape.keys()].filter((d) => d !== dim);
    if (this.n === "nuc" || (this.n === "fro" && others.length === 2)) {
      return matrixNorm(t, this.n, others.length === 2 ? others : [-2, -1]);
    }
    return vectorNorm(t, this.n === "fro" ? 2 : this.n, others);
  }
}

/** Prunes where a mask is 0. */
export class CustomFromMask extends BasePruningMethod {
  override readonly pruningType = "global";
  readonly mask: Tensor;

  constructor(mask: Tensor | { mask: Tensor }) {
    super();
    ({ mask: this.mask } = bind<{ mask: Tensor }>("CustomFromMask", [mask], { mask: REQUIRED }));
  }

  override computeMask(_: Tensor, defaultMask: Tensor): Tensor {
    const { mask } = this;
    if (!sameShape(defaultMask.shape, mask.shape)) {
      throw new TensorError(
        "shape",
        `default_mask shape ${formatSize(defaultMask.shape)} must match self.mask shape ${formatSize(mask.shape)}`,
      );
    }
    return mul(defaultMask, castTo(mask, defaultMask.dtype));
  }
}

// Without `export` above, since the library has another class of that name.
export { Identity };
