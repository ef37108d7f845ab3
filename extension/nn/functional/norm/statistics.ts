// Running statistics of batch norm.
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { constant, scalarOf } from "../../../tensor/functions/pointwise/operands.ts";
import { mul, sub } from "../../../tensor/ops/elementwise/elementwise.ts";
import { descend } from "../../../tensor/ops/update.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { hidden, noGrad } from "../../../tensor/recording/scope.ts";

/** The unbiased variance of `count` values whose biased one is given. */
export const unbiased = (variance: Tensor, count: number): Tensor =>
  apply(mul, [variance, constant(count / (count - 1))], {});

/** Moves running statistics towards those of a batch: writes that an optimizer's step computes with its own. */
export function followStatistics(
  runningMean: Tensor,
  runningVar: Tensor,
  momentum: number | Tensor,
  statistics: () => [mean: Tensor, variance: Tensor],
): void {
  hidden(() =>
    noGrad(() => {
      const rate = typeof momentum === "number" ? scalarOf(momentum, "float32") : momentum;
      const [mean, variance] = statistics();
      for (const [running, batch] of [
        [runningMean, mean],
        [runningVar, variance],
      ] as const) {
        const before = running.persist();
        // As in PyTorch, whose kernel writes them itself: a pass before this one can still be differentiated.
        before.write(apply(descend, [before, apply(sub, [before, batch], {}), rate], {}), undefined, null);
      }
    }),
  );
}
