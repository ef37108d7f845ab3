// PyTorch's torch.func: transforms of functions into their derivatives.
import { TensorError } from "../core/errors.ts";
import { zerosLike } from "../functions/creation/creation.ts";
import { unbind } from "../functions/shape/parts.ts";
import { reshape, stack } from "../functions/shape/shape.ts";
import { scope } from "../recording/scope.ts";
import { numel, range, type Shape } from "../core/shape.ts";
import { fromHost, Tensor } from "../core/tensor.ts";
import { moved, overBatch } from "./batching.ts";
import { likeResult, pushforward } from "./pushforward.ts";
import { auxOf, onesOf, pulled, released, track } from "./tracked.ts";
import { mapTensors, tensorsOf } from "./tree.ts";

type Argnums = number | readonly number[];
/** The arguments that are differentiated: one, or a list of them. */
type Chosen<A extends readonly unknown[], N extends Argnums> = N extends readonly number[]
  ? { -readonly [K in keyof N]: A[N[K] & number] }
  : A[N & number];

export interface GradOptions<N extends Argnums = 0> {
  /** Which arguments are differentiated; the first by default. */
  argnums?: N;
  /** Whether the function also returns something that is not differentiated: `[value, aux]`. */
  hasAux?: boolean;
}

/** Options of {@link jacrev}. */
export interface JacrevOptions<N extends Argnums = 0> extends GradOptions<N> {
  /** How many rows PyTorch computes at once; without effect, since one graph computes all. */
  chunkSize?: number | null;
}

/** Options of {@link jacfwd}. */
export interface JacfwdOptions<N extends Argnums = 0> extends GradOptions<N> {
  /** Without effect: the function runs once, and all columns have the same random numbers. */
  randomness?: "error" | "different" | "same";
}

/** Puts one tensor for each leaf into the places that the leaves have in the chosen arguments. */
function placed(args: readonly unknown[], argnums: Argnums, values: readonly unknown[]): unknown {
  let next = 0;
  const of = (i: number): unknown => mapTensors(args[i], () => values[next++]);
  return typeof argnums === "number" ? of(argnums) : argnums.map(of);
}

const listed = (argnums: Argnums, count: number): number[] => {
  const list = typeof argnums === "number" ? [argnums] : [...argnums];
  return list.map((n) => {
    const at = n < 0 ? n + count : n;
    if (at >= 0 && at < count) return at;
    throw new TensorError("value", `Got argnum=${n}, but only ${count} positional inputs`);
  });
};

const optionsOf = <N extends Argnums>(
  options: N | GradOptions<N> | undefined,
  hasAux: boolean | undefined,
): { argnums: Argnums; hasAux: boolean } =>
  typeof options === "object" && !Array.isArray(options)
    ? {
        argnums: (options as GradOptions<N>).argnums ?? 0,
        hasAux: (options as GradOptions<N>).hasAux ?? false,
      }
    : { argnums: (options as Argnums | undefined) ?? 0, hasAux: hasAux ?? false };

/**
 * Returns a function of the same arguments that returns the gradients of `func` and its value: `[gradients, value]`, or
 * `[gradients, [value, aux]]` with `hasAux`.
 * @throws TensorError "grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got tensor with 1 dims. …"
 */
export function gradAndValue<A extends unknown[], R, const N extends Argnums = 0>(
  func: (...args: A) => R,
  options?: N | GradOptions<N>,
  hasAux?: boolean,
): (...args: A) => [gradients: Chosen<A, N>, value: R] {
  const o = optionsOf(options, hasAux);
  return (...args) => {
    const { leaves, result, nested } = track(func, args, listed(o.argnums, args.length));
    const [value, aux] = auxOf("grad_and_value(f)(*args)", result, o.hasAux);
    if (!(value instanceof Tensor)) {
      throw new TensorError(
        "value",
        `grad_and_value(f)(*args): Expected f(*args) to return a tensor, got type ${typeof value}`,
      );
    }
    if (value.ndim !== 0) {
      throw new TensorError(
        "shape",
        `grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got tensor with ${value.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?`,
      );
    }
    const gradients = pulled([value], [onesOf(value)], leaves, nested);
    const out = o.hasAux ? [value, aux] : value;
    return [placed(args, o.argnums, gradients), released(out, nested)] as [Chosen<A, N>, R];
  };
}

/**
 * Returns a function of the same arguments that returns the gradient of `func`, whose value must be one number.
 *
 * ```ts
 * torch.func.grad((x: Tensor) => x.sin())(torch.tensor(0)); // 1
 * ```
 */
export function grad<A extends unknown[], const N extends Argnums = 0>(
  func: (...args: A) => Tensor,
  options?: N | (GradOptions<N> & { hasAux?: false }),
): (...args: A) => Chosen<A, N>;
export function grad<A extends unknown[], X, const N extends Argnums = 0>(
  func: (...args: A) => readonly [value: Tensor, aux: X],
  options: GradOptions<N> & { hasAux: true },
): (...args: A) => [gradients: Chosen<A, N>, aux: X];
export function grad(
  func: (...args: unknown[]) => unknown,
  options?: Argnums | GradOptions<Argnums>,
): (...args: unknown[]) => unknown {
  const o = optionsOf(options, undefined);
  const both = gradAndValue(func, o as GradOptions<Argnums>);
  return (...args) => {
    const [gradients, value] = both(...args);
    return o.hasAux ? [gradients, (value as [Tensor, unknown])[1]] : gradients;
  };
}

/**
 * Returns the value of `func`, and a function that maps a vector of its shape to the products vᵀ · Jacobian: an array with one
 * for each argument, also of a single argument. With `{ hasAux: true }` as the last argument, `func` returns `[value, aux]`, and
 * aux is returned third.
 *
 * ```ts
 * const [y, pull] = torch.func.vjp((x: Tensor) => x.sin(), x);
 * const [grad] = pull(torch.onesLike(y)); // cos(x)
 * ```
 */
export function vjp<A extends unknown[], R>(
  func: (...args: A) => R,
  ...primals: A
): [value: R, pull: (cotangents: R) => A];
export function vjp<A extends unknown[], R, X>(
  func: (...args: A) => readonly [R, X],
  ...args: [...primals: A, options: { hasAux: true }]
): [value: R, pull: (cotangents: R) => A, aux: X];
export function vjp(func: (...args: never[]) => unknown, ...args: unknown[]): unknown[] {
  const hasAux = isAuxOption(args.at(-1));
  const primals = hasAux ? args.slice(0, -1) : args;
  const { leaves, result: whole, nested } = track(func, primals, range(primals.length));
  const [result, aux] = auxOf("vjp(f, *primals)", whole, hasAux);
  const outputs = tensorsOf(result);
  const pull = (cotangents: unknown): unknown => {
    const seeds = tensorsOf(cotangents);
    if (seeds.length !== outputs.length) {
      throw new TensorError(
        "value",
        "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function.",
      );
    }
    const createGraph = nested || seeds.some((g) => g.requiresGrad);
    const gradients = pulled(outputs, seeds, leaves, createGraph && scope.gradients);
    return placed(primals, range(primals.length), gradients);
  };
  return hasAux ? [released(result, nested), pull, released(aux, nested)] : [released(result, nested), pull];
}

/** Whether an argument is the option `hasAux` and no primal: one has tensors. */
const isAuxOption = (x: unknown): boolean =>
  typeof x === "object" && x !== null && (x as { hasAux?: unknown }).hasAux === true;

/** Tensors [n, …shape] of n elements, with a single 1 at each place in turn. */
function units(shape: Shape): Tensor {
  const n = numel(shape);
  const data = new Float32Array(n * n);
  for (let i = 0; i < n; i++) data[i * n + i] = 1;
  return fromHost(data, [n, ...shape], "float32");
}

/**
 * Returns the results of `each` for all {@link units} of a shape, as [n, …] each: recorded once for all, if possible.
 * @param like tensors of the shapes that `each` returns
 */
export function ofUnits(
  shape: Shape,
  like: readonly Tensor[],
  each: (unit: Tensor) => readonly Tensor[],
): Tensor[] {
  const n = numel(shape);
  if (n === 0) return like.map((x) => fromHost(new Float32Array(0), [0, ...x.shape], "float32"));
  const all = units(shape);
  const batch = n > 1 ? overBatch([{ tensor: all, dim: 0 }], n, ([unit]) => each(unit!)) : undefined;
  if (batch !== undefined) return batch;
  const rows = unbind(all).map(each);
  return like.map((_, k) => stack(rows.map((row) => row[k]!)));
}

/** Structure of a Jacobian: for each tensor of the value, one tensor for each differentiated argument. */
type Jacobian<A extends readonly unknown[], N extends Argnums, R> = R extends Tensor
  ? Chosen<A, N>
  : R extends readonly unknown[]
    ? { -readonly [K in keyof R]: Jacobian<A, N, R[K]> }
    : unknown;

/**
 * Returns a function of the same arguments that returns the Jacobian [o…, i…] of `func`: one backward pass of the
 * gradients of all outputs.
 */
export function jacrev<A extends unknown[], R, const N extends Argnums = 0>(
  func: (...args: A) => R,
  argnums?: N,
): (...args: A) => Jacobian<A, N, R>;
export function jacrev<A extends unknown[], R, const N extends Argnums = 0>(
  func: (...args: A) => R,
  options?: JacrevOptions<N>,
): (...args: A) => Jacobian<A, N, R>;
export function jacrev<A extends unknown[], R, const N extends Argnums = 0>(
  func: (...args: A) => R,
  options?: N | JacrevOptions<N>,
): (...args: A) => Jacobian<A, N, R> {
  const { argnums, hasAux } = optionsOf(options, undefined);
  const { chunkSize } = (typeof options === "object" ? options : {}) as JacrevOptions<N>;
  if (typeof chunkSize === "number" && !(chunkSize > 0))
    throw new TensorError("value", "jacrev: `chunk_size` should be greater than 0.");
  return (...args) => {
    const { leaves, result, nested } = track(func, args, listed(argnums, args.length));
    const [value, aux] = auxOf("jacrev", result, hasAux);
    const parts = tensorsOf(value).map((y) => {
      const rows = ofUnits(y.shape, leaves, (seed) => pulled([y], [seed], leaves, nested));
      const whole = leaves.map((x, k) => reshape(rows[k]!, [...y.shape, ...x.shape]));
      return placed(args, argnums, whole);
    });
    const found = likeResult(value, parts);
    return (hasAux ? [found, released(aux, nested)] : found) as Jacobian<A, N, R>;
  };
}

/** The same as {@link jacrev}, by a pass of the tangents of all arguments' elements: for functions of few numbers. */
export function jacfwd<A extends unknown[], R, const N extends Argnums = 0>(
  func: (...args: A) => R,
  argnums?: N,
): (...args: A) => Jacobian<A, N, R>;
export function jacfwd<A extends unknown[], R, const N extends Argnums = 0>(
  func: (...args: A) => R,
  options?: JacfwdOptions<N>,
): (...args: A) => Jacobian<A, N, R>;
export function jacfwd<A extends unknown[], R, const N extends Argnums = 0>(
  func: (...args: A) => R,
  options?: N | JacfwdOptions<N>,
): (...args: A) => Jacobian<A, N, R> {
  const { argnums, hasAux } = optionsOf(options, undefined);
  return (...args) => {
    let aux: unknown;
    const main = (...given: unknown[]): unknown => {
      const [value, rest] = auxOf("jacfwd", (func as (...args: unknown[]) => unknown)(...given), hasAux);
      aux = rest;
      return value;
    };
    const { tracked, outputs, push } = pushforward(main, args, listed(argnums, args.length));
    const { leaves, result, nested } = tracked;
    // Columns of each leaf's part of the Jacobian, one for each element.
    const columns = leaves.map((x, k) =>
      ofUnits(x.shape, outputs, (unit) =>
        push(leaves.map((y, j) => (j === k ? unit : new Tensor(zerosLike(y).value)))),
      ),
    );
    const parts = outputs.map((y, o) => {
      const whole = leaves.map((x, k) =>
        reshape(moved(columns[k]![o]!, 0, y.ndim), [...y.shape, ...x.shape]),
      );
      return placed(args, argnums, whole);
    });
    const found = likeResult(result, parts);
    return (hasAux ? [found, released(aux, nested)] : found) as Jacobian<A, N, R>;
  };
}

/**
 * Returns a function of the same arguments that returns the second derivatives [i…, j…] of `func`; with several `argnums`, a list
 * of lists of them.
 */
export function hessian<A extends unknown[], const N extends Argnums = 0>(
  func: (...args: A) => Tensor,
  argnums?: N | Pick<GradOptions<N>, "argnums">,
): (...args: A) => Jacobian<A, N, Chosen<A, N>> {
  const at = optionsOf<N>(argnums, undefined).argnums as N;
  return jacfwd(jacrev(func, at), at);
}
