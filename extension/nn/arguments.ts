import { TensorError, WHOLE_HINT } from "../tensor/core/errors.ts";
import { requireCpu, type DeviceLike } from "../tensor/platform/device.ts";
import { isNamed, lacking, tooMany } from "../tensor/signatures/bind.ts";
import { isWhole, kindFor } from "../tensor/signatures/kinds.ts";

type Split<S extends string> = S extends `${infer A} ${infer B}` ? [A, ...Split<B>] : [S];

/** Where a module of PyTorch lies and of which type it is: here always the same. */
interface Placement {
  device?: unknown;
  dtype?: "float32" | null | undefined;
}

/** Options whose values may be undefined, as those that a caller passes on from options of its own. */
export type Passed<O> = { [K in keyof O]: object extends Pick<O, K> ? O[K] | undefined : O[K] };

type Divided<O, Names extends readonly string[], Extra, Front extends unknown[] = []> =
  | (object extends O
      ? [...front: Front, named?: (Passed<O> & Extra) | undefined]
      : [...front: Front, named: Passed<O> & Extra])
  | (Names extends readonly [infer A extends string, ...infer B extends string[]]
      ? A extends keyof O
        ? Divided<Omit<O, A>, B, Extra, [...Front, object extends Pick<O, A> ? O[A] | undefined : O[A]]>
        : Divided<O, B, Extra, [...Front, unknown]>
      : never);

/**
 * The calls that `bind` takes, as a type: parameters by position in the order of `Names`, a list or a text with
 * spaces, and the rest by name in one last object. Overloads for the usual calls stand beside it.
 */
export type Arguments<O, Names extends string | readonly string[]> = Divided<
  O,
  Names extends string ? Split<Names> : Names extends readonly string[] ? Names : never,
  Placement
>;

/** The same for functions, which no module places. */
export type Call<O, Names extends string> = Divided<O, Split<Names>, unknown>;

/** Stands for the default of a parameter that has none. */
export const REQUIRED: unique symbol = Symbol("required");

const GIVEN: unique symbol = Symbol("given");

/** Which of the parameters in a result of {@link bind} the call gave; the others have their defaults. */
export const givenIn = (bound: object): ReadonlySet<string> =>
  (bound as { [GIVEN]?: ReadonlySet<string> })[GIVEN] ?? new Set();

/** Defaults of all parameters, in PyTorch's order. */
export type Signature<P> = { readonly [K in keyof P]-?: P[K] | typeof REQUIRED };

/**
 * PyTorch's calling convention: parameters by position, the rest by name in one last object.
 * `new nn.Conv2d(1, 16, 3, { padding: 1 })` and `new nn.Conv2d(1, 16, 3, 1, 1)` are the same call.
 *
 * @param callee the name that errors begin with
 * @param most how many of the parameters may be given by position; all by default
 * @throws TensorError for a missing, repeated or unknown parameter, or a fraction where PyTorch takes an int
 */
export function bind<P extends object>(
  callee: string,
  args: readonly unknown[],
  signature: Signature<P>,
  most = Infinity,
): { [K in keyof P]-?: Exclude<P[K], undefined> } {
  const bound: Record<string, unknown> = { ...signature };
  const names = Object.keys(signature);
  const last = args[args.length - 1];
  const named = isNamed(last) ? last : undefined;
  let positional = named === undefined ? args.length : args.length - 1;
  // Options that a caller passes on may be undefined.
  if (named === undefined) while (positional > 0 && args[positional - 1] === undefined) positional--;
  const limit = Math.min(most, names.length);
  if (positional > limit) {
    const required = names.filter((name) => signature[name as keyof P] === REQUIRED).length;
    throw new TensorError(
      "value",
      tooMany(callee, required, limit, positional),
      `its arguments are ${names.join(", ")}`,
    );
  }
  for (let i = 0; i < positional; i++) if (args[i] !== undefined) bound[names[i]!] = args[i];
  if (named !== undefined) {
    for (const key of Object.keys(named)) {
      const at = names.indexOf(key);
      if (at < 0 && placed(callee, key, named[key])) continue;
      if (at < 0) {
        throw new TensorError(
          "value",
          `${callee}() got an unexpected keyword argument '${key}'`,
          `its arguments are ${names.join(", ")}`,
        );
      }
      if (at < positional)
        throw new TensorError("value", `${callee}() got multiple values for argument '${key}'`);
      if (named[key] !== undefined) bound[key] = named[key];
    }
  }
  for (const name of names) {
    if (kindFor(name) === "int" && !isWhole(bound[name]) && !UNCHECKED.has(callee))
      throw new TensorError("value", `${callee}(): argument '${name}' must be int, not float`, WHOLE_HINT);
    if (bound[name] !== REQUIRED) continue;
    throw new TensorError(
      "value",
      lacking(
        callee,
        names.filter((one) => bound[one] === REQUIRED),
      ),
    );
  }
  if (isClass(callee)) {
    // A class may hand on what its subclass has bound.
    const known = named === undefined ? undefined : (named as { [GIVEN]?: ReadonlySet<string> })[GIVEN];
    const given = known ?? new Set(names.filter((name, i) => i < positional || named?.[name] !== undefined));
    Object.defineProperty(bound, GIVEN, { value: given });
  }
  return bound as { [K in keyof P]-?: Exclude<P[K], undefined> };
}

/** Recurrent modules refuse fractions in words of their own, as PyTorch's do; the order of a norm may be one. */
const UNCHECKED: ReadonlySet<string> = new Set([
  "RNN",
  "LSTM",
  "GRU",
  "LnStructured",
  "ln_structured",
  "add_histogram",
]);

/** Classes print their arguments, and must know which were given; functions are called in every step. */
function isClass(callee: string): boolean {
  const first = callee.charCodeAt(0);
  return first >= 65 && first <= 90;
}

/**
 * Whether an argument says where a module of PyTorch lies and of which type it is: here that is always the same.
 * @throws TensorError for every device but the CPU
 */
function placed(callee: string, key: string, value: unknown): boolean {
  if (!isClass(callee) || (key !== "device" && key !== "dtype")) return false;
  const none = value === null || value === undefined;
  if (key === "device" && !none) requireCpu(value as DeviceLike);
  return key === "device" || none || value === "float32";
}
