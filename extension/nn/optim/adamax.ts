import { add, div, maximum, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { abs } from "../../tensor/functions/pointwise/elementwise.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { builtIn, type MomentOptions } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { count, effective, slot, type ParamState } from "./state.ts";

export interface AdamaxOptions extends MomentOptions {
  /** 2e-3 by default. */
  lr: number;
  /** How slowly the mean and the largest of the gradients change: 0.9 and 0.999 by default. */
  betas: readonly [number, number];
}

type Group = ParamGroup<AdamaxOptions>;

/**
 * Adam by the largest gradient (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980), at step t:
 * m ← m + (1 − β₁)(g − m), u ← max(β₂ u, |g| + eps), p ← p − lr / (1 − β₁ᵗ) · m / u.
 *
 * Weight decay is added to the gradient: g ← g + weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.Adamax(model.parameters(), { lr: 0.002 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html
 */
export class Adamax extends builtIn<AdamaxOptions, "lr betas eps weightDecay">() {
  /** @internal */
  static override readonly signature = {
    lr: 2e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weightDecay: 0,
    foreach: null,
    maximize: false,
    differentiable: false,
    capturable: false,
  };
  /** @internal */
  static override readonly checked = "lr eps betas weightDecay";

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, betas, eps } = group;
    const [beta1, beta2] = betas;
    const t = count(state, "step") + 1;
    state["step"] = t;
    const g = effective(grad, p, group);
    const m = slot(state, "expAvg", p);
    const u = slot(state, "expInf", p);
    m.write(this.towards(m, g, beta1));
    u.write(maximum(mul(u, beta2), add(abs(g), eps)));
    p.write(sub(p, mul(div(m, u), this.varying("lr / (1 - beta1^t)", lr / (1 - beta1 ** t)))));
  }
}
