import { apply } from "../../tensor/recording/apply.ts";
import { add, div, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt, square } from "../../tensor/functions/pointwise/elementwise.ts";
import { descend } from "../../tensor/ops/update.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Arguments } from "../arguments.ts";
import { py } from "../module/repr.ts";
import { CAPTURABLE, checkAtLeast0, Optimizer, require } from "./optimizer.ts";
import { bindParams, type ParamGroup, type Params } from "./groups.ts";
import { count, effective, meanSquare, slot, type ParamState } from "./state.ts";

export interface RMSpropOptions {
  /** 1e-2 by default. */
  lr: number;
  /** How slowly the mean of the squared gradients changes; 0.99 by default. */
  alpha: number;
  /** Keeps the division finite; 1e-8 by default. */
  eps: number;
  weightDecay: number;
  momentum: number;
  /** Divide by the gradients' standard deviation instead of their root mean square. */
  centered: boolean;
  /** Go uphill. */
  maximize: boolean;
}

type Options = RMSpropOptions & typeof CAPTURABLE;

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
export class RMSprop extends Optimizer<Options> {
  constructor(params: Params<Options>, options?: Partial<RMSpropOptions>);
  constructor(named: Partial<RMSpropOptions> & { params: Params<Options> });
  constructor(params: Params<Options>, lr: number, options?: Partial<Omit<RMSpropOptions, "lr">>);
  constructor(
    params: Params<Options>,
    ...rest: Arguments<Partial<RMSpropOptions>, "lr alpha eps weightDecay momentum centered">
  );
  constructor(...args: unknown[]) {
    const [params, options] = bindParams<Options>(
      "RMSprop",
      args,
      {
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
      },
      "momentum alpha eps centered weightDecay capturable foreach maximize differentiable",
    );
    checkAtLeast0("learning rate", options.lr);
    checkAtLeast0("epsilon value", options.eps);
    require(options.momentum >= 0, `Invalid momentum value: ${py(options.momentum)}`);
    require(options.weightDecay >= 0, `Invalid weight_decay value: ${py(options.weightDecay)}`);
    require(options.alpha >= 0, `Invalid alpha value: ${py(options.alpha)}`);
    super(params, options);
  }

  protected override updateParameter(
    p: Tensor,
    grad: Tensor,
    group: ParamGroup<Options>,
    state: ParamState,
  ): void {
    const { lr, alpha, eps, momentum, centered } = group;
    state["step"] = count(state, "step") + 1;
    const g = effective(grad, p, group);
    const v = slot(state, "squareAvg", p);
    v.write(meanSquare(v, g, alpha));
    let spread: Tensor = v;
    if (centered) {
      const mean = slot(state, "gradAvg", p);
      mean.write(add(mean, mul(sub(g, mean), 1 - alpha)));
      spread = sub(v, square(mean));
    }
    let step = div(g, add(sqrt(spread), eps));
    if (momentum > 0) {
      const buffer = slot(state, "momentumBuffer", p);
      buffer.write(add(mul(buffer, this.varying("momentum", momentum)), step));
      step = buffer;
    }
    p.write(apply(descend, [p, step, this.varying("lr", lr)], {}));
  }
}
