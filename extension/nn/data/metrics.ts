import { TensorError } from "../../tensor/errors.ts";
import { eq } from "../../tensor/functions/elementwise.ts";
import { castTo } from "../../tensor/functions/operands.ts";
import { argmax, mean } from "../../tensor/functions/reduction.ts";
import { valuesOf } from "../../tensor/runtime.ts";
import { noGrad } from "../../tensor/scope.ts";
import { formatShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/**
 * How many of the classes are the largest of their scores: 0 to 1.
 * @param output scores [N, C]
 * @param target classes [N]
 */
export function accuracy(output: Tensor, target: Tensor): number {
  if (output.ndim !== 2 || target.ndim !== 1 || output.shape[0] !== target.shape[0]) {
    throw new TensorError(
      "shape",
      `accuracy(): expected outputs [N, C] and classes [N], got ${formatShape(output.shape)} and ${formatShape(target.shape)}`,
    );
  }
  const hits = noGrad(() => mean(castTo(eq(argmax(output, 1), target), "float32")));
  return valuesOf(hits.value)[0]!;
}
