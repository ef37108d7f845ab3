import { apply } from "../../tensor/recording/apply.ts";
import { add, div, mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt } from "../../tensor/functions/pointwise/elementwise.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Arguments } from "../arguments.ts";
import { py } from "../module/repr.ts";
import { CAPTURABLE, checkAtLeast0, Optimizer, require } from "./optimizer.ts";
import { bindParams, type ParamGroup, type Params } from "./groups.ts";
import { count, effective, meanSquare, slot, type ParamState } from "./state.ts";

export interface AdadeltaOptions {
  /** 1 by default. */
  lr: number;
  /** How slowly the means of squares change; 0.9 by default. */
  rho: number;
  /** Keeps the division finite, and starts the steps; 1e-6 by default. */
  eps: number;
  weightDecay: number;
  /** Go uphill. */
  maximize: boolean;
}

type Options = AdadeltaOptions & typeof CAPTURABLE;

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
export class Adadelta extends Optimizer<Options> {
  protected override readonly floats = ["lr"];

  constructor(params: Params<Options>, options?: Partial<AdadeltaOptions>);
  constructor(named: Partial<AdadeltaOptions> & { params: Params<Options> });
  constructor(params: Params<Options>, lr: number, options?: Partial<Omit<AdadeltaOptions, "lr">>);
  constructor(
    params: Params<Options>,
    ...rest: Arguments<Partial<AdadeltaOptions>, "lr rho eps weightDecay">
  );
  constructor(...args: unknown[]) {
    const [params, options] = bindParams<Options>(
      "Adadelta",
      args,
      {
        lr: 1,
        rho: 0.9,
        eps: 1e-6,
        weightDecay: 0,
        foreach: null,
        capturable: false,
        maximize: false,
        differentiable: false,
      },
      "maximize capturable foreach differentiable",
    );
    checkAtLeast0("learning rate", options.lr);
    require(options.rho >= 0 && options.rho <= 1, `Invalid rho value: ${py(options.rho)}`);
    checkAtLeast0("epsilon value", options.eps);
    require(options.weightDecay >= 0, `Invalid weight_decay value: ${py(options.weightDecay)}`);
    super(params, options);
  }

  protected override updateParameter(
    p: Tensor,
    grad: Tensor,
    group: ParamGroup<Options>,
    state: ParamState,
  ): void {
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
