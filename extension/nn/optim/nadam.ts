import { add, div, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt } from "../../tensor/functions/pointwise/elementwise.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { builtIn, CAPTURABLE, type DecoupledOptions } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { count, effective, meanSquare, slot, type ParamState } from "./state.ts";

export interface NAdamOptions extends DecoupledOptions {
  /** 2e-3 by default. */
  lr: number;
  /** How fast μ grows from β₁ / 2 to β₁; 4e-3 by default. */
  momentumDecay: number;
}

type Group = ParamGroup<NAdamOptions>;

/**
 * Adam with Nesterov momentum (Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ), at step t:
 * μₜ = β₁(1 − ½ · 0.96^(t · momentumDecay)), Πₜ = μ₁ ⋯ μₜ,
 * m ← m + (1 − β₁)(g − m), v ← β₂ v + (1 − β₂) g², d = √(v / (1 − β₂ᵗ)) + eps,
 * p ← p − lr (1 − μₜ) / (1 − Πₜ) · g / d − lr μₜ₊₁ / (1 − Πₜ₊₁) · m / d.
 *
 * Weight decay is added to the gradient: g ← g + weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.NAdam(model.parameters(), { lr: 0.002 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html
 */
export class NAdam extends builtIn<
  NAdamOptions,
  "lr betas eps weightDecay momentumDecay decoupledWeightDecay"
>() {
  /** @internal */
  static override readonly signature = {
    lr: 2e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weightDecay: 0,
    momentumDecay: 4e-3,
    decoupledWeightDecay: false,
    maximize: false,
    ...CAPTURABLE,
  };
  protected override readonly numbers = ["step", "muProduct"];
  /** @internal */
  static override readonly checked = "lr eps betas weightDecay momentumDecay";

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, betas, eps, weightDecay, momentumDecay, decoupledWeightDecay, maximize } = group;
    const [beta1, beta2] = betas;
    const t = count(state, "step") + 1;
    state["step"] = t;
    const g = effective(grad, p, { maximize, weightDecay: decoupledWeightDecay ? 0 : weightDecay });
    const from = decoupledWeightDecay ? this.shrunk(p, group) : p;
    const momentumAt = (step: number): number => beta1 * (1 - 0.5 * 0.96 ** (step * momentumDecay));
    const mu = momentumAt(t);
    const next = momentumAt(t + 1);
    // PyTorch keeps the product as a float32.
    const product = Math.fround(count(state, "muProduct", 1) * Math.fround(mu));
    state["muProduct"] = product;
    const m = slot(state, "expAvg", p);
    const v = slot(state, "expAvgSq", p);
    m.write(this.towards(m, g, beta1));
    v.write(meanSquare(v, g, beta2));
    const d = add(sqrt(div(v, this.varying("1 - beta2^t", 1 - beta2 ** t))), eps);
    const ofGrad = this.varying("rate of g", (lr * (1 - mu)) / (1 - product));
    const ofMean = this.varying("rate of m", (lr * next) / (1 - product * next));
    p.write(sub(sub(from, mul(div(g, d), ofGrad)), mul(div(m, d), ofMean)));
  }
}
