import { add, div, maximum, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { abs } from "../../tensor/functions/pointwise/elementwise.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Arguments } from "../arguments.ts";
import { py } from "../module/repr.ts";
import { CAPTURABLE, checkAtLeast0, checkBetas, Optimizer, require } from "./optimizer.ts";
import { bindParams, type ParamGroup, type Params } from "./groups.ts";
import { count, effective, slot, type ParamState } from "./state.ts";

export interface AdamaxOptions {
  /** 2e-3 by default. */
  lr: number;
  /** How slowly the mean and the largest of the gradients change: 0.9 and 0.999 by default. */
  betas: readonly [number, number];
  /** Keeps the division finite; 1e-8 by default. */
  eps: number;
  weightDecay: number;
  /** Go uphill. */
  maximize: boolean;
}

type Options = AdamaxOptions & typeof CAPTURABLE;

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
export class Adamax extends Optimizer<Options> {
  constructor(params: Params<Options>, options?: Partial<AdamaxOptions>);
  constructor(named: Partial<AdamaxOptions> & { params: Params<Options> });
  constructor(params: Params<Options>, lr: number, options?: Partial<Omit<AdamaxOptions, "lr">>);
  constructor(
    params: Params<Options>,
    ...rest: Arguments<Partial<AdamaxOptions>, "lr betas eps weightDecay">
  );
  constructor(...args: unknown[]) {
    const [params, options] = bindParams<Options>("Adamax", args, {
      lr: 2e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay: 0,
      foreach: null,
      maximize: false,
      differentiable: false,
      capturable: false,
    });
    checkAtLeast0("learning rate", options.lr);
    checkAtLeast0("epsilon value", options.eps);
    checkBetas(options.betas);
    require(options.weightDecay >= 0, `Invalid weight_decay value: ${py(options.weightDecay)}`);
    super(params, options);
  }

  protected override updateParameter(
    p: Tensor,
    grad: Tensor,
    group: ParamGroup<Options>,
    state: ParamState,
  ): void {
    const { lr, betas, eps } = group;
    const [beta1, beta2] = betas;
    const t = count(state, "step") + 1;
    state["step"] = t;
    const g = effective(grad, p, group);
    const m = slot(state, "expAvg", p);
    const u = slot(state, "expInf", p);
    m.write(this.towards(m, g, beta1));
    u.write(maximum(mul(u, beta2), add(abs(g), eps)));
    const rateAt = (k: number): number => lr / (1 - beta1 ** (t + k));
    p.write(sub(p, mul(div(m, u), this.varying("lr / (1 - beta1^t)", rateAt(0), rateAt))));
  }
}
