import { TensorError } from "../../tensor/core/errors.ts";
import { formatSize } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { matmul } from "../../tensor/functions/linalg/linalg.ts";
import { add, clamp, div, lerp, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { norm } from "../../tensor/functions/reduction/reduction.ts";
import { transpose } from "../../tensor/functions/shape/shape.ts";
import { pyFloat } from "../module/repr.ts";
import { builtIn } from "./builtIn.ts";
import type { ParamGroup } from "./groups.ts";
import { require } from "./optimizer.ts";
import { slot, type ParamState } from "./state.ts";

/** How the learning rate follows from the shape of a matrix. */
export type MuonRate = "original" | "match_rms_adamw" | "spectral_unclamped";

export interface MuonOptions {
  /** 1e-3 by default. */
  lr: number;
  /** Shrinks the weights by lr · weightDecay; 0.1 by default. */
  weightDecay: number;
  /** How slowly the mean of gradients changes; 0.95 by default. */
  momentum: number;
  /** Look ahead along the mean; true by default. */
  nesterov: boolean;
  /** Coefficients of the Newton–Schulz polynomial; (3.4445, −4.775, 2.0315) by default. */
  nsCoefficients: readonly [number, number, number];
  /** The smallest norm that an update is divided by; 1e-7 by default. */
  eps: number;
  /** Number of Newton–Schulz iterations; 5 by default. */
  nsSteps: number;
  /** For a matrix [A, B], lr times √max(1, A / B) ("original"), 0.2 √max(A, B) ("match_rms_adamw") or √(A / B). */
  adjustLrFn: MuonRate | null;
}

type Group = ParamGroup<MuonOptions>;

const RATES: Readonly<Record<MuonRate, (rows: number, columns: number) => number>> = {
  original: (rows, columns) => Math.sqrt(Math.max(1, rows / columns)),
  match_rms_adamw: (rows, columns) => 0.2 * Math.sqrt(Math.max(rows, columns)),
  spectral_unclamped: (rows, columns) => Math.sqrt(rows / columns),
};

/**
 * Muon, for the matrices of hidden layers: m ← m + (1 − momentum)(g − m); u = g + momentum (m − g) with `nesterov`, else m; and
 * p ← (1 − lr · weightDecay) p − lr · r · O(u). O brings the singular values of u near 1 by Newton–Schulz iterations, r depends on
 * the shape. Give other parameters to AdamW.
 *
 * PyTorch iterates in bfloat16, this in float32: updates agree to about 1%.
 *
 * Jordan 2024, https://kellerjordan.github.io/posts/muon/
 *
 * ```ts
 * const model = new nn.Linear(3, 4);
 * const optimizer = new optim.Muon([model.weight], { lr: 0.02 });
 * model(torch.randn(8, 3)).square().mean().backward();
 * optimizer.step();
 * ```
 * @throws TensorError "Muon only supports 2D parameters whereas we found a parameter with size: torch.Size([4])"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Muon.html
 */
export class Muon extends builtIn<
  MuonOptions,
  "lr weightDecay momentum nesterov nsCoefficients eps nsSteps adjustLrFn",
  object
>() {
  /** @internal */
  static override readonly signature = {
    lr: 1e-3,
    weightDecay: 0.1,
    momentum: 0.95,
    nesterov: true,
    nsCoefficients: [3.4445, -4.775, 2.0315],
    eps: 1e-7,
    nsSteps: 5,
    adjustLrFn: null,
  };
  protected override readonly integers = ["nsSteps"];

  /** @internal */
  static override check({ lr, momentum, weightDecay, adjustLrFn }: MuonOptions): void {
    require(lr >= 0, `Learning rate should be >= 0 but is: ${pyFloat(lr)}`);
    require(momentum >= 0, `momentum should be >= 0 but is: ${pyFloat(momentum)}`);
    require(weightDecay >= 0, `weight decay should be >= 0 but is: ${pyFloat(weightDecay)}`);
    require(adjustLrFn === null ||
      Object.hasOwn(RATES, adjustLrFn), `Adjust learning rate function ${adjustLrFn} is not supported`);
  }

  protected override initialize(): void {
    for (const { params } of this.paramGroups)
      for (const { ndim, shape } of params)
        require(ndim ===
          2, `Muon only supports 2D parameters whereas we found a parameter with size: ${formatSize(shape)}`);
  }

  protected override updateParameter(p: Tensor, grad: Tensor, group: Group, state: ParamState): void {
    const { lr, weightDecay, momentum, nesterov, adjustLrFn } = group;
    const mean = slot(state, "momentumBuffer", p);
    mean.write(lerp(mean, grad, this.varying("1 - momentum", 1 - momentum)));
    const update = nesterov ? lerp(grad, mean, this.varying("momentum", momentum)) : mean;
    const rate = lr * RATES[adjustLrFn ?? "original"](p.shape[0]!, p.shape[1]!);
    const from = mul(p, this.varying("1 - lr·weightDecay", 1 - lr * weightDecay));
    p.write(sub(from, mul(orthogonal(update, group), this.varying("lr·ratio", rate))));
  }
}

/** A matrix with nearly the same singular vectors, and singular values near 1. */
function orthogonal(matrix: Tensor, { nsCoefficients, nsSteps, eps }: MuonOptions): Tensor {
  if (nsSteps >= 100) {
    throw new TensorError("value", "Number of steps must be less than 100 for computational efficiency");
  }
  const [a, b, c] = nsCoefficients;
  // The smaller Gram matrix is of the shorter side.
  const tall = matrix.shape[0]! > matrix.shape[1]!;
  const wide = tall ? transpose(matrix, 0, 1) : matrix;
  let x = div(wide, clamp(norm(wide), eps));
  for (let i = 0; i < nsSteps; i++) {
    const gram = matmul(x, transpose(x, 0, 1));
    const polynomial = add(mul(gram, b), mul(matmul(gram, gram), c));
    x = add(mul(x, a), matmul(polynomial, x));
  }
  return tall ? transpose(x, 0, 1) : x;
}
