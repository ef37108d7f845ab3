import { apply } from "../../tensor/recording/apply.ts";
import { add, div, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt, square } from "../../tensor/functions/pointwise/elementwise.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { builtIn, type DecayOptions } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { count, effective, meanSquare, slot, type ParamState } from "./state.ts";

export interface RMSpropOptions extends DecayOptions {
  /** 1e-2 by default. */
  lr: number;
  /** How slowly the mean of the squared gradients changes; 0.99 by default. */
  alpha: number;
  /** Keeps the division finite; 1e-8 by default. */
  eps: number;
  momentum: number;
  /** Divide by the gradients' standard deviation instead of their root mean square. */
  centered: boolean;
}

type Group = ParamGroup<RMSpropOptions>;

/**
 * RMSprop (Hinton, https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf):
 * v ← α v + (1 − α) g², p ← p − lr · g / (√v + eps).
 *
 * Centered: ḡ ← ḡ + (1 − α)(g − ḡ), and √(v − ḡ²) instead of √v. With momentum: b ← momentum · b + g / (√v + eps) and
 * p ← p − lr · b. Weight decay is added to the gradient: g ← g + weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.RMSprop(model.parameters(), { lr: 0.01 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
 */
export class RMSprop extends builtIn<RMSpropOptions, "lr alpha eps weightDecay momentum centered">() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-2,
    alpha: 0.99,
    eps: 1e-8,
    weightDecay: 0,
    momentum: 0,
    centered: false,
    capturable: false,
    foreach: null,
    maximize: false,
    differentiable: false,
  };
  /** @internal */
  static override readonly groupOrder =
    "momentum alpha eps centered weightDecay capturable foreach maximize differentiable";
  /** @internal */
  static override readonly checked = "lr eps momentum weightDecay alpha";

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, alpha, eps, momentum, centered } = group;
    state["step"] = count(state, "step") + 1;
    const g = effective(grad, p, group);
    const v = slot(state, "squareAvg", p);
    // Made in PyTorch's order, in which they are saved.
    const buffer = momentum > 0 ? slot(state, "momentumBuffer", p) : undefined;
    v.write(meanSquare(v, g, alpha));
    let spread: Tensor = v;
    if (centered) {
      const mean = slot(state, "gradAvg", p);
      mean.write(add(mean, mul(sub(g, mean), 1 - alpha)));
      spread = sub(v, square(mean));
    }
    let step = div(g, add(sqrt(spread), eps));
    if (buffer !== undefined) {
      buffer.write(add(mul(buffer, this.varying("momentum", momentum)), step));
      step = buffer;
    }
    p.write(apply(descend, [p, step, this.varying("lr", lr)], {}));
  }
}
