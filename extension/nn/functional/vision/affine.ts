import { apply } from "../../../tensor/recording/apply.ts";
import { reshaped } from "../../../tensor/functions/shape/views.ts";
import { shift, weigh } from "../../../tensor/ops/matrix/affine.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";

/** [N, C, *] times a weight and plus a bias per channel, where there are any. */
export function perChannel(x: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor {
  const shaped = (t: Tensor): Tensor =>
    reshaped(
      t,
      x.shape.map((n, d) => (d === 1 ? n : 1)),
    );
  const scaled = weight === null ? x : apply(weigh, [x, shaped(weight)], {});
  return bias === null ? scaled : apply(shift, [scaled, shaped(bias)], {});
}
