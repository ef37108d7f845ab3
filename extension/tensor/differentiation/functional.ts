// PyTorch's torch.autograd.functional: derivatives of functions of tensors.
import { grad } from "../recording/autograd.ts";
import { TensorError } from "../core/errors.ts";
import { zerosLike } from "../functions/creation/creation.ts";
import { randnLike } from "../functions/creation/random.ts";
import { cat, reshape } from "../functions/shape/shape.ts";
import { copied } from "../functions/shape/views.ts";
import { valuesOf } from "../planning/barrier.ts";
import { withGradients } from "../recording/scope.ts";
import { formatSize, sameShape } from "../core/shape.ts";
import { fromHost, Tensor } from "../core/tensor.ts";
import { ofUnits } from "./transforms.ts";

/** A function of one tensor or several. */
type Differentiable<I extends Tensor | readonly Tensor[], O> = (
  ...inputs: I extends readonly Tensor[] ? I : [I]
) => O;

/** One result for each of several, as many as there are. */
type Like<T extends Tensor | readonly Tensor[], R> = T extends readonly Tensor[] ? R[] : R;

export interface FunctionalOptions {
  /** Makes the result differentiable itself. Default false. */
  createGraph?: boolean;
  /** Refuses results that don't depend on an input, whose derivatives are zeros otherwise. Default false. */
  strict?: boolean;
}

interface VectorOptions<I> extends FunctionalOptions {
  /** The vector that the derivatives are multiplied by; may be left out for a single number. */
  v?: I;
}

/** The options of a call: `createGraph` and `strict` by position, or all by name. */
function optionsOf(rest: readonly unknown[]): Required<FunctionalOptions> {
  const [first, second] = rest;
  const named: FunctionalOptions =
    typeof first === "object" && first !== null
      ? first
      : { createGraph: first === true, strict: second === true };
  return { createGraph: named.createGraph ?? false, strict: named.strict ?? false };
}

/** The vector of a call, and its options. */
function vectorOf(rest: readonly unknown[]): { v: unknown; options: Required<FunctionalOptions> } {
  const [v, ...others] = rest;
  const isNamed = typeof v === "object" && v !== null && !Array.isArray(v) && !(v instanceof Tensor);
  if (!isNamed) return { v: v ?? undefined, options: optionsOf(others) };
  return { v: (v as VectorOptions<unknown>).v, options: optionsOf([v]) };
}

const listOf = (x: Tensor | readonly Tensor[]): readonly Tensor[] => (x instanceof Tensor ? [x] : x);

/** Arguments of {@link jacobian} after the inputs. */
type Derivatives = [createGraph?: boolean, strict?: boolean] | [options: FunctionalOptions];

/** Runs a function on inputs that require gradients, even if the given ones don't. */
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

/**
 * Gradients of outputs, zeros where they don't depend on an input.
 * @param subject name of the outputs in the error that refuses independent ones
 */
function gradients(
  output: Tensor | readonly Tensor[],
  leaves: readonly Tensor[],
  seed: Tensor | readonly Tensor[],
  createGraph: boolean,
  strict = false,
  subject = "The output",
): Tensor[] {
  const outputs = listOf(output);
  const seeds = listOf(seed);
  const used = outputs.flatMap((y, i) => (y.requiresGrad ? [i] : []));
  const free = outputs.findIndex((y) => !y.requiresGrad);
  if (strict && free >= 0) {
    throw new TensorError(
      "autograd",
      `Output ${free} of the user-provided function does not require gradients. The outputs must be computed in a differentiable manner from the input when running in strict mode.`,
    );
  }
  if (used.length === 0) return leaves.map((x) => zerosLike(x));
  const found = grad(
    used.map((i) => outputs[i]!),
    leaves,
    { gradOutputs: used.map((i) => seeds[i]!), allowUnused: true, retainGraph: true, createGraph },
  );
  const missing = found.indexOf(null);
  if (strict && missing >= 0) {
    throw new TensorError(
      "autograd",
      `${subject} of the user-provided function is independent of input ${missing}. This is not allowed in strict mode.`,
    );
  }
  return found.map((g, i) => g ?? zerosLike(leaves[i]!));
}

/** A vector of the shapes of `like`: as given, or a one where that is a single number. */
function directions(v: unknown, like: readonly Tensor[], lacking: string): readonly Tensor[] {
  if (v === undefined) {
    if (like.length !== 1 || like[0]!.numel() !== 1) throw new TensorError("shape", lacking);
    return [fromHost(new Float32Array([1]), like[0]!.shape, "float32")];
  }
  const given = listOf(v as Tensor | readonly Tensor[]);
  if (given.length !== like.length) {
    throw new TensorError(
      "shape",
      `v is a tuple of invalid length: should be ${like.length} but got ${given.length}.`,
    );
  }
  given.forEach((x, i) => {
    if (sameShape(x.shape, like[i]!.shape)) return;
    const which = given.length > 1 ? `Entry ${i} in ` : "";
    throw new TensorError(
      "shape",
      `${which}v has invalid size: should be ${formatSize(like[i]!.shape)} but got ${formatSize(x.shape)}.`,
    );
  });
  return given;
}

const OF_INPUT =
  "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element.";
const OF_OUTPUT =
  "The vector v can only be None if the user-provided function returns a single Tensor with a single element.";

const valueOf = (x: Tensor, createGraph: boolean): Tensor => (createGraph ? x : new Tensor(x.value));

/**
 * All derivatives of a function: for an output [o…] and an input [i…] a tensor [o…, i…]. One backward pass of the
 * gradients of all elements of the output.
 *
 * ```ts
 * torch.autograd.functional.jacobian((x) => x.exp().sum(1), torch.rand(2, 2)).shape; // [2, 2, 2]
 * ```
 */
export function jacobian<I extends Tensor | readonly Tensor[], O extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, O>,
  inputs: I,
  ...rest: Derivatives
): Like<O, Like<I, Tensor>> {
  const { createGraph, strict } = optionsOf(rest);
  const { leaves, output } = evaluated(func, inputs, createGraph);
  const results = listOf(output).map((y, k) => {
    const rows = ofUnits(y.shape, leaves, (seed) =>
      gradients(y, leaves, seed, createGraph, strict, `Output ${k}`),
    );
    const parts = leaves.map((x, i) => reshape(rows[i]!, [...y.shape, ...x.shape]));
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
  ...rest: Derivatives
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
  return jacobian(slopes as unknown as Differentiable<I, Tensor>, inputs, ...rest) as unknown as Like<
    I,
    Like<I, Tensor>
  >;
}

/** Arguments of {@link vjp}, {@link jvp}, {@link vhp} and {@link hvp} after the inputs. */
type Vector<V> =
  | [v?: V | null, createGraph?: boolean, strict?: boolean]
  | [v: V | null | undefined, options: FunctionalOptions]
  | [named: VectorOptions<V>];

/** The result of a function and a product with its derivatives, as the function was called. */
function pair(
  value: Tensor | readonly Tensor[],
  products: readonly Tensor[],
  alone: boolean,
  createGraph: boolean,
): unknown[] {
  const values = listOf(value).map((y) => valueOf(y, createGraph));
  return [value instanceof Tensor ? values[0] : values, alone ? products[0] : products];
}

/**
 * The value of a function, and its derivative from the left: vᵀ · jacobian. `v` has the shape of the output, and may be
 * left out for a single number.
 * @throws TensorError "v has invalid size: should be torch.Size([2]) but got torch.Size([3])."
 */
export function vjp<I extends Tensor | readonly Tensor[], O extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, O>,
  inputs: I,
  ...rest: Vector<O>
): [value: O, product: Like<I, Tensor>] {
  const { v, options } = vectorOf(rest);
  const { leaves, output } = evaluated(func, inputs, options.createGraph);
  const seeds = directions(v, listOf(output), OF_OUTPUT);
  const found = gradients(output, leaves, seeds, options.createGraph, options.strict);
  return pair(output, found, inputs instanceof Tensor, options.createGraph) as never;
}

/**
 * The value of a function, and its derivative from the right: jacobian · v. `v` has the shape of the inputs, and may be
 * left out for a single number. Two backward passes: the gradient's gradient with respect to the vector that it is
 * multiplied by.
 *
 * ```ts
 * torch.autograd.functional.jvp((x) => x.square(), torch.ones(2), torch.tensor([1, 0.5]))[1]; // [2, 1]
 * ```
 */
export function jvp<I extends Tensor | readonly Tensor[], O extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, O>,
  inputs: I,
  ...rest: Vector<I>
): [value: O, product: Like<O, Tensor>] {
  const { v, options } = vectorOf(rest);
  const { leaves, output } = evaluated(func, inputs, options.createGraph);
  const seeds = directions(v, leaves, OF_INPUT);
  const weights = listOf(output).map((y) => new Tensor(zerosLike(y).value).requiresGrad_());
  const slopes = withGradients(true, () => gradients(output, leaves, weights, true, options.strict));
  const found = gradients(slopes, weights, seeds, options.createGraph);
  return pair(output, found, output instanceof Tensor, options.createGraph) as never;
}

/** The gradient of a function of one number, and its derivative times a vector. */
function secondProduct(
  name: string,
  func: (...inputs: never[]) => Tensor,
  inputs: Tensor | readonly Tensor[],
  rest: readonly unknown[],
): never {
  const { v, options } = vectorOf(rest);
  const { leaves, output } = evaluated(func as never, inputs, options.createGraph);
  const value = output as Tensor;
  if (value.numel() !== 1) {
    throw new TensorError(
      "shape",
      `The Tensor returned by the function given to ${name} should contain a single element`,
    );
  }
  const seeds = directions(v, leaves, OF_INPUT);
  const one = fromHost(new Float32Array([1]), value.shape, "float32");
  const slopes = withGradients(true, () => gradients(value, leaves, one, true, options.strict));
  const found = gradients(slopes, leaves, seeds, options.createGraph);
  return pair(value, found, inputs instanceof Tensor, options.createGraph) as never;
}

/** The value of a function with one number as its value, and its second derivatives times a vector: hessian · v. */
export const hvp = <I extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, Tensor>,
  inputs: I,
  ...rest: Vector<I>
): [value: Tensor, product: Like<I, Tensor>] => secondProduct("hvp", func as never, inputs, rest);

/** {@link hvp} from the left, equal except for rounding: vᵀ · hessian. One backward pass more than the gradient. */
export const vhp = <I extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, Tensor>,
  inputs: I,
  ...rest: Vector<I>
): [value: Tensor, product: Like<I, Tensor>] => secondProduct("vhp", func as never, inputs, rest);

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
        throw new TensorError(
          "autograd",
          `Jacobian mismatch for output 0 with respect to input ${k}, numerical:${numerical} analytical:${slope} at output element ${o}, input element ${i}`,
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
  gradOutputs?: Tensor | null,
  options: GradcheckOptions = {},
): boolean {
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
