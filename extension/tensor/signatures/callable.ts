import { TensorError } from "../core/errors.ts";
import { complexChoice, type Choice } from "../complex/forms.ts";
import { withGradients } from "../recording/scope.ts";
import { formatShape, sameShape, type Shape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { warnOnce } from "../core/warnings.ts";
import { resize_ } from "../functions/shape/inPlaceViews.ts";
import { blamed, bound, fit, isNamed, overloadsOf, type Overload } from "./bind.ts";
import type { Callables } from "./types.ts";
import { METHODS, SIGNATURES } from "./table.ts";

type Callee = (...args: readonly unknown[]) => unknown;

const signatureOf = (name: string, table: object): string | undefined =>
  Object.hasOwn(table, name) ? (table as Record<string, string>)[name] : undefined;

/** How a method is called: in-place forms that no table lists, as the method without the underscore. */
function signatureOfMethod(name: string): string | undefined {
  const own = signatureOf(name, METHODS) ?? signatureOf(name, SIGNATURES);
  return own === undefined && name.endsWith("_") ? signatureOfMethod(name.slice(0, -1)) : own;
}

/** How many arguments by position may pass as they are: what every overload's implementation takes. */
function direct(overloads: readonly Overload[]): [least: number, most: number] {
  if (overloads.some((o) => o.parameters.some((p) => p.type !== undefined))) return [1, 0];
  if (overloads[0]!.variadic >= 0) return [overloads[0]!.variadic, Infinity];
  return [
    Math.max(...overloads.map((o) => o.required)),
    Math.min(...overloads.map((o) => Math.min(o.taken, o.positional))),
  ];
}

/** A function that takes its arguments as PyTorch's does: by position, by name, and with `out`. */
function callable(name: string, f: Callee, overloads: readonly Overload[], choose: Choice = () => f): Callee {
  const [least, most] = direct(overloads);
  return (...args) => {
    const { length } = args;
    const last = args[length - 1];
    try {
      if (length >= least && length <= most && last !== null && !isNamed(last) && fit(overloads, args))
        return choose(args)(...args);
      if (isNamed(last) && last["out"] !== undefined) {
        const { out, ...rest } = last;
        const given = bound(name, overloads, [...args.slice(0, -1), rest]);
        return written(out, choose(given)(...given));
      }
      const given = bound(name, overloads, args);
      return choose(given)(...given);
    } catch (error) {
      throw blamed(error, name, overloads, args);
    }
  };
}

/** A function that sorts out itself what follows its required arguments: these may be named too. */
function completed(name: string, f: Callee, overloads: readonly Overload[]): Callee {
  const { taken } = overloads[0]!;
  return (...args) => {
    const { length } = args;
    const named = isNamed(args[length - 1]);
    const enough = length > taken || (length === taken && !named);
    try {
      if (!enough || !fit(overloads, args, named ? length - 1 : length))
        return f(...bound(name, overloads, args));
      return f(...args);
    } catch (error) {
      throw blamed(error, name, overloads, args);
    }
  };
}

/** A method of tensors that takes its arguments as PyTorch's does. */
export function callableMethod(name: string, f: Callee): Callee {
  const signature = signatureOfMethod(name);
  const choose = complexChoice(name, f, true);
  if (signature === undefined)
    return choose === undefined ? f : (input, ...args) => choose(args, input)(input, ...args);
  const overloads = overloadsOf(signature, true);
  const [least, most] = direct(overloads);
  return (input, ...args) => {
    const { length } = args;
    try {
      if (length >= least && length <= most) {
        const last = args[length - 1];
        if (last !== null && !isNamed(last) && fit(overloads, args))
          return (choose?.(args, input) ?? f)(input, ...args);
      }
      const given = bound(name, overloads, args);
      return (choose?.(given, input) ?? f)(input, ...given);
    } catch (error) {
      throw blamed(error, name, overloads, args);
    }
  };
}

/** Gives a tensor given as `out` the shape of the result: an empty one is made for any. */
function resizeResult(out: Tensor, shape: Shape): void {
  if (out.numel() > 0)
    warnOnce(
      `An output with one or more elements was resized since it had shape ${formatShape(out.shape)}, which does not match the required output shape ${formatShape(shape)}. This behavior is deprecated, and in a future PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).`,
    );
  withGradients(false, () => resize_(out, shape));
}

/** Results written into the tensors given as `out`. */
function written(out: unknown, result: unknown): unknown {
  if (result instanceof Tensor) {
    if (!(out instanceof Tensor)) throw new TensorError("value", "argument 'out' must be Tensor");
    if (!sameShape(out.shape, result.shape)) resizeResult(out, result.shape);
    return withGradients(false, () => out.write(result));
  }
  const targets = out as readonly unknown[];
  (result as readonly unknown[]).forEach((part, i) => void written(targets[i], part));
  return out;
}

/** The functions of a namespace, called as PyTorch's are. */
export function callables<M extends object, S extends object>(functions: M, signatures: S): Callables<M, S> {
  return wrapped(functions, signatures, callable) as Callables<M, S>;
}

/** The same of the functions of torch, which have complex forms. */
export function complexCallables<M extends object, S extends object>(
  functions: M,
  signatures: S,
): Callables<M, S> {
  return wrapped(functions, signatures, (name, f, overloads) =>
    callable(name, f, overloads, complexChoice(name, f)),
  ) as Callables<M, S>;
}

/** The same of functions that sort out their optional arguments themselves: see {@link completed}. */
export function completable<M extends object, S extends object>(
  functions: M,
  signatures: S,
): Callables<M, S> {
  return wrapped(functions, signatures, (name, f, overloads) =>
    (overloads[0]!.taken < overloads[0]!.parameters.length ? completed : callable)(name, f, overloads),
  ) as Callables<M, S>;
}

function wrapped(functions: object, signatures: object, wrap: typeof callable): object {
  return Object.fromEntries(
    Object.entries(functions).map(([name, f]: [string, unknown]) => {
      const signature = signatureOf(name, signatures);
      if (signature === undefined || typeof f !== "function") return [name, f];
      return [name, wrap(name, f as Callee, overloadsOf(signature))];
    }),
  );
}
