import { apply } from "../../tensor/recording/apply.ts";
import { add, mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { builtIn, IMPLEMENTATION, type DecayOptions } from "./builtIn.ts";
import { require } from "./optimizer.ts";
import type { ParamGroup } from "./groups.ts";
import { effective, slot, type ParamState } from "./state.ts";

export interface SGDOptions extends DecayOptions {
  /** 1e-3 by default. */
  lr: number;
  momentum: number;
  /** How much less than the whole gradient enters the momentum. */
  dampening: number;
  nesterov: boolean;
}

type Group = ParamGroup<SGDOptions>;

/**
 * Stochastic gradient descent: p ← p − lr · g, with g ← g + weightDecay · p.
 *
 * With momentum: b ← momentum · b + (1 − dampening) · g (b = g at first), and p ← p − lr · b; with Nesterov's
 * p ← p − lr · (g + momentum · b).
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
 */
export class SGD extends builtIn<
  SGDOptions,
  "lr momentum dampening weightDecay nesterov",
  typeof IMPLEMENTATION & { fused: null }
>() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-3,
    momentum: 0,
    dampening: 0,
    weightDecay: 0,
    nesterov: false,
    maximize: false,
    ...IMPLEMENTATION,
    fused: null,
  };

  /** @internal */
  static override readonly checked = "lr momentum weightDecay";

  /** @internal */
  static override check(options: SGDOptions): void {
    const { momentum, dampening, nesterov } = options;
    super.check(options);
    require(!nesterov ||
      (momentum > 0 && dampening === 0), "Nesterov momentum requires a momentum and zero dampening");
  }

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, momentum, dampening, nesterov } = group;
    let g = effective(grad, p, group);
    if (momentum !== 0) {
      const first = state["momentumBuffer"] === undefined;
      const buffer = slot(state, "momentumBuffer", p);
      const kept = this.varying("momentum", momentum);
      buffer.write(first ? g : add(mul(buffer, kept), dampening === 0 ? g : mul(g, 1 - dampening)));
      g = nesterov ? add(g, mul(buffer, kept)) : buffer;
    }
    p.write(apply(descend, [p, g, this.varying("lr", lr)], {}));
  }
}
