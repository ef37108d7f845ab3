import { clamp, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { gt, lt, neg, sign, where } from "../../tensor/functions/pointwise/elementwise.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { pyFloat } from "../module/repr.ts";
import { builtIn, type CAPTURABLE } from "./builtIn.ts";
import { require } from "./optimizer.ts";
import type { BaseOptions, ParamGroup } from "./groups.ts";
import { count, slot, type ParamState } from "./state.ts";

export interface RpropOptions {
  /** The first step size; 1e-2 by default. */
  lr: number;
  /** Factors of a step size when the gradient's sign changes, and when it stays: 0.5 and 1.2 by default. */
  etas: readonly [number, number];
  /** Smallest and largest step size: 1e-6 and 50 by default. */
  stepSizes: readonly [number, number];
  /** Go uphill. */
  maximize: boolean;
}

type Group = ParamGroup<RpropOptions>;

/**
 * Resilient backpropagation (Riedmiller and Braun 1993, https://doi.org/10.1109/ICNN.1993.298623), for whole batches:
 * only the gradient's sign counts. Each element has its own step size s, lr at first:
 * where g · g′ > 0: s ← min(η₊ s, largest); where g · g′ < 0: s ← max(η₋ s, smallest) and g ← 0;
 * p ← p − s · sign(g), g′ ← g.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.Rprop(model.parameters(), { lr: 0.01 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Rprop.html
 */
export class Rprop extends builtIn<RpropOptions, "lr etas stepSizes", typeof CAPTURABLE, BaseOptions>() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-2,
    etas: [0.5, 1.2],
    stepSizes: [1e-6, 50],
    foreach: null,
    maximize: false,
    differentiable: false,
    capturable: false,
  };

  /** @internal */
  static override check(options: RpropOptions): void {
    const [down, up] = options.etas;
    super.check(options);
    require(down > 0 && down < 1 && up > 1, `Invalid eta values: ${pyFloat(down)}, ${pyFloat(up)}`);
  }

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, etas, stepSizes, maximize } = group;
    state["step"] = count(state, "step") + 1;
    const previous = slot(state, "prev", p);
    const size = slot(state, "stepSize", p, lr);
    const g = maximize ? neg(grad) : grad;
    const agreement = mul(g, previous);
    const turned = lt(agreement, 0);
    const factor = where(turned, etas[0], where(gt(agreement, 0), etas[1], 1));
    size.write(clamp(mul(size, factor), stepSizes[0], stepSizes[1]));
    const followed = where(turned, 0, g);
    p.write(sub(p, mul(sign(followed), size)));
    previous.write(followed);
  }
}
