import { matmul } from "../../tensor/functions/linalg/linalg.ts";
import { clamp, div, lerp, maximum, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { neg, rsqrt, square } from "../../tensor/functions/pointwise/elementwise.ts";
import { constant } from "../../tensor/functions/pointwise/operands.ts";
import { mean, norm } from "../../tensor/functions/reduction/reduction.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { pyFloat } from "../module/repr.ts";
import { builtIn } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { require } from "./optimizer.ts";
import { count, remember, slot, type ParamState } from "./state.ts";

export interface AdafactorOptions {
  /** The largest relative step size, and the factor of weight decay; 1e-2 by default. */
  lr: number;
  /** At step t, means of squares move by t to this power; −0.8 by default. */
  beta2Decay: number;
  /** Keeps divisions finite, null (default) for float32's 2⁻²³; and smallest scale of a parameter, 1e-3 by default. */
  eps: readonly [number | null, number];
  /** The root mean square that updates are clipped to; 1 by default. */
  d: number;
  /** Shrinks the weights by lr · weightDecay; 0 by default. */
  weightDecay: number;
  /** Go uphill. */
  maximize: boolean;
}

type Group = ParamGroup<AdafactorOptions>;

/** The distance of 1 to the next float32. */
const EPSILON = 2 ** -23;

/**
 * Adafactor, which keeps the mean squares of a matrix as one row and one column: at step t with β = t^beta2Decay,
 * R ← R + β (mean over columns of g² − R), C ← C + β (mean over rows of g² − C), V = R C / mean R (of vectors, V itself); u = g / √V,
 * divided by max(1, rms(u) / d); p ← (1 − lr · weightDecay) p − max(eps₂, rms(p)) min(lr, 1 / √t) u.
 *
 * Shazeer and Stern 2018, https://arxiv.org/abs/1804.04235
 *
 * ```ts
 * const model = new nn.Linear(3, 1);
 * const optimizer = new optim.Adafactor(model.parameters(), { lr: 0.01 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adafactor.html
 */
export class Adafactor extends builtIn<
  AdafactorOptions,
  "lr beta2Decay eps d weightDecay",
  { foreach: null }
>() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-2,
    beta2Decay: -0.8,
    eps: [null, 1e-3],
    d: 1,
    weightDecay: 0,
    foreach: null,
    maximize: false,
  };
  protected override readonly floats = ["d", "weightDecay"];

  /** @internal */
  static override check({ lr, beta2Decay, eps, d, weightDecay }: AdafactorOptions): void {
    require(lr >= 0, `Learning rate should be >= 0 but is: ${pyFloat(lr)}`);
    require(beta2Decay <= 0, `beta2_decay should be <= 0 but is: ${pyFloat(beta2Decay)}`);
    require(eps[0] === null || eps[0] >= 0, `epsilon1 should be >= 0 but is: ${pyFloat(eps[0] ?? 0)}`);
    require(eps[1] >= 0, `epsilon2 should be >= 0 but is: ${pyFloat(eps[1])}`);
    require(d >= 1, `Clipping threshold d should be >= 1 but is: ${pyFloat(d)}`);
    require(weightDecay >= 0, `weight_decay should be >= 0 but is: ${pyFloat(weightDecay)}`);
  }

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, beta2Decay, eps, d, maximize } = group;
    const smallest = eps[0] ?? EPSILON;
    const t = count(state, "step") + 1;
    state["step"] = t;
    const g = maximize ? neg(grad) : grad;
    const rate = this.varying("min(lr, 1 / sqrt(t))", Math.min(lr, 1 / Math.sqrt(t)));
    const follow = this.varying("t^beta2_decay", t ** beta2Decay);
    const scale = mul(maximum(rootMeanSquare(p), constant(eps[1])), rate);
    const moved = (state: Tensor, next: Tensor): Tensor => state.write(lerp(state, next, follow));
    let variance: Tensor;
    if (p.ndim > 1) {
      const rows = moved(factor(state, "rowVar", p, -1), mean(square(g), -1, true));
      const columns = moved(factor(state, "colVar", p, -2), mean(square(g), -2, true));
      variance = div(matmul(rows, columns), clamp(mean(rows, -2, true), smallest));
    } else {
      variance = moved(slot(state, "variance", p), square(g));
    }
    const update = mul(rsqrt(clamp(variance, smallest * smallest)), g);
    const clipped = clamp(div(rootMeanSquare(update), d), 1);
    p.write(sub(this.shrunk(p, group), mul(update, div(scale, clipped))));
  }
}

const rootMeanSquare = (x: Tensor): Tensor => div(norm(x), Math.sqrt(x.numel()));

/** The mean squares of a matrix along one dimension, which is 1 long. */
function factor(state: ParamState, name: string, p: Tensor, dim: -1 | -2): Tensor {
  const known = state[name];
  if (known !== undefined) return known as Tensor;
  const shape = [...p.shape];
  shape[shape.length + dim] = 1;
  return remember(state, name, new Tensor(fillValue(0, shape, "float32")).persist());
}
