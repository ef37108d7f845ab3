// Jacobians times tangents.
import { apply } from "../recording/apply.ts";
import { TensorError } from "../core/errors.ts";
import { zerosLike } from "../functions/creation/creation.ts";
import { add, mul } from "../ops/elementwise/elementwise.ts";
import { sum } from "../ops/movement/movement.ts";
import { scope, withGradients } from "../recording/scope.ts";
import { formatSize, range, sameShape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { auxOf, onesOf, pulled, released, track, type Tracked } from "./tracked.ts";
import { mapTensors, tensorsOf } from "./tree.ts";

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

export function pushforward(
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
export function likeResult(result: unknown, values: readonly unknown[]): unknown {
  let next = 0;
  return mapTensors(result, () => values[next++]);
}

export interface JvpOptions {
  /** Whether the function also returns something that is not differentiated: `[value, aux]`. Default false. */
  hasAux?: boolean;
  /** Refuses a value that doesn't depend on the primals, whose product is zeros otherwise. Default false. */
  strict?: boolean;
}

/**
 * Returns the value of `func` at `primals`, and the Jacobian times `tangents`; with `hasAux`, aux third.
 * @throws TensorError "jvp(f, primals, tangents): Expected primals and tangents to have the same shapes"
 */
export function jvp<A extends unknown[], R>(
  func: (...args: A) => R,
  primals: readonly [...A],
  tangents: readonly [...A],
  options?: JvpOptions & { hasAux?: false },
): [value: R, product: R];
export function jvp<A extends unknown[], R, X>(
  func: (...args: A) => readonly [R, X],
  primals: readonly [...A],
  tangents: readonly [...A],
  options: JvpOptions & { hasAux: true },
): [value: R, product: R, aux: X];
export function jvp(
  func: (...args: never[]) => unknown,
  primals: readonly unknown[],
  tangents: readonly unknown[],
  options: JvpOptions = {},
): unknown[] {
  const { hasAux = false, strict = false } = options;
  let aux: unknown;
  const main = (...given: never[]): unknown => {
    const [value, rest] = auxOf("jvp(f, primals, tangents)", func(...given), hasAux);
    aux = rest;
    return value;
  };
  const { tracked, outputs, push } = pushforward(main, primals, range(primals.length));
  if (strict && outputs.some((y) => !y.requiresGrad)) {
    throw new TensorError(
      "autograd",
      "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed with strict=True.",
    );
  }
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
  const found = [released(result, nested), product];
  return hasAux ? [...found, released(aux, nested)] : found;
}

/**
 * Returns the value of `func` at `primals`, and a function that maps tangents to the Jacobian times them: {@link jvp} with the
 * forward pass recorded once.
 *
 * ```ts
 * const [y, push] = torch.func.linearize((x: Tensor) => x.sin(), x);
 * push(torch.onesLike(x)); // cos(x)
 * ```
 * @throws TensorError if a tangent doesn't have the shape of its primal
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.linearize.html
 */
export function linearize<A extends unknown[], R>(
  func: (...args: A) => R,
  ...primals: A
): [value: R, push: (...tangents: A) => R] {
  const { tracked, push } = pushforward(func, primals, range(primals.length));
  const { leaves, result, nested } = tracked;
  return [
    released(result, nested) as R,
    (...tangents) => {
      const directions = tensorsOf(tangents);
      if (directions.length !== leaves.length) {
        throw new TensorError(
          "value",
          `linearize: Expected the tangents to have the same structure as the primals: ${leaves.length} tensors, got ${directions.length}`,
        );
      }
      directions.forEach((t, i) => {
        const { shape } = leaves[i]!;
        if (sameShape(t.shape, shape)) return;
        throw new TensorError(
          "shape",
          `linearize: Expected tangent ${i} to have shape ${formatSize(shape)}, got ${formatSize(t.shape)}`,
        );
      });
      return likeResult(result, push(directions)) as R;
    },
  ];
}
