import { apply } from "../../tensor/recording/apply.ts";
import { add, div } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt, square } from "../../tensor/functions/pointwise/elementwise.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Arguments } from "../arguments.ts";
import { py } from "../module/repr.ts";
import { checkAtLeast0, IMPLEMENTATION, Optimizer, require } from "./optimizer.ts";
import { bindParams, type ParamGroup, type Params } from "./groups.ts";
import { count, effective, slot, type ParamState } from "./state.ts";

export interface AdagradOptions {
  /** 1e-2 by default. */
  lr: number;
  /** At step t the rate is lr / (1 + (t − 1) · lrDecay). */
  lrDecay: number;
  weightDecay: number;
  /** What the sums of squares start with; 0 by default. */
  initialAccumulatorValue: number;
  /** Keeps the division finite; 1e-10 by default. */
  eps: number;
  /** Go uphill. */
  maximize: boolean;
}

type Options = AdagradOptions & typeof IMPLEMENTATION & { fused: null };

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
export class Adagrad extends Optimizer<Options> {
  constructor(params: Params<Options>, options?: Partial<AdagradOptions>);
  constructor(named: Partial<AdagradOptions> & { params: Params<Options> });
  constructor(params: Params<Options>, lr: number, options?: Partial<Omit<AdagradOptions, "lr">>);
  constructor(
    params: Params<Options>,
    ...rest: Arguments<Partial<AdagradOptions>, "lr lrDecay weightDecay initialAccumulatorValue eps">
  );
  constructor(...args: unknown[]) {
    const [params, options] = bindParams<Options>(
      "Adagrad",
      args,
      {
        lr: 1e-2,
        lrDecay: 0,
        weightDecay: 0,
        initialAccumulatorValue: 0,
        eps: 1e-10,
        foreach: null,
        maximize: false,
        differentiable: false,
        fused: null,
      },
      "eps weightDecay initialAccumulatorValue foreach maximize differentiable fused",
    );
    const { lr, lrDecay, weightDecay, initialAccumulatorValue, eps } = options;
    checkAtLeast0("learning rate", lr);
    require(lrDecay >= 0, `Invalid lr_decay value: ${py(lrDecay)}`);
    require(weightDecay >= 0, `Invalid weight_decay value: ${py(weightDecay)}`);
    require(initialAccumulatorValue >=
      0, `Invalid initial_accumulator_value value: ${py(initialAccumulatorValue)}`);
    checkAtLeast0("epsilon value", eps);
    super(params, options);
    // As in PyTorch, the state is there before the first step.
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

  protected override updateParameter(
    p: Tensor,
    grad: Tensor,
    group: ParamGroup<Options>,
    state: ParamState,
  ): void {
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
