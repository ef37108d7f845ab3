// Orthogonal polynomials by their recurrences. As in PyTorch, no gradient passes, and those of a negative degree are 0.
import { TensorError } from "../../core/errors.ts";
import { Tensor } from "../../core/tensor.ts";
import { detached } from "../creation/conversion.ts";
import { valuesNow } from "../indexing/places.ts";
import { expand } from "../shape/shape.ts";
import { div, mul, sub, trunc } from "./arithmetic.ts";
import { eq, where } from "./elementwise.ts";
import { composed, constant, type Operand } from "./operands.ts";
import { operand } from "./promotion.ts";

/** A polynomial of degree k + 1 from those of degrees k and k − 1. */
type Recurrence = (k: number, x: Tensor, now: Tensor, before: Tensor) => Tensor;

const floats = (x: Operand): Tensor => operand(x instanceof Tensor ? detached(x) : x, "float32");

/** The polynomials of degrees 0, 1, 2, … at x. */
function* sequence(x: Tensor, first: (x: Tensor) => Tensor, next: Recurrence): Generator<Tensor> {
  let before = expand(constant(1), x.shape);
  yield before;
  let now = first(x);
  for (let k = 1; ; k++) {
    yield now;
    [before, now] = [now, next(k, x, now, before)];
  }
}

/** Each degree is a few nodes of the graph, and degrees beyond have no digits left in float32. */
const MOST_DEGREES = 4096;

/** The function of x and a degree; degrees in a tensor, which broadcasts, are read now. */
const polynomial =
  (first: (x: Tensor) => Tensor, next: Recurrence) =>
  (input: Operand, n: Operand): Tensor =>
    composed(() => {
      const whole =
        n instanceof Tensor ? valuesNow(n, "a polynomial", "give its degree as a number") : [Number(n)];
      let most = -1;
      for (const degree of whole) if (degree < Infinity) most = Math.max(most, Math.trunc(degree));
      if (most > MOST_DEGREES)
        throw new TensorError("value", `polynomials have degrees up to ${MOST_DEGREES}, but got ${most}`);
      const degrees = trunc(floats(n));
      let result: Operand = 0;
      let k = 0;
      for (const value of sequence(floats(input), first, next)) {
        // The first one gives the result its shape, even where no degree is 0.
        if (k === 0 || n instanceof Tensor || k === most) result = where(eq(degrees, k), value, result);
        if (++k > most) break;
      }
      return result as Tensor;
    });

const twice = (x: Tensor): Tensor => mul(x, 2);
/** 2x − 1, which takes [0, 1] to [−1, 1]. */
const shifted = (x: Tensor): Tensor => sub(twice(x), 1);
const identity = (x: Tensor): Tensor => x;

/** Chebyshev's four kinds differ in their first degree alone, as a function of x; `place` is where x is taken to. */
function chebyshev(
  first: (x: Tensor) => Tensor,
  place: (x: Tensor) => Tensor = identity,
): (input: Operand, n: Operand) => Tensor {
  return polynomial(
    (x) => first(place(x)),
    (_, x, now, before) => sub(mul(twice(place(x)), now), before),
  );
}

const kindV = (x: Tensor): Tensor => sub(twice(x), 1);
const kindW = (x: Tensor): Tensor => sub(twice(x), -1);

/**
 * Tₙ(x), Chebyshev's polynomial of the first kind.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.chebyshev_polynomial_t
 */
export const chebyshevPolynomialT = chebyshev(identity);
/**
 * Uₙ(x), Chebyshev's polynomial of the second kind.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.chebyshev_polynomial_u
 */
export const chebyshevPolynomialU = chebyshev(twice);
/**
 * Vₙ(x), Chebyshev's polynomial of the third kind.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.chebyshev_polynomial_v
 */
export const chebyshevPolynomialV = chebyshev(kindV);
/**
 * Wₙ(x), Chebyshev's polynomial of the fourth kind.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.chebyshev_polynomial_w
 */
export const chebyshevPolynomialW = chebyshev(kindW);
/**
 * Tₙ(2x − 1).
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.shifted_chebyshev_polynomial_t
 */
export const shiftedChebyshevPolynomialT = chebyshev(identity, shifted);
/**
 * Uₙ(2x − 1).
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.shifted_chebyshev_polynomial_u
 */
export const shiftedChebyshevPolynomialU = chebyshev(twice, shifted);
/**
 * Vₙ(2x − 1).
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.shifted_chebyshev_polynomial_v
 */
export const shiftedChebyshevPolynomialV = chebyshev(kindV, shifted);
/**
 * Wₙ(2x − 1).
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.shifted_chebyshev_polynomial_w
 */
export const shiftedChebyshevPolynomialW = chebyshev(kindW, shifted);

/**
 * Hₙ(x), the physicists' Hermite polynomial.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.hermite_polynomial_h
 */
export const hermitePolynomialH = polynomial(twice, (k, x, now, before) =>
  sub(mul(twice(x), now), mul(before, 2 * k)),
);
/**
 * Heₙ(x), the probabilists' Hermite polynomial.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.hermite_polynomial_he
 */
export const hermitePolynomialHe = polynomial(identity, (k, x, now, before) =>
  sub(mul(x, now), mul(before, k)),
);
/**
 * Lₙ(x), Laguerre's polynomial.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.laguerre_polynomial_l
 */
export const laguerrePolynomialL = polynomial(
  (x) => sub(1, x),
  (k, x, now, before) => div(sub(mul(sub(2 * k + 1, x), now), mul(before, k)), k + 1),
);
/**
 * Pₙ(x), Legendre's polynomial.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.legendre_polynomial_p
 */
export const legendrePolynomialP = polynomial(identity, (k, x, now, before) =>
  div(sub(mul(mul(x, 2 * k + 1), now), mul(before, k)), k + 1),
);
