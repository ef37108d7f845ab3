import { add, div, lerp, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { ne, neg, sqrt, where } from "../../tensor/functions/pointwise/elementwise.ts";
import { any } from "../../tensor/functions/reduction/reduction.ts";
import { range } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { isSparseTable } from "../functional/embedding/sparseTables.ts";
import { pyFloat } from "../module/repr.ts";
import { builtIn, checkOptions } from "./builtIn.ts";
import type { BaseOptions, ParamGroup } from "./groups.ts";
import { require } from "./optimizer.ts";
import { count, meanSquare, slot, type ParamState } from "./state.ts";

export interface SparseAdamOptions extends BaseOptions {
  /** 1e-3 by default. */
  lr: number;
  /** How slowly the means of gradients and of their squares change: 0.9 and 0.999 by default. */
  betas: readonly [number, number];
  /** Keeps the division finite; 1e-8 by default. */
  eps: number;
  /** Go uphill. */
  maximize: boolean;
}

type Group = ParamGroup<SparseAdamOptions>;

/**
 * Adam for tables of which a step looks up few rows: only these rows and their means change, all by Adam's rule. For the
 * weights of `nn.Embedding` and `nn.EmbeddingBag` with `sparse: true`.
 *
 * Gradients are dense here, so a row whose gradient is zero counts as not looked up.
 *
 * ```ts
 * const table = new nn.Embedding(10, 3, { sparse: true });
 * const optimizer = new optim.SparseAdam(table.parameters(), { lr: 0.1 });
 * table(torch.tensor([1, 4])).square().sum().backward();
 * optimizer.step();
 * ```
 * @throws TensorError "SparseAdam does not support dense gradients, please consider Adam instead"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.SparseAdam.html
 */
export class SparseAdam extends builtIn<SparseAdamOptions, "lr betas eps maximize", object, BaseOptions>() {
  /** @internal */
  static override readonly signature = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, maximize: false };

  /** @internal */
  static override check(options: SparseAdamOptions): void {
    require(options.lr > 0, `Invalid learning rate: ${pyFloat(options.lr)}`);
    require(options.eps > 0, `Invalid epsilon value: ${pyFloat(options.eps)}`);
    checkOptions(options, "betas");
  }

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    require(isSparseTable(p), "SparseAdam does not support dense gradients, please consider Adam instead");
    const { lr, betas, eps, maximize } = group;
    const [beta1, beta2] = betas;
    const t = count(state, "step") + 1;
    state["step"] = t;
    const [m, v] = [slot(state, "expAvg", p), slot(state, "expAvgSq", p)];
    const g = maximize ? neg(grad) : grad;
    const used = any(ne(g, 0), range(p.ndim).slice(1), true);
    const mean = lerp(m, g, 1 - beta1);
    const spread = meanSquare(v, g, beta2);
    const corrected = (lr * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t);
    const rate = this.varying("lr·sqrt(1 - beta2^t) / (1 - beta1^t)", corrected);
    const next = sub(p, mul(div(mean, add(sqrt(spread), eps)), rate));
    p.write(where(used, next, p));
    m.write(where(used, mean, m));
    v.write(where(used, spread, v));
  }
}
