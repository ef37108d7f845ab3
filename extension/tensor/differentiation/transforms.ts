// PyTorch's torch.func: transforms of functions into their derivatives.
import { apply } from "../recording/apply.ts";
import { grad as gradientsOf } from "../recording/autograd.ts";
import { TensorError } from "../core/errors.ts";
import { zerosLike } from "../functions/creation/creation.ts";
import { unbind } from "../functions/shape/parts.ts";
import { reshape, stack } from "../functions/shape/shape.ts";
import type { Node } from "../recording/graph.ts";
import { add, mul } from "../ops/elementwise/elementwise.ts";
import { identity, sum } from "../ops/movement/movement.ts";
import { scope, withGradients } from "../recording/scope.ts";
import { numel, range, sameShape, type Shape } from "../core/shape.ts";
import { fromHost, Tensor, tensorOf } from "../core/tensor.ts";
import { moved, overBatch } from "./batching.ts";
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

/** A call on copies of its arguments. */
interface Tracked {
  /** Copies of the tensors in the chosen arguments, in order. */
  readonly leaves: readonly Tensor[];
  readonly result: unknown;
  /** Whether tensors of `result` depend on others that require gradients: an outer derivative. */
  readonly nested: boolean;
}

/** Calls `func` with copies of the chosen arguments, which require gradients. */
function track(
  func: (...args: never[]) => unknown,
  args: readonly unknown[],
  chosen: readonly number[],
): Tracked {
  const leaves: Tensor[] = [];
  const copies = args.map((arg, i) =>
    chosen.includes(i)
      ? mapTensors(arg, (x) => {
          const outer = scope.gradients && x.requiresGrad;
          const copy = outer ? apply(identity, [x], {}) : new Tensor(x.value).requiresGrad_();
          leaves.push(copy);
          return copy;
        })
      : arg,
  );
  const result = withGradients(true, () => (func as (...args: unknown[]) => unknown)(...copies));
  return { leaves, result, nested: scope.gradients && reachesOthers(tensorsOf(result), leaves) };
}

/** Whether gradients of `roots` reach leaves other than `own`. */
function reachesOthers(roots: readonly Tensor[], own: readonly Tensor[]): boolean {
  const known = new Set(own);
  const seen = new Set<Node>();
  const stack_ = roots.map((t) => t.edge);
  while (stack_.length > 0) {
    const edge = stack_.pop();
    if (edge === undefined) continue;
    if (edge.node === undefined) {
      if (!known.has(tensorOf(edge.leaf))) return true;
    } else if (!seen.has(edge.node)) {
      seen.add(edge.node);
      stack_.push(...(edge.node.edges ?? []));
    }
  }
  return false;
}

/** Returns a result without the gradients of the copies, unless an outer derivative goes through them. */
const released = <T>(tree: T, nested: boolean): T =>
  nested ? tree : (mapTensors(tree, (x) => (x.requiresGrad ? new Tensor(x.value) : x)) as T);

/** Gradients of outputs, zeros where they don't depend on a leaf. */
function pulled(
  outputs: readonly Tensor[],
  seeds: readonly Tensor[],
  leaves: readonly Tensor[],
  createGraph: boolean,
): Tensor[] {
  const through = outputs.flatMap((y, i) => (y.requiresGrad ? [[y, seeds[i]!] as const] : []));
  if (through.length === 0) return leaves.map((x) => zerosLike(x).detach());
  const found = gradientsOf(
    through.map(([y]) => y),
    leaves,
    { gradOutputs: through.map(([, seed]) => seed), allowUnused: true, retainGraph: true, createGraph },
  );
  return found.map((g, i) => g ?? new Tensor(zerosLike(leaves[i]!).value));
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

function auxOf(name: string, result: unknown, hasAux: boolean): [value: unknown, aux: unknown] {
  if (!hasAux) return [result, undefined];
  if (Array.isArray(result) && result.length === 2) return [result[0], result[1]];
  throw new TensorError(
    "value",
    `${name}: output of function f should be a tuple: (output, aux) if has_aux is True`,
  );
}

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

const onesOf = (y: Tensor): Tensor => fromHost(new Float32Array(y.numel()).fill(1), y.shape, "float32");

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

/** Returns the value of `func`, and a function that maps a vector of its shape to the product vᵀ · Jacobian. */
export function vjp<A extends unknown[], R>(
  func: (...args: A) => R,
  ...primals: A
): [value: R, pull: (cotangents: R) => A extends [infer One] ? One : A] {
  const { leaves, result, nested } = track(func, primals, range(primals.length));
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
    const all = placed(primals, range(primals.length), gradients) as unknown[];
    return all.length === 1 ? all[0] : all;
  };
  return [released(result, nested) as R, pull as never];
}

/** Σ of products of two lists of tensors. */
const inner = (xs: readonly Tensor[], ys: readonly Tensor[]): Tensor =>
  xs
    .map((x, i) => apply(sum, [apply(mul, [x, ys[i]!], {})], { dims: range(x.ndim), keepdim: false }))
    .reduce((a, b) => apply(add, [a, b], {}));

/** A linear map of tangents, made of two gradients: the gradient's gradient with respect to its weights. */
interface Pushforward {
  readonly tracked: Tracked;
  readonly outputs: readonly Tensor[];
  readonly push: (tangents: readonly Tensor[]) => Tensor[];
}

function pushforward(
  func: (...args: never[]) => unknown,
  args: readonly unknown[],
  chosen: readonly number[],
): Pushforward {
  const tracked = track(func, args, chosen);
  const outputs = tensorsOf(tracked.result);
  const weights = outputs.map((y) => new Tensor(zerosLike(y).value).requiresGrad_());
  const gradients = withGradients(true, () => pulled(outputs, weights, tracked.leaves, true));
  const push = (tangents: readonly Tensor[]): Tensor[] => {
    const total = withGradients(true, () => inner(gradients, tangents));
    const createGraph = scope.gradients && (tracked.nested || tangents.some((t) => t.requiresGrad));
    return pulled([total], [onesOf(total)], weights, createGraph);
  };
  return { tracked, outputs, push };
}

/** Puts tensors into the places of a result's tensors. */
function likeResult(result: unknown, values: readonly unknown[]): unknown {
  let next = 0;
  return mapTensors(result, () => values[next++]);
}

/**
 * Returns the value of `func` at `primals`, and the Jacobian times `tangents`.
 * @throws TensorError "jvp(f, primals, tangents): Expected primals and tangents to have the same shapes"
 */
export function jvp<A extends unknown[], R>(
  func: (...args: A) => R,
  primals: readonly [...A],
  tangents: readonly [...A],
): [value: R, product: R] {
  const { tracked, push } = pushforward(func, primals, range(primals.length));
  const directions = tensorsOf(tangents);
  const { leaves, result, nested } = tracked;
  if (
    directions.length !== leaves.length ||
    directions.some((t, i) => !sameShape(t.shape, leaves[i]!.shape))
  ) {
    throw new TensorError(
      "shape",
      "jvp(f, primals, tangents): Expected primals and tangents to have the same shapes",
    );
  }
  const product = likeResult(result, push(directions));
  return [released(result, nested) as R, product as R];
}

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
  options?: N | GradOptions<N>,
): (...args: A) => Jacobian<A, N, R> {
  const { argnums, hasAux } = optionsOf(options, undefined);
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
  options?: N | GradOptions<N>,
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

/** Returns a function of the same arguments that returns the second derivatives [i…, j…] of `func`. */
export function hessian<A extends unknown[], const N extends number = 0>(
  func: (...args: A) => Tensor,
  argnums?: N,
): (...args: A) => A[N] {
  const at = (argnums ?? 0) as N;
  const first = jacrev(func, at) as unknown as (...args: A) => Tensor;
  return jacfwd(first, at);
}
