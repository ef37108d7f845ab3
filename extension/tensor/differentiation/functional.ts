// PyTorch's torch.autograd.functional: derivatives of functions of tensors.
import { grad } from "../autograd.ts";
import { TensorError } from "../errors.ts";
import { zerosLike } from "../functions/creation.ts";
import { reshape, stack } from "../functions/shape.ts";
import { copied } from "../functions/views.ts";
import { valuesOf } from "../runtime.ts";
import { withGradients } from "../scope.ts";
import { fromHost, Tensor } from "../tensor.ts";

/** A function of one tensor or several. */
type Differentiable<I extends Tensor | readonly Tensor[], O> = (
  ...inputs: I extends readonly Tensor[] ? I : [I]
) => O;

/** One result for each of several, as many as there are. */
type Like<T extends Tensor | readonly Tensor[], R> = T extends readonly Tensor[] ? R[] : R;

export interface FunctionalOptions {
  /** Makes the result differentiable itself. Default false. */
  createGraph?: boolean;
}

const listOf = (x: Tensor | readonly Tensor[]): readonly Tensor[] => (x instanceof Tensor ? [x] : x);

/** Runs a function on inputs that want gradients, whatever the given ones do. */
function evaluated<I extends Tensor | readonly Tensor[], O extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, O>,
  inputs: I,
  createGraph: boolean,
): { leaves: Tensor[]; output: O } {
  const leaves = listOf(inputs).map((x) =>
    createGraph && x.requiresGrad ? copied(x) : new Tensor(x.value).requiresGrad_(),
  );
  const call = func as unknown as (...inputs: readonly Tensor[]) => O;
  return { leaves, output: withGradients(true, () => call(...leaves)) };
}

/** Gradients of an output, zeros where it does not depend on an input. */
function gradients(output: Tensor, leaves: readonly Tensor[], seed: Tensor, createGraph: boolean): Tensor[] {
  if (!output.requiresGrad) return leaves.map((x) => zerosLike(x));
  const found = grad(output, leaves, { gradOutputs: seed, allowUnused: true, createGraph });
  return found.map((g, i) => g ?? zerosLike(leaves[i]!));
}

/**
 * All derivatives of a function: for an output [o…] and an input [i…] a tensor [o…, i…]. One backward pass for every
 * element of the output.
 *
 * ```ts
 * torch.autograd.functional.jacobian((x) => x.exp().sum(1), torch.rand(2, 2)).shape; // [2, 2, 2]
 * ```
 */
export function jacobian<I extends Tensor | readonly Tensor[], O extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, O>,
  inputs: I,
  options: FunctionalOptions = {},
): Like<O, Like<I, Tensor>> {
  const createGraph = options.createGraph ?? false;
  const { leaves, output } = evaluated(func, inputs, createGraph);
  const results = listOf(output).map((y) => {
    const rows = Array.from({ length: y.numel() }, (_, i) => {
      const seed = new Float32Array(y.numel());
      seed[i] = 1;
      return gradients(y, leaves, fromHost(seed, y.shape, "float32"), createGraph);
    });
    const parts = leaves.map((x, k) => {
      const shape = [...y.shape, ...x.shape];
      return rows.length === 0
        ? reshape(zerosLike(y), shape)
        : reshape(stack(rows.map((row) => row[k]!)), shape);
    });
    return inputs instanceof Tensor ? parts[0]! : parts;
  });
  return (output instanceof Tensor ? results[0] : results) as Like<O, Like<I, Tensor>>;
}

/**
 * All second derivatives of a function with one number as its value: [i…, j…] for inputs [i…] and [j…].
 * @throws TensorError "The Tensor returned by the function given to hessian should contain a single element"
 */
export function hessian<I extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, Tensor>,
  inputs: I,
  options: FunctionalOptions = {},
): Like<I, Like<I, Tensor>> {
  const call = func as unknown as (...inputs: readonly Tensor[]) => Tensor;
  const slopes = (...leaves: Tensor[]): Tensor | Tensor[] => {
    const value = call(...leaves);
    if (value.numel() !== 1) {
      throw new TensorError(
        "shape",
        "The Tensor returned by the function given to hessian should contain a single element",
      );
    }
    const one = fromHost(new Float32Array([1]), value.shape, "float32");
    const found = gradients(value, leaves, one, true);
    return inputs instanceof Tensor ? found[0]! : found;
  };
  return jacobian(slopes as unknown as Differentiable<I, Tensor>, inputs, options) as unknown as Like<
    I,
    Like<I, Tensor>
  >;
}

/** The value of a function, and its derivative from the left: vᵀ · jacobian. `v` may be left out for a single number. */
export function vjp<I extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, Tensor>,
  inputs: I,
  v?: Tensor,
  options: FunctionalOptions = {},
): [value: Tensor, product: Like<I, Tensor>] {
  const createGraph = options.createGraph ?? false;
  const { leaves, output } = evaluated(func, inputs, createGraph);
  if (v === undefined && output.numel() !== 1) {
    throw new TensorError(
      "shape",
      "The vector v can only be None if the user-provided function returns a single Tensor with a single element.",
    );
  }
  const seed = v ?? fromHost(new Float32Array([1]), output.shape, "float32");
  const found = gradients(output, leaves, seed, createGraph);
  return [output, (inputs instanceof Tensor ? found[0]! : found) as Like<I, Tensor>];
}

export interface GradcheckOptions {
  /** Step of the differences. Default 1e-2, since values are float32. */
  eps?: number;
  /** Default 1e-2. */
  atol?: number;
  /** Default 1e-2. */
  rtol?: number;
  /** Whether a difference is an error, and not false. Default true. */
  raiseException?: boolean;
}

/**
 * Compares the gradients of a function with central differences, for every element of the inputs that want a gradient.
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
        throw new TensorError(
          "autograd",
          `Jacobian mismatch for output 0 with respect to input ${k}, numerical:${numerical} analytical:${slope} at output element ${o}, input element ${i}`,
        );
      }
    }
  }
  return true;
}
