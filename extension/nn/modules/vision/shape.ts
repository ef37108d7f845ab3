import { flatten, unflatten } from "../../../tensor/functions/shape/shape.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { BuiltIn } from "../../module/module.ts";
import { py } from "../../module/repr.ts";
import { configured } from "../configured.ts";

/**
 * Dimensions startDim (1) to endDim (−1) as one.
 *
 * ```ts
 * new nn.Flatten()(torch.randn(32, 1, 5, 5)).shape; // [32, 25]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html
 */
export class Flatten extends configured<[startDim?: number, endDim?: number]>()("startDim endDim", 1, -1) {
  forward(input: Tensor): Tensor {
    return flatten(input, this.startDim, this.endDim);
  }

  override extraRepr(): string {
    return `start_dim=${this.startDim}, end_dim=${this.endDim}`;
  }
}

interface UnflattenArguments {
  dim: number;
  unflattenedSize: readonly number[];
}

/**
 * Dimension `dim` as several: the inverse of {@link Flatten}.
 *
 * ```ts
 * new nn.Unflatten(1, [2, 5, 5])(torch.randn(2, 50)).shape; // [2, 2, 5, 5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Unflatten.html
 */
export class Unflatten extends BuiltIn {
  dim: number;
  unflattenedSize: readonly number[];

  constructor(dim: number, unflattenedSize: readonly number[]);
  constructor(...args: Arguments<UnflattenArguments, "dim unflattenedSize">);
  constructor(...args: unknown[]) {
    super();
    const { dim, unflattenedSize } = bind<UnflattenArguments>("Unflatten", args, {
      dim: REQUIRED,
      unflattenedSize: REQUIRED,
    });
    if (!Array.isArray(unflattenedSize)) {
      throw new TensorError(
        "value",
        `unflattened_size must be a tuple of ints, but found type ${typeof unflattenedSize === "number" ? "int" : typeof unflattenedSize}`,
      );
    }
    this.dim = dim;
    this.unflattenedSize = [...unflattenedSize];
  }

  forward(input: Tensor): Tensor {
    return unflatten(input, this.dim, this.unflattenedSize);
  }

  override extraRepr(): string {
    return `dim=${this.dim}, unflattened_size=${py(this.unflattenedSize)}`;
  }
}
