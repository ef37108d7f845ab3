import { kindOf, TensorError } from "../core/errors.ts";
import { scope } from "./graph.ts";

export { SITE, scope } from "./graph.ts";

const initial = { ...scope };

/** Leaves all that was being recorded. */
export function resetScope(): void {
  Object.assign(scope, initial);
}

/** Runs `body` as the library's own work, whose intermediate values the user cannot hold. */
export function hidden<T>(body: () => T): T {
  scope.depth++;
  scope.hidden++;
  try {
    return body();
  } finally {
    scope.depth--;
    scope.hidden--;
  }
}

/** Runs `body` with gradient recording on or off. */
export function withGradients<T>(on: boolean, body: () => T): T {
  const before = scope.gradients;
  scope.gradients = on;
  try {
    return body();
  } finally {
    scope.gradients = before;
  }
}

/** @throws TensorError for what is no function, such as none where PyTorch has a `with` */
export function requireBody<T>(callee: string, body: () => T): () => T {
  if (typeof body === "function") return body;
  throw new TensorError(
    "value",
    `${callee}(): argument 'body' must be a function, not ${kindOf(body)}`,
    `Python's "with" is a function here: ${callee}(() => { … })`,
  );
}

/** A function with parameters. */
export type Decorated<A extends readonly unknown[], R> = (...args: A) => R;

/**
 * Runs a function with gradient recording on or off: at once, or, if it has parameters, whenever the function that is
 * returned is called, as PyTorch's decorators do.
 */
export function recorded<A extends readonly unknown[], R>(
  callee: string,
  on: boolean,
  body: Decorated<A, R>,
): Decorated<A, R> | R {
  requireBody(callee, body as () => R);
  if (body.length === 0) return withGradients(on, body as () => R);
  return function (this: unknown, ...args: A): R {
    return withGradients(on, () => body.call(this, ...args));
  };
}

/**
 * PyTorch's `torch.no_grad()`: nothing recorded in `body` can be differentiated. Of a function with parameters, returns
 * one that does so: `const evaluate = torch.noGrad((x: Tensor) => model(x))`.
 */
export function noGrad<T>(body: () => T): T;
export function noGrad<A extends readonly unknown[], R>(body: Decorated<A, R>): Decorated<A, R>;
export function noGrad(body: Decorated<readonly unknown[], unknown>): unknown {
  return recorded("noGrad", false, body);
}
