import { apply } from "../../tensor/recording/apply.ts";
import { add, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { builtIn, type DecayOptions } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { count, effective, slot, type ParamState } from "./state.ts";

export interface ASGDOptions extends DecayOptions {
  /** 1e-2 by default. */
  lr: number;
  /** How fast the weights shrink; 1e-4 by default. */
  lambd: number;
  /** Power of the decay of η; 0.75 by default. */
  alpha: number;
  /** The step after which `ax` is a mean; 1e6 by default. */
  t0: number;
}

type Group = ParamGroup<ASGDOptions>;

/**
 * Averaged stochastic gradient descent (Polyak and Juditsky 1992, https://doi.org/10.1137/0330046), at step t:
 * p ← (1 − λη) p − η g, a ← a + μ(p − a), then η ← lr / (1 + λ · lr · t)^α and μ ← 1 / max(1, t − t0);
 * η = lr and μ = 1 at first. The averaged parameter a is `ax` of the state.
 *
 * Weight decay is added to the gradient: g ← g + weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.ASGD(model.parameters(), { lr: 0.01 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.ASGD.html
 */
export class ASGD extends builtIn<ASGDOptions, "lr lambd alpha t0 weightDecay">() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-2,
    lambd: 1e-4,
    alpha: 0.75,
    t0: 1e6,
    weightDecay: 0,
    foreach: null,
    maximize: false,
    differentiable: false,
    capturable: false,
  };
  protected override readonly floats = ["t0"];
  protected override readonly numbers = ["step", "eta", "mu"];
  /** @internal */
  static override readonly checked = "lr lambd alpha weightDecay";

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, lambd, alpha, t0 } = group;
    const t = count(state, "step") + 1;
    // PyTorch keeps η and μ as float32.
    const eta = count(state, "eta", Math.fround(lr));
    const mu = count(state, "mu", 1);
    const shrunk = mul(p, this.varying("1 - lambd·eta", 1 - lambd * eta));
    p.write(apply(descend, [shrunk, effective(grad, p, group), this.varying("eta", eta)], {}));
    state["step"] = t;
    state["eta"] = Math.fround(lr / (1 + lambd * lr * t) ** alpha);
    state["mu"] = Math.fround(1 / Math.max(1, t - t0));
    const mean = slot(state, "ax", p);
    mean.write(mu === 1 ? p : add(mean, mul(sub(p, mean), this.varying("mu", mu))));
  }
}
