import { apply } from "../../tensor/recording/apply.ts";
import { add, div, mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt } from "../../tensor/functions/pointwise/elementwise.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { pyFloat } from "../module/repr.ts";
import { builtIn, checkOptions, type DecayOptions } from "./builtIn.ts";
import { require } from "./optimizer.ts";
import type { ParamGroup } from "./groups.ts";
import { count, effective, meanSquare, slot, type ParamState } from "./state.ts";

export interface AdadeltaOptions extends DecayOptions {
  /** 1 by default. */
  lr: number;
  /** How slowly the means of squares change; 0.9 by default. */
  rho: number;
  /** Keeps the division finite, and starts the steps; 1e-6 by default. */
  eps: number;
}

type Group = ParamGroup<AdadeltaOptions>;

/**
 * Adadelta (Zeiler 2012, https://arxiv.org/abs/1212.5701):
 * v ← ρ v + (1 − ρ) g², δ = √(u + eps) / √(v + eps) · g, u ← ρ u + (1 − ρ) δ², p ← p − lr · δ.
 *
 * Weight decay is added to the gradient: g ← g + weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.Adadelta(model.parameters(), { lr: 1 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html
 */
export class Adadelta extends builtIn<AdadeltaOptions, "lr rho eps weightDecay">() {
  /** @internal */
  static override readonly signature = {
    lr: 1,
    rho: 0.9,
    eps: 1e-6,
    weightDecay: 0,
    foreach: null,
    capturable: false,
    maximize: false,
    differentiable: false,
  };
  /** @internal */
  static override readonly groupOrder = "maximize capturable foreach differentiable";
  protected override readonly floats = ["lr"];

  /** @internal */
  static override check(options: AdadeltaOptions): void {
    const { rho } = options;
    checkOptions(options, "lr");
    require(rho >= 0 && rho <= 1, `Invalid rho value: ${pyFloat(rho)}`);
    checkOptions(options, "eps weightDecay");
  }

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, rho, eps } = group;
    state["step"] = count(state, "step") + 1;
    const g = effective(grad, p, group);
    const v = slot(state, "squareAvg", p);
    const u = slot(state, "accDelta", p);
    v.write(meanSquare(v, g, rho));
    const delta = mul(div(sqrt(add(u, eps)), sqrt(add(v, eps))), g);
    u.write(meanSquare(u, delta, rho));
    p.write(apply(descend, [p, delta, this.varying("lr", lr)], {}));
  }
}
