// PyTorch's torch.autograd.functional: derivatives of functions of tensors.
import { grad } from "../recording/autograd.ts";
import { TensorError } from "../core/errors.ts";
import { zerosLike } from "../functions/creation/creation.ts";
import { reshape } from "../functions/shape/shape.ts";
import { copied } from "../functions/shape/views.ts";
import { withGradients } from "../recording/scope.ts";
import { formatSize, sameShape } from "../core/shape.ts";
import { fromHost, Tensor } from "../core/tensor.ts";
import {
  filled,
  independent,
  linear,
  ofEntry,
  ofSlope,
  requireDependent,
  untilTwice,
  type Text,
} from "./strict.ts";
import { ofUnits } from "./transforms.ts";

/** A function of one tensor or several. */
export type Differentiable<I extends Tensor | readonly Tensor[], O> = (
  ...inputs: I extends readonly Tensor[] ? I : [I]
) => O;

/** One result for each of several, as many as there are. */
type Like<T extends Tensor | readonly Tensor[], R> = T extends readonly Tensor[] ? R[] : R;

export interface FunctionalOptions {
  /** Makes the result differentiable itself. Default false. */
  createGraph?: boolean;
  /**
   * Refuses results that don't depend on an input, whose derivatives are zeros otherwise; with `createGraph`, also
   * derivatives that are constant. Default false.
   */
  strict?: boolean;
}

/** Options of {@link jacobian}, which say how PyTorch computes it; here it is computed in one way. */
export interface JacobianOptions extends FunctionalOptions {
  /** Without effect: all rows are computed at once. Default false. */
  vectorize?: boolean;
  /** Without effect; "forward-mode" needs `vectorize`, as in PyTorch. Default "reverse-mode". */
  strategy?: Strategy;
}

/** Options of {@link hessian}, as those of {@link jacobian}. */
export interface HessianOptions extends FunctionalOptions {
  vectorize?: boolean;
  outerJacobianStrategy?: Strategy;
}

type Strategy = "reverse-mode" | "forward-mode";

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

export const listOf = (x: Tensor | readonly Tensor[]): readonly Tensor[] => (x instanceof Tensor ? [x] : x);

/** The options of {@link jacobian} by position, or all by name. */
function jacobianOptions(rest: readonly unknown[], strategyName: "strategy" | "outerJacobianStrategy") {
  const [first, , third, fourth] = rest;
  const named =
    typeof first === "object" && first !== null ? (first as JacobianOptions & HessianOptions) : {};
  const vectorize = named.vectorize ?? third === true;
  const strategy = named[strategyName] ?? fourth ?? "reverse-mode";
  const options = optionsOf(rest);
  if (strategy !== "reverse-mode" && strategy !== "forward-mode") {
    const hint =
      strategyName === "strategy"
        ? ' Hint: If your function has more outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        : "";
    throw new TensorError("value", `Expected strategy to be either "forward-mode" or "reverse-mode".${hint}`);
  }
  const refuse = (one: string, other: string, yet: string, instead: string): never => {
    throw new TensorError(
      "unsupported",
      `torch.autograd.functional.jacobian: \`${one}=True\` and \`${other}\` are not supported together${yet}. Please either set \`${instead}\`.`,
    );
  };
  if (strategy === "forward-mode") {
    const reverse = 'strategy="reverse-mode"';
    const forward = 'strategy="forward-mode"';
    if (options.createGraph)
      refuse("create_graph", forward, " (yet)", `create_graph=False\` or \`${reverse}`);
    if (options.strict) refuse("strict", forward, " (yet)", `strict=False\` or \`${reverse}`);
    if (!vectorize) {
      throw new TensorError(
        "unsupported",
        "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for `vectorize=True`.",
      );
    }
  }
  if (vectorize && options.strict)
    refuse("strict", "vectorized=True", "", "strict=False` or `vectorize=False");
  return options;
}

/** Arguments of {@link jacobian} and {@link hessian} after the inputs. */
type Derivatives<O> =
  | [createGraph?: boolean, strict?: boolean, vectorize?: boolean, strategy?: Strategy]
  | [options: O];

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

/** Gradients of those outputs that require some: null where they don't depend on an input. */
function gradients(
  outputs: readonly Tensor[],
  leaves: readonly Tensor[],
  seeds: readonly Tensor[],
  createGraph: boolean,
): (Tensor | null)[] {
  const used = outputs.flatMap((y, i) => (y.requiresGrad ? [i] : []));
  if (used.length === 0) return leaves.map(() => null);
  return grad(
    used.map((i) => outputs[i]!),
    leaves,
    { gradOutputs: used.map((i) => seeds[i]!), allowUnused: true, retainGraph: true, createGraph },
  );
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
  ...rest: Derivatives<JacobianOptions>
): Like<O, Like<I, Tensor>> {
  return jacobianOf(func, inputs, jacobianOptions(rest, "strategy"), untilTwice);
}

/** @param constant text that refuses derivatives of an output that can't be differentiated again */
function jacobianOf<I extends Tensor | readonly Tensor[], O extends Tensor | readonly Tensor[]>(
  func: Differentiable<I, O>,
  inputs: I,
  { createGraph, strict }: Required<FunctionalOptions>,
  constant?: Text,
): Like<O, Like<I, Tensor>> {
  const { leaves, output } = evaluated(func, inputs, createGraph);
  requireDependent(listOf(output), strict);
  const results = listOf(output).map((y, k) => {
    const again = createGraph && constant !== undefined ? () => constant(k) : undefined;
    const rows = ofUnits(y.shape, leaves, (seed) =>
      filled(gradients([y], leaves, [seed], createGraph), leaves, strict, independent(`Output ${k}`), again),
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
  ...rest: Derivatives<HessianOptions>
): Like<I, Like<I, Tensor>> {
  const options = jacobianOptions(rest, "outerJacobianStrategy");
  const call = func as unknown as (...inputs: readonly Tensor[]) => Tensor;
  const slopes = (...leaves: Tensor[]): Tensor | Tensor[] => {
    const value = call(...leaves);
    requireDependent([value], options.strict);
    if (value.numel() !== 1) {
      throw new TensorError(
        "shape",
        "The Tensor returned by the function given to hessian should contain a single element",
      );
    }
    const one = fromHost(new Float32Array([1]), value.shape, "float32");
    const slopesOf = filled(gradients([value], leaves, [one], true), leaves, options.strict, linear, linear);
    return inputs instanceof Tensor ? slopesOf[0]! : slopesOf;
  };
  return jacobianOf(slopes as unknown as Differentiable<I, Tensor>, inputs, options) as unknown as Like<
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
  const { createGraph, strict } = options;
  requireDependent(listOf(output), strict);
  const seeds = directions(v, listOf(output), OF_OUTPUT);
  const found = gradients(listOf(output), leaves, seeds, createGraph);
  const again = createGraph ? untilTwice : undefined;
  return pair(
    output,
    filled(found, leaves, strict, independent("The output"), again),
    inputs instanceof Tensor,
    options.createGraph,
  ) as never;
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
  const { createGraph, strict } = options;
  const { leaves, output } = evaluated(func, inputs, createGraph);
  const seeds = directions(v, leaves, OF_INPUT);
  requireDependent(listOf(output), strict);
  const weights = listOf(output).map((y) => new Tensor(zerosLike(y).value).requiresGrad_());
  const slopes = withGradients(true, () => gradients(listOf(output), leaves, weights, true));
  const given = filled(slopes, leaves, strict, independent("The output"));
  const found = gradients(given, weights, seeds, createGraph);
  const again = createGraph ? untilTwice : undefined;
  return pair(
    output,
    filled(found, weights, strict, ofEntry, again),
    output instanceof Tensor,
    options.createGraph,
  ) as never;
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
  requireDependent([value], options.strict);
  if (value.numel() !== 1) {
    throw new TensorError(
      "shape",
      `The Tensor returned by the function given to ${name} should contain a single element`,
    );
  }
  const { createGraph, strict } = options;
  const seeds = directions(v, leaves, OF_INPUT);
  const one = fromHost(new Float32Array([1]), value.shape, "float32");
  const slopes = withGradients(true, () => gradients([value], leaves, [one], true));
  const given = filled(slopes, leaves, strict, independent("The output"), linear);
  const found = gradients(given, leaves, seeds, createGraph);
  const missing = name === "hvp" ? ofSlope : independent("The jacobian");
  return pair(
    value,
    filled(found, leaves, strict, missing),
    inputs instanceof Tensor,
    options.createGraph,
  ) as never;
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
