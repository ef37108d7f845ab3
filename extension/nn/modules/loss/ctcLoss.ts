import type { Tensor } from "../../../tensor/core/tensor.ts";
import * as F from "../../functional/index.ts";
import type { CtcOptions, Lengths } from "../../functional/loss/ctcLoss.ts";
import { configuredLoss } from "./loss.ts";

/**
 * Connectionist temporal classification (Graves et al. 2006): −ln of the probability of a sequence of labels that is
 * nowhere aligned with its input. Speech and handwriting are learned with it.
 *
 * - logProbs [T, N, C] (or [T, C]): log-probabilities of C classes, one of which is `blank` (0)
 * - targets [N, S], or those of all rows one after the other; none may be blank
 * - inputLengths [N], targetLengths [N]
 * - "mean" divides each loss by the length of its target first
 * - a target that is too long for its input costs infinity, or 0 with `zeroInfinity`
 *
 * ```ts
 * const logProbs = F.logSoftmax(torch.randn(50, 2, 20), 2);
 * const targets = torch.randint(1, 20, [2, 10]);
 * new nn.CTCLoss()(logProbs, targets, [50, 40], [10, 7]);
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html
 */
export class CTCLoss extends configuredLoss<CtcOptions, "blank reduction zeroInfinity">() {
  /** @internal */
  static override readonly signature = { blank: 0, reduction: "mean", zeroInfinity: false };
  declare blank: number;
  declare zeroInfinity: boolean;

  forward(logProbs: Tensor, targets: Tensor, inputLengths: Lengths, targetLengths: Lengths): Tensor {
    const { blank, reduction, zeroInfinity } = this;
    return F.ctcLoss(logProbs, targets, inputLengths, targetLengths, { blank, reduction, zeroInfinity });
  }
}
