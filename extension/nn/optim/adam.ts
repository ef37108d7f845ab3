import { applyAll } from "../../tensor/recording/apply.ts";
import { add, div, maximum, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { sqrt } from "../../tensor/functions/pointwise/elementwise.ts";
import { adamStep } from "../../tensor/ops/update.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { builtIn, CAPTURABLE, type DecoupledOptions } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { require } from "./optimizer.ts";
import { count, effective, meanSquare, slot, type ParamState } from "./state.ts";

export interface AdamOptions extends DecoupledOptions {
  /** 1e-3 by default. */
  lr: number;
  /** Divide by the largest mean of squares so far. */
  amsgrad: boolean;
}

type Group = ParamGroup<AdamOptions>;

/**
 * Adam: m ← m + (1 − β₁)(g − m), v ← β₂ v + (1 − β₂) g², and at step t
 * p ← p − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps).
 *
 * Weight decay is added to the gradient: g ← g + weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.Adam(model.parameters(), { lr: 0.001 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html
 */
export class Adam extends builtIn<
  AdamOptions,
  "lr betas eps weightDecay amsgrad",
  typeof CAPTURABLE & { fused: null }
>() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weightDecay: 0,
    amsgrad: false,
    maximize: false,
    ...CAPTURABLE,
    fused: null,
    decoupledWeightDecay: false,
  };
  /** @internal */
  static override readonly checked = "lr eps betas weightDecay";

  /** @internal */
  static override checkTensors(
    options: AdamOptions & { foreach: boolean | null; capturable: boolean },
  ): void {
    const { lr, betas, foreach, capturable } = options;
    const refuse = (value: unknown, name: string): void =>
      require(!(
        value instanceof Tensor &&
        foreach === true &&
        !capturable
      ), `${name} as a Tensor is not supported for capturable=False and foreach=True`);
    refuse(lr, "lr");
    if (!Array.isArray(betas)) return;
    const tensors = betas.filter((beta: unknown) => beta instanceof Tensor).length;
    require(tensors === 0 || tensors === betas.length, "betas must be either both floats or both Tensors");
    betas.forEach((beta, i) => refuse(beta, `betas[${i}]`));
  }

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, betas, eps, weightDecay, amsgrad, maximize, decoupledWeightDecay } = group;
    const [beta1, beta2] = betas;
    const t = count(state, "step") + 1;
    state["step"] = t;
    const m = slot(state, "expAvg", p);
    const v = slot(state, "expAvgSq", p);
    const g = effective(grad, p, { maximize, weightDecay: decoupledWeightDecay ? 0 : weightDecay });
    const decays = decoupledWeightDecay && weightDecay !== 0;
    const rate = this.varying("lr / (1 - beta1^t)", lr / (1 - beta1 ** t));
    const correction = this.varying("sqrt(1 - beta2^t)", Math.sqrt(1 - beta2 ** t));
    if (!amsgrad) {
      const follow = this.varying("1 - beta", 1 - beta1);
      const rounded = this.varying("sqrt(1 - float(beta2)^t)", Math.sqrt(1 - Math.fround(beta2) ** t));
      const shrink = decays ? [this.varying("1 - lr·weightDecay", 1 - lr * weightDecay)] : [];
      const inputs = [p, m, v, g, rate, correction, follow, rounded, ...shrink];
      const [p2, m2, v2] = applyAll(adamStep, inputs, { beta2, eps });
      p.write(p2!);
      m.write(m2!);
      v.write(v2!);
      return;
    }
    const largest = slot(state, "maxExpAvgSq", p);
    m.write(this.towards(m, g, beta1));
    v.write(meanSquare(v, g, beta2));
    largest.write(maximum(largest, v));
    const root = add(div(sqrt(largest), correction), eps);
    const from = decays ? this.shrunk(p, group) : p;
    p.write(sub(from, mul(div(m, root), rate)));
  }
}

/**
 * Adam whose weight decay (0.01 by default) shrinks the weights: p ← p − lr · weightDecay · p.
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.AdamW(model.parameters(), { lr: 0.001, weightDecay: 0.01 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
 */
export class AdamW extends Adam {
  /** @internal */
  static override readonly signature = {
    ...Adam.signature,
    weightDecay: 0.01,
    decoupledWeightDecay: true,
  };
}
