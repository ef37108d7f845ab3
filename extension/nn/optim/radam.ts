import { add, div, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt } from "../../tensor/functions/pointwise/elementwise.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { builtIn, CAPTURABLE, type DecoupledOptions } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { count, effective, meanSquare, slot, type ParamState } from "./state.ts";

export interface RAdamOptions extends DecoupledOptions {
  /** 1e-3 by default. */
  lr: number;
}

type Group = ParamGroup<RAdamOptions>;

/**
 * Rectified Adam (Liu et al. 2020, https://arxiv.org/abs/1908.03265), at step t:
 * m ← m + (1 − β₁)(g − m), v ← β₂ v + (1 − β₂) g², m̂ = m / (1 − β₁ᵗ),
 * ρ∞ = 2 / (1 − β₂) − 1, ρₜ = ρ∞ − 2t β₂ᵗ / (1 − β₂ᵗ);
 * when ρₜ > 5: p ← p − lr · m̂ · √(1 − β₂ᵗ) / (√v + eps) · r with
 * r = √((ρₜ − 4)(ρₜ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρₜ)); before: p ← p − lr · m̂.
 *
 * Weight decay is added to the gradient: g ← g + weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.RAdam(model.parameters(), { lr: 0.001 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html
 */
export class RAdam extends builtIn<RAdamOptions, "lr betas eps weightDecay decoupledWeightDecay">() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weightDecay: 0,
    decoupledWeightDecay: false,
    maximize: false,
    ...CAPTURABLE,
  };
  /** @internal */
  static override readonly groupOrder = "maximize foreach capturable decoupledWeightDecay differentiable";
  /** @internal */
  static override readonly checked = "lr eps betas weightDecay";

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, betas, eps, weightDecay, decoupledWeightDecay, maximize } = group;
    const [beta1, beta2] = betas;
    const t = count(state, "step") + 1;
    state["step"] = t;
    const g = effective(grad, p, { maximize, weightDecay: decoupledWeightDecay ? 0 : weightDecay });
    const from = decoupledWeightDecay ? this.shrunk(p, group) : p;
    const m = slot(state, "expAvg", p);
    const v = slot(state, "expAvgSq", p);
    m.write(this.towards(m, g, beta1));
    v.write(meanSquare(v, g, beta2));
    const corrected = div(m, this.varying("1 - beta1^t", 1 - beta1 ** t));
    const step = mul(corrected, this.varying("lr", lr));
    const correction2 = 1 - beta2 ** t;
    const longest = 2 / (1 - beta2) - 1;
    const length = longest - (2 * t * beta2 ** t) / correction2;
    if (length <= 5) {
      p.write(sub(from, step));
      return;
    }
    const r = Math.sqrt(((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length));
    const adaptive = div(this.varying("sqrt(1 - beta2^t)", Math.sqrt(correction2)), add(sqrt(v), eps));
    p.write(sub(from, mul(mul(step, adaptive), this.varying("r", r))));
  }
}
