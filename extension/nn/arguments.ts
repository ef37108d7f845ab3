import { TensorError } from "../tensor/errors.ts";

/** Stands for the default of a parameter that has none. */
export const REQUIRED: unique symbol = Symbol("required");

/** Defaults of all parameters, in PyTorch's order. */
export type Signature<P> = { readonly [K in keyof P]-?: P[K] | typeof REQUIRED };

/**
 * The calls that {@link bind} takes, as a type: parameters by position in the order of `Names`, the rest by name in one
 * last object. It stands beside overloads for the usual calls, whose parameters an editor shows by name.
 */
export type Arguments<P extends object, Names extends readonly string[]> =
  | (object extends P ? [options?: P] : [options: P])
  | (Names extends readonly [infer First extends keyof P, ...infer Rest extends readonly string[]]
      ? [P[First], ...Arguments<Omit<P, First>, Rest>]
      : never);

/**
 * PyTorch's calling convention: parameters by position, the rest by name in one last object.
 * `new nn.Conv2d(1, 16, 3, { padding: 1 })` and `new nn.Conv2d(1, 16, 3, 1, 1)` are the same call.
 *
 * @param callee the name that errors begin with
 * @throws TensorError for a missing, repeated or unknown parameter
 */
export function bind<P extends object>(
  callee: string,
  args: readonly unknown[],
  signature: Signature<P>,
): { [K in keyof P]-?: Exclude<P[K], undefined> } {
  const bound: Record<string, unknown> = { ...signature };
  const names = Object.keys(signature);
  const last = args[args.length - 1];
  const named = isOptions(last) ? last : undefined;
  const positional = named === undefined ? args.length : args.length - 1;
  if (positional > names.length) {
    throw new TensorError(
      "value",
      `${callee}() takes at most ${names.length} arguments (${names.join(", ")}), but ${positional} were given`,
    );
  }
  for (let i = 0; i < positional; i++) if (args[i] !== undefined) bound[names[i]!] = args[i];
  if (named !== undefined) {
    for (const key of Object.keys(named)) {
      const at = names.indexOf(key);
      if (at < 0) {
        throw new TensorError(
          "value",
          `${callee}() got an unexpected option '${key}'`,
          `options are ${names.join(", ")}`,
        );
      }
      if (at < positional)
        throw new TensorError("value", `${callee}() got multiple values for argument '${key}'`);
      if (named[key] !== undefined) bound[key] = named[key];
    }
  }
  for (const name of names) {
    if (bound[name] === REQUIRED) throw new TensorError("value", `${callee}() is missing argument '${name}'`);
  }
  return bound as { [K in keyof P]-?: Exclude<P[K], undefined> };
}

function isOptions(x: unknown): x is Record<string, unknown> {
  if (typeof x !== "object" || x === null) return false;
  const prototype: unknown = Object.getPrototypeOf(x);
  return prototype === Object.prototype || prototype === null;
}
