// Transforms of vectors and matrices as a whole.
import { TensorError } from "../../tensor/core/errors.ts";
import { arange } from "../../tensor/functions/creation/creation.ts";
import { cholesky } from "../../tensor/functions/linalg/decompositions.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { logsigmoid } from "../functional/activation/activation.ts";
import { pad } from "../functional/vision/pad.ts";
import * as constraints from "./constraints.ts";
import { EPS, TINY } from "./helpers.ts";
import { Transform } from "./transform.ts";

function vector(shape: Shape): Shape {
  if (shape.length < 1) throw new TensorError("shape", "Too few dimensions on input");
  return shape;
}

/** A transform that has no parameters; as in PyTorch, not bijective unless it says so. */
abstract class Plain extends Transform {
  override get bijective(): boolean {
    return false;
  }

  protected override sameAs(): boolean {
    return true;
  }

  protected logSlope(_x: Tensor, _y: Tensor): Tensor {
    throw new TensorError("unsupported", `${this.constructor.name} does not implement log_abs_det_jacobian`);
  }
}

/** Probabilities from scores, y = eˣ / Σ eˣ: not bijective, since adding a number to all scores changes nothing. */
export class SoftmaxTransform extends Plain {
  readonly domain = constraints.realVector;
  readonly codomain = constraints.simplex;

  override forwardShape(shape: Shape): Shape {
    return vector(shape);
  }

  override inverseShape(shape: Shape): Shape {
    return vector(shape);
  }

  protected forward(x: Tensor): Tensor {
    const exp = x.sub(x.max(-1, true).values).exp();
    return exp.div(exp.sum(-1, true));
  }

  protected backward(y: Tensor): Tensor {
    return y.log();
  }
}

/** n, n − 1, …, 1. */
const countdown = (n: number): Tensor => arange(n, 0, -1, { dtype: "float32" });

/** n probabilities from n − 1 numbers, each of which breaks off a part of what is left. */
export class StickBreakingTransform extends Plain {
  override get bijective(): boolean {
    return true;
  }

  readonly domain = constraints.realVector;
  readonly codomain = constraints.simplex;

  override forwardShape(shape: Shape): Shape {
    return [...vector(shape).slice(0, -1), shape.at(-1)! + 1];
  }

  override inverseShape(shape: Shape): Shape {
    return [...vector(shape).slice(0, -1), shape.at(-1)! - 1];
  }

  protected forward(x: Tensor): Tensor {
    const part = this.centred(x)
      .sigmoid()
      .clamp(TINY, 1 - EPS);
    return pad(part, [0, 1], "constant", 1).mul(pad(part.neg().add(1).cumprod(-1), [1, 0], "constant", 1));
  }

  protected backward(y: Tensor): Tensor {
    const n = y.shape.at(-1)! - 1;
    const cropped = y.narrow(-1, 0, n);
    const left = cropped.cumsum(-1).neg().add(1).clamp(TINY);
    return cropped.log().sub(left.log()).add(countdown(n).log());
  }

  protected override logSlope(x: Tensor, y: Tensor): Tensor {
    const centred = this.centred(x);
    const cropped = y.narrow(-1, 0, y.shape.at(-1)! - 1);
    return centred.neg().add(logsigmoid(centred)).add(cropped.log()).sum(-1);
  }

  /** Zeros break off equal parts. */
  private centred(x: Tensor): Tensor {
    return x.sub(countdown(x.shape.at(-1)!).log());
  }
}

/** A matrix of any numbers with another diagonal; what is above it is left out. */
const withDiagonal = (x: Tensor, of: (diagonal: Tensor) => Tensor): Tensor =>
  x.tril(-1).add(of(x.diagonal({ dim1: -2, dim2: -1 })).diagEmbed());

/** Lower triangular matrices with positive diagonals, e to the diagonal of any matrix. */
export class LowerCholeskyTransform extends Plain {
  readonly domain = constraints.independent(constraints.real, 2);
  readonly codomain = constraints.lowerCholesky;

  protected forward(x: Tensor): Tensor {
    return withDiagonal(x, (diagonal) => diagonal.exp());
  }

  protected backward(y: Tensor): Tensor {
    return withDiagonal(y, (diagonal) => diagonal.log());
  }
}

/** Positive definite matrices: a {@link LowerCholeskyTransform}, times its transpose. */
export class PositiveDefiniteTransform extends Plain {
  readonly domain = constraints.independent(constraints.real, 2);
  readonly codomain = constraints.positiveDefinite;

  protected forward(x: Tensor): Tensor {
    const factor = withDiagonal(x, (diagonal) => diagonal.exp());
    return factor.matmul(factor.mT);
  }

  protected backward(y: Tensor): Tensor {
    return withDiagonal(cholesky(y), (diagonal) => diagonal.log());
  }
}
