import { apply } from "../../tensor/recording/apply.ts";
import { add, mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Arguments } from "../arguments.ts";
import { py } from "../module/repr.ts";
import { checkAtLeast0, IMPLEMENTATION, Optimizer, require } from "./optimizer.ts";
import { bindParams, type ParamGroup, type Params } from "./groups.ts";
import { effective, slot, type ParamState } from "./state.ts";

export interface SGDOptions {
  /** 1e-3 by default. */
  lr: number;
  momentum: number;
  /** How much less than the whole gradient enters the momentum. */
  dampening: number;
  /** Times the parameter, added to its gradient. */
  weightDecay: number;
  nesterov: boolean;
  /** Go uphill. */
  maximize: boolean;
}

type Options = SGDOptions & typeof IMPLEMENTATION & { fused: null };

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
export class SGD extends Optimizer<Options> {
  constructor(params: Params<Options>, options?: Partial<SGDOptions>);
  constructor(named: Partial<SGDOptions> & { params: Params<Options> });
  constructor(params: Params<Options>, lr: number, options?: Partial<Omit<SGDOptions, "lr">>);
  constructor(
    params: Params<Options>,
    ...rest: Arguments<Partial<SGDOptions>, "lr momentum dampening weightDecay nesterov">
  );
  constructor(...args: unknown[]) {
    const [params, options] = bindParams<Options>("SGD", args, {
      lr: 1e-3,
      momentum: 0,
      dampening: 0,
      weightDecay: 0,
      nesterov: false,
      maximize: false,
      ...IMPLEMENTATION,
      fused: null,
    });
    const { lr, momentum, dampening, weightDecay, nesterov } = options;
    checkAtLeast0("learning rate", lr);
    require(momentum >= 0, `Invalid momentum value: ${py(momentum)}`);
    require(weightDecay >= 0, `Invalid weight_decay value: ${py(weightDecay)}`);
    require(!nesterov ||
      (momentum > 0 && dampening === 0), "Nesterov momentum requires a momentum and zero dampening");
    super(params, options);
  }

  protected override updateParameter(
    p: Tensor,
    grad: Tensor,
    group: ParamGroup<Options>,
    state: ParamState,
  ): void {
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
