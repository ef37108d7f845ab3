// Transforms of vectors and matrices as a whole.
import { TensorError } from "../../tensor/core/errors.ts";
import { arange, eye, zeros } from "../../tensor/functions/creation/creation.ts";
import { cholesky } from "../../tensor/functions/linalg/decompositions.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { logsigmoid, softplus } from "../functional/activation/activation.ts";
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
  protected override sameAs(): boolean {
    return true;
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

  protected override _call(x: Tensor): Tensor {
    const exp = x.sub(x.max(-1, true).values).exp();
    return exp.div(exp.sum(-1, true));
  }

  protected override _inverse(y: Tensor): Tensor {
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

  protected override _call(x: Tensor): Tensor {
    const part = this.centred(x)
      .sigmoid()
      .clamp(TINY, 1 - EPS);
    return pad(part, [0, 1], "constant", 1).mul(pad(part.neg().add(1).cumprod(-1), [1, 0], "constant", 1));
  }

  protected override _inverse(y: Tensor): Tensor {
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

  protected override _call(x: Tensor): Tensor {
    return withDiagonal(x, (diagonal) => diagonal.exp());
  }

  protected override _inverse(y: Tensor): Tensor {
    return withDiagonal(y, (diagonal) => diagonal.log());
  }
}

/** Positive definite matrices: a {@link LowerCholeskyTransform}, times its transpose. */
export class PositiveDefiniteTransform extends Plain {
  readonly domain = constraints.independent(constraints.real, 2);
  readonly codomain = constraints.positiveDefinite;

  protected override _call(x: Tensor): Tensor {
    const factor = withDiagonal(x, (diagonal) => diagonal.exp());
    return factor.matmul(factor.mT);
  }

  protected override _inverse(y: Tensor): Tensor {
    return withDiagonal(cholesky(y), (diagonal) => diagonal.log());
  }
}

/** Places below a diagonal of matrices of n rows, row by row. */
function placesBelow(n: number, diagonal: number): Tensor {
  const places: number[] = [];
  for (let r = 0; r < n; r++) for (let c = 0; c <= r + diagonal; c++) places.push(r * n + c);
  return fromHost(Int32Array.from(places), [places.length], "int64");
}

/** The elements of matrices up to a diagonal, as vectors. */
const vectorOf = (x: Tensor, diagonal: number): Tensor =>
  x.reshape([...x.shape.slice(0, -2), -1]).indexSelect(-1, placesBelow(x.shape.at(-1)!, diagonal));

/** Cholesky factors of correlation matrices of n rows, from vectors of n (n − 1) / 2 numbers: each is a part of what its row has left. */
export class CorrCholeskyTransform extends Plain {
  override get bijective(): boolean {
    return true;
  }

  readonly domain = constraints.realVector;
  readonly codomain = constraints.corrCholesky;

  override forwardShape(shape: Shape): Shape {
    const count = vector(shape).at(-1)!;
    const n = Math.round(Math.sqrt(0.25 + 2 * count) + 0.5);
    if ((n * (n - 1)) / 2 !== count)
      throw new TensorError("value", "Input is not a flattened lower-diagonal number");
    return [...shape.slice(0, -1), n, n];
  }

  override inverseShape(shape: Shape): Shape {
    if (shape.length < 2) throw new TensorError("shape", "Too few dimensions on input");
    const [rows, n] = shape.slice(-2) as [number, number];
    if (rows !== n) throw new TensorError("shape", "Input is not square");
    return [...shape.slice(0, -2), (n * (n - 1)) / 2];
  }

  protected override _call(x: Tensor): Tensor {
    const shape = this.forwardShape(x.shape);
    const n = shape.at(-1)!;
    const part = x.tanh().clamp(-1 + EPS, 1 - EPS);
    const places = placesBelow(n, -1);
    const below = zeros([...shape.slice(0, -2), n * n])
      .indexCopy(-1, places, part)
      .reshape([...shape]);
    const left = below.square().neg().add(1).sqrt().cumprod(-1);
    return below.add(eye(n)).mul(pad(left.narrow(-1, 0, n - 1), [1, 0], "constant", 1));
  }

  protected override _inverse(y: Tensor): Tensor {
    const left = y.square().cumsum(-1).neg().add(1);
    const before = pad(left.narrow(-1, 0, y.shape.at(-1)! - 1), [1, 0], "constant", 1);
    const part = vectorOf(y, -1).div(vectorOf(before, -1).sqrt());
    return part.log1p().sub(part.neg().log1p()).div(2);
  }

  protected override logSlope(x: Tensor, y: Tensor): Tensor {
    const left = y.square().cumsum(-1).neg().add(1);
    const breaking = vectorOf(left, -2).log().sum(-1).mul(0.5);
    const tanh = x
      .add(softplus(x.mul(-2)))
      .sub(Math.LN2)
      .sum(-1)
      .mul(-2);
    return breaking.add(tanh);
  }
}
