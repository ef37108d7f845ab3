// Gradients against differences: PyTorch's gradcheck and gradgradcheck.
import { grad } from "../recording/autograd.ts";
import { TensorError } from "../core/errors.ts";
import { zerosLike } from "../functions/creation/creation.ts";
import { randnLike } from "../functions/creation/random.ts";
import { cat, reshape } from "../functions/shape/shape.ts";
import { valuesOf } from "../planning/barrier.ts";
import { withGradients } from "../recording/scope.ts";
import { fromHost, Tensor } from "../core/tensor.ts";
import { jacobian, listOf, type Differentiable } from "./functional.ts";

/** What {@link gradcheck} throws of gradients that differ from differences. */
export class GradcheckError extends TensorError {}

export interface GradcheckOptions {
  /** Step of the differences. Default 1e-2, since values are float32. */
  eps?: number;
  /** Default 1e-2. */
  atol?: number;
  /** Default 1e-2. */
  rtol?: number;
  /** Whether a mismatch throws instead of returning false. Default true. */
  raiseException?: boolean;
}

/** Below it, rounding outweighs the difference of two float32 values. */
const SMALLEST_STEP = 1e-3;

/**
 * Compares the gradients of a function with central differences, for each element of the inputs that require gradients.
 * @returns whether they agree
 * @throws TensorError "Jacobian mismatch for output 0 with respect to input 0, …"
 */
export function gradcheck<I extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, Tensor>,
  inputs: I,
  options: GradcheckOptions = {},
): boolean {
  const { eps = 1e-2, atol = 1e-2, rtol = 1e-2, raiseException = true } = options;
  const list = listOf(inputs);
  if (!list.some((x) => x.requiresGrad)) {
    throw new TensorError(
      "autograd",
      "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True.",
    );
  }
  const call = func as unknown as (...inputs: readonly Tensor[]) => Tensor;
  const analytic = jacobian(func, inputs) as unknown as Tensor | Tensor[];
  for (const [k, x] of list.entries()) {
    if (!x.requiresGrad) continue;
    const slopes = valuesOf((analytic instanceof Tensor ? analytic : analytic[k]!).value);
    const base = Float32Array.from(valuesOf(x.value));
    const at = (i: number, step: number): ArrayLike<number> => {
      const moved = base.slice();
      moved[i]! += step;
      const given = list.map((y, j) => (j === k ? fromHost(moved, x.shape, "float32") : new Tensor(y.value)));
      return valuesOf(call(...given).value);
    };
    for (let i = 0; i < base.length; i++) {
      const [above, below] = [at(i, eps), at(i, -eps)];
      for (let o = 0; o < above.length; o++) {
        const numerical = (above[o]! - below[o]!) / (2 * eps);
        const slope = slopes[o * base.length + i]!;
        if (Math.abs(numerical - slope) <= atol + rtol * Math.abs(numerical)) continue;
        if (!raiseException) return false;
        throw new GradcheckError(
          "autograd",
          `Jacobian mismatch for output 0 with respect to input ${k}, numerical:${numerical} analytical:${slope} at output element ${o}, input element ${i}`,
          eps < SMALLEST_STEP
            ? `an eps of ${eps} is too small for float32, whose numbers have 7 digits: leave it out (0.01), with tolerances of about 0.01`
            : undefined,
        );
      }
    }
  }
  return true;
}

/**
 * Compares second derivatives with differences, as {@link gradcheck} does for the first: those of the inputs' gradients
 * for `gradOutputs`, which are drawn where they are not given.
 * @throws TensorError "Jacobian mismatch for output 0 with respect to input 0, …"
 */
export function gradgradcheck<I extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, Tensor>,
  inputs: I,
  gradOutputs?: Tensor | (GradcheckOptions & { gradOutputs?: Tensor | null }) | null,
  options?: GradcheckOptions,
): boolean {
  if (gradOutputs && !(gradOutputs instanceof Tensor))
    return gradgradcheck(func, inputs, gradOutputs.gradOutputs, gradOutputs);
  const list = listOf(inputs);
  const call = func as unknown as (...inputs: readonly Tensor[]) => Tensor;
  const seed = gradOutputs ?? randnLike(call(...list)).requiresGrad_();
  const derivative = (...args: readonly Tensor[]): Tensor =>
    withGradients(true, () => {
      const given = list.map((x, i) =>
        x.requiresGrad && !args[i]!.requiresGrad ? new Tensor(args[i]!.value).requiresGrad_() : args[i]!,
      );
      const wanted = given.filter((_, i) => list[i]!.requiresGrad);
      const found = grad([call(...given)], wanted, {
        gradOutputs: [args[list.length]!],
        createGraph: true,
        allowUnused: true,
      });
      return cat(found.map((g, i) => reshape(g ?? zerosLike(wanted[i]!), [-1])));
    });
  return gradcheck<readonly Tensor[]>(derivative, [...list, seed], options);
}
