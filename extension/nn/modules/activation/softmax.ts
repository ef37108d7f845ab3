import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { logSoftmax, softmax, softmin } from "../../functional/activation/softmax.ts";
import { BuiltIn } from "../../module/module.ts";
import { py } from "../../module/repr.ts";
import { configured } from "../configured.ts";

/** Base class of functions along one dimension. */
abstract class AlongDimension extends configured<[dim?: number | null]>()("dim", null) {
  override extraRepr(): string {
    return `dim=${py(this.dim)}`;
  }
}

/**
 * eˣ / Σ eˣ along a dimension.
 *
 * ```ts
 * new nn.Softmax(1)(torch.tensor([[2.5, 2.5]])).tolist(); // [[0.5, 0.5]]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
 */
export class Softmax extends AlongDimension {
  forward(input: Tensor): Tensor {
    return softmax(input, this.dim);
  }
}

/**
 * ln(softmax(x)) along a dimension.
 *
 * ```ts
 * new nn.LogSoftmax(1)(torch.randn(2, 3)).shape; // [2, 3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html
 */
export class LogSoftmax extends AlongDimension {
  forward(input: Tensor): Tensor {
    return logSoftmax(input, this.dim);
  }
}

/**
 * softmax(−x) along a dimension.
 *
 * ```ts
 * new nn.Softmin(1)(torch.tensor([[2.5, 2.5]])).tolist(); // [[0.5, 0.5]]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmin.html
 */
export class Softmin extends AlongDimension {
  forward(input: Tensor): Tensor {
    return softmin(input, this.dim);
  }
}

/**
 * Softmax over the channels of images [N, C, H, W] or [C, H, W]: of each pixel.
 *
 * ```ts
 * new nn.Softmax2d()(torch.randn(2, 3, 12, 13)).shape; // [2, 3, 12, 13]
 * ```
 * @throws TensorError "Softmax2d: expected input to be 3D or 4D, got 2D instead"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html
 */
export class Softmax2d extends BuiltIn {
  forward(input: Tensor): Tensor {
    if (input.ndim !== 3 && input.ndim !== 4) {
      throw new TensorError("shape", `Softmax2d: expected input to be 3D or 4D, got ${input.ndim}D instead`);
    }
    return softmax(input, -3);
  }
}
