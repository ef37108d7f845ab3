import { apply } from "../../tensor/recording/apply.ts";
import { add, div } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt, square } from "../../tensor/functions/pointwise/elementwise.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { builtIn, type DecayOptions, type IMPLEMENTATION } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { count, effective, slot, type ParamState } from "./state.ts";

export interface AdagradOptions extends DecayOptions {
  /** 1e-2 by default. */
  lr: number;
  /** At step t the rate is lr / (1 + (t − 1) · lrDecay). */
  lrDecay: number;
  /** Initial value of the sums of squares; 0 by default. */
  initialAccumulatorValue: number;
  /** Keeps the division finite; 1e-10 by default. */
  eps: number;
}

type Group = ParamGroup<AdagradOptions>;

/**
 * Adagrad (Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html), at step t:
 * s ← s + g², p ← p − lr / (1 + (t − 1) · lrDecay) · g / (√s + eps).
 *
 * Weight decay is added to the gradient: g ← g + weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.Adagrad(model.parameters(), { lr: 0.01 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html
 */
export class Adagrad extends builtIn<
  AdagradOptions,
  "lr lrDecay weightDecay initialAccumulatorValue eps",
  typeof IMPLEMENTATION & { fused: null }
>() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-2,
    lrDecay: 0,
    weightDecay: 0,
    initialAccumulatorValue: 0,
    eps: 1e-10,
    foreach: null,
    maximize: false,
    differentiable: false,
    fused: null,
  };
  /** @internal */
  static override readonly groupOrder =
    "eps weightDecay initialAccumulatorValue foreach maximize differentiable fused";
  /** @internal */
  static override readonly checked = "lr lrDecay weightDecay initialAccumulatorValue eps";

  /** As in PyTorch, the state is there before the first step. */
  protected override initialize(): void {
    for (const group of this.paramGroups) for (const p of group.params) this.sumOf(p, this.stateOf(p));
  }

  private stateOf(p: Tensor): ParamState {
    const state = { step: 0 };
    this.state.set(p, state);
    return state;
  }

  private sumOf(p: Tensor, state: ParamState): Tensor {
    return slot(state, "sum", p, this.defaults.initialAccumulatorValue);
  }

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, lrDecay, eps } = group;
    const t = count(state, "step") + 1;
    state["step"] = t;
    const g = effective(grad, p, group);
    const sum = this.sumOf(p, state);
    sum.write(add(sum, square(g)));
    const rate = this.varying("lr", lr / (1 + (t - 1) * lrDecay));
    p.write(apply(descend, [p, div(g, add(sqrt(sum), eps)), rate], {}));
  }
}
