import { kindOf, TensorError, WHOLE_HINT } from "../core/errors.ts";
import { isElement, isTensorLike, notElement } from "../core/tensorLike.ts";
import { Tensor } from "../core/tensor.ts";
import { asWhole, isNone, isWhole, kindFor, type Kind } from "./kinds.ts";

interface Parameter {
  readonly name: string;
  readonly optional: boolean;
  /** Required `typeof` of an argument for its overload to be chosen. */
  readonly type: string | undefined;
  /** Kind of arguments that it takes, if its name implies one: others are refused. */
  readonly kind: Kind | undefined;
  /** Accepted, but without effect. */
  readonly ignored: boolean;
  /** In PyTorch but not here: only its default may be given. */
  readonly missing: boolean;
}

/** One way to call a function: see table.ts for the notation. */
export interface Overload {
  readonly parameters: readonly Parameter[];
  /** How many parameters may be given by position. */
  readonly positional: number;
  /** How many of them the implementation takes by position: the others go into one object. */
  readonly taken: number;
  readonly required: number;
  /** The parameter that takes any number of arguments, or -1. */
  readonly variadic: number;
}

const parsed = new Map<string, readonly Overload[]>();

/** Parses the overloads of a line of the table. The first parameter of a `method` is the tensor before the dot. */
export function overloadsOf(signature: string, method = false): readonly Overload[] {
  const key = method ? `.${signature}` : signature;
  let overloads = parsed.get(key);
  if (overloads === undefined) {
    const texts = signature.split(" / ").map((text) => (method ? text.replace(/^\S+ ?/, "") : text));
    parsed.set(key, (overloads = texts.map(overloadOf)));
  }
  return overloads;
}

function overloadOf(text: string): Overload {
  const parameters: Parameter[] = [];
  let [positional, taken, variadic] = [Infinity, Infinity, -1];
  for (const word of text.match(/\S+/g) ?? []) {
    if (word === "*") positional = parameters.length;
    else if (word === "|") taken = parameters.length;
    else {
      if (word.startsWith("...")) variadic = parameters.length;
      const [, name, type, optional] = /^(?:\.\.\.|-|!|~)?(\w+)(?::(\w+))?(\??)$/.exec(word)!;
      parameters.push({
        name: name!,
        type: type === "int" ? undefined : type,
        kind: word.startsWith("~") ? undefined : type === "int" ? "int" : kindFor(name!),
        optional: optional === "?",
        ignored: word.startsWith("-"),
        missing: word.startsWith("!"),
      });
    }
  }
  const count = parameters.length;
  return {
    parameters,
    positional: Math.min(positional, count),
    taken: Math.min(taken, count),
    required: parameters.filter((p, i) => !p.optional && i < Math.min(positional, count)).length,
    variadic,
  };
}

/** The plain object of arguments by name at the end of a call, if there is one. */
export function isNamed(x: unknown): x is Readonly<Record<string, unknown>> {
  if (typeof x !== "object" || x === null) return false;
  const prototype: unknown = Object.getPrototypeOf(x);
  return prototype === Object.prototype || prototype === null;
}

/** NumPy's names of parameters, which PyTorch takes too, unless a function has a parameter of that name. */
const NUMPY: Readonly<Record<string, string>> = {
  axis: "dim",
  keepdims: "keepdim",
  x: "input",
  a: "input",
  x1: "input",
  x2: "other",
};

/** Position of the parameter that a call names, or -1. */
function placeOf(parameters: readonly Parameter[], key: string): number {
  const at = parameters.findIndex((p) => p.name === key);
  if (at >= 0 || !Object.hasOwn(NUMPY, key)) return at;
  return parameters.findIndex((p) => p.name === NUMPY[key]);
}

/** Kinds of mistakes in a call. Where no overload fits, the first of these is reported. */
const RANKS = ["missing", "multiple", "unknown", "type", "count"] as const;

interface Mistake {
  readonly kind: (typeof RANKS)[number];
  readonly text: string;
  readonly hint?: string;
}

/** Values of an overload's parameters (a list for a variadic one), or the reason why the call doesn't fit. */
function matched(
  callee: string,
  { parameters, positional, required, variadic }: Overload,
  args: readonly unknown[],
  named: Readonly<Record<string, unknown>> | undefined,
): unknown[] | Mistake {
  const values: unknown[] = [];
  for (let i = 0; i < parameters.length; i++) values.push(undefined);
  let given = args.length;
  if (variadic >= 0 && given > variadic) {
    const list = args.slice(variadic);
    values[variadic] = list.length === 1 && Array.isArray(list[0]) ? list[0] : list;
    given = variadic;
  }
  if (given > positional) return { kind: "count", text: tooMany(callee, required, positional, args.length) };
  for (let i = 0; i < given; i++) values[i] = args[i];
  for (const key in named) {
    const at = placeOf(parameters, key);
    if (at < 0) {
      return unknown(
        callee,
        key,
        parameters.map((p) => p.name),
      );
    }
    if (values[at] !== undefined) {
      return { kind: "multiple", text: `${callee}() got multiple values for argument '${key}'` };
    }
    const value = named[key];
    values[at] = at === variadic && !Array.isArray(value) ? [value] : value;
  }
  // None stands for the default.
  for (let i = 0; i < parameters.length; i++) {
    if (values[i] === null && parameters[i]!.optional) values[i] = undefined;
  }
  for (let i = 0; i < parameters.length; i++) {
    const { type, missing: unsupported, name, kind } = parameters[i]!;
    if (kind === "int") values[i] = asWhole(values[i]);
    if (unsupported && values[i] !== undefined) {
      return { kind: "missing", text: `${callee}(): argument '${name}' isn't supported` };
    }
    if (type !== undefined && values[i] !== undefined && typeof values[i] !== type) {
      return { kind: "type", text: `${callee}(): argument '${name}' must be ${type}` };
    }
    const wrong = isNone(values[i], parameters[i]!)
      ? undefined
      : wrongKind(callee, parameters[i]!, i, values[i]);
    if (wrong !== undefined) return wrong;
  }
  const missing = parameters.filter((p, i) => !p.optional && values[i] === undefined && i !== variadic);
  return missing.length === 0
    ? values
    : {
        kind: "missing",
        text: lacking(
          callee,
          missing.map((p) => p.name),
        ),
      };
}

const placed = (callee: string, name: string, at: number): string =>
  `${callee}(): argument '${name}' (position ${at + 1})`;

/** PyTorch's message for an argument that must be a tensor or a whole number, and isn't. */
function wrongKind(callee: string, { name, kind }: Parameter, at: number, x: unknown): Mistake | undefined {
  if (kind === undefined || x === undefined) return undefined;
  const place = placed(callee, name, at);
  const mistake = (text: string, hint = {}): Mistake => ({ kind: "type", text, ...hint });
  if (kind === "int")
    return isWhole(x) ? undefined : mistake(`${place} must be int, not float`, { hint: WHOLE_HINT });
  if (kind === "tensor")
    return isTensorLike(x) ? undefined : mistake(`${place} must be Tensor, not ${kindOf(x)}`);
  if (!isList(x)) return mistake(`${place} must be a list of Tensors, not ${kindOf(x)}`);
  const wrong = x.findIndex((one) => !isElement(one));
  if (wrong < 0) return undefined;
  return mistake(notElement(callee, name, wrong, x[wrong]));
}

const isList = (x: unknown): x is readonly unknown[] => Array.isArray(x);

/**
 * Whether the first positional arguments of a call have the kinds that all overloads expect. Most calls pass, so it
 * allocates nothing.
 */
export function fit(overloads: readonly Overload[], args: readonly unknown[], count = args.length): boolean {
  for (const { parameters, variadic } of overloads) {
    for (let i = 0; i < count; i++) {
      const parameter = parameters[variadic >= 0 && i > variadic ? variadic : i];
      if (parameter?.kind === undefined) continue;
      const x = args[i];
      if (isNone(x, parameter)) continue;
      if (
        parameter.kind === "int"
          ? !isWhole(x)
          : parameter.kind === "tensor"
            ? !isTensorLike(x)
            : !elements(x, i === variadic && count > i + 1)
      )
        return false;
    }
  }
  return true;
}

/** Whether an argument is a list of tensors, or one of several tensors. */
function elements(x: unknown, several: boolean): boolean {
  if (several || !isList(x)) return isElement(x);
  for (const one of x) if (!isElement(one)) return false;
  return true;
}

function unknown(callee: string, key: string, known: readonly string[]): Mistake {
  const text = `${callee}() got an unexpected keyword argument '${key}'`;
  return {
    kind: "unknown",
    text,
    ...(known.length === 0 ? {} : { hint: `its arguments are ${known.join(", ")}` }),
  };
}

/** PyTorch's message for too many arguments. */
export function tooMany(callee: string, required: number, positional: number, given: number): string {
  const takes = required === positional ? `${positional}` : `from ${required} to ${positional}`;
  const plural = positional === 1 && required === 1 ? "" : "s";
  return `${callee}() takes ${takes} positional argument${plural} but ${given} ${given === 1 ? "was" : "were"} given`;
}

/** PyTorch's message for missing required arguments. */
export function lacking(callee: string, names: readonly string[]): string {
  const plural = names.length === 1 ? "" : "s";
  const list = names.map((name) => `'${name}'`);
  const last = list.pop()!;
  const text = list.length === 0 ? last : `${list.join(", ")} and ${last}`;
  return `${callee}() missing ${names.length} required positional argument${plural}: ${text}`;
}

/**
 * Returns the arguments of a call as the implementation takes them: PyTorch allows them by position or by name.
 * @throws TensorError in PyTorch's words for a missing, repeated or unknown argument, or one too many
 */
export function bound(
  callee: string,
  overloads: readonly Overload[],
  args: readonly unknown[],
): readonly unknown[] {
  let count = args.length;
  const last = args[count - 1];
  const named = isNamed(last) ? last : undefined;
  if (named !== undefined) count--;
  while (count > 0 && args[count - 1] === undefined) count--;
  const positional = args.slice(0, count);
  let mistake: Mistake | undefined;
  for (const overload of overloads) {
    const values = matched(callee, overload, positional, named);
    if (Array.isArray(values)) return arranged(overload, values);
    const found = values;
    if (mistake === undefined || RANKS.indexOf(found.kind) < RANKS.indexOf(mistake.kind)) mistake = found;
  }
  const all = overloads.flatMap((o) => o.parameters);
  const strange = Object.keys(named ?? {}).find((key) => placeOf(all, key) < 0);
  if (strange !== undefined) mistake = unknown(callee, strange, [...new Set(all.map((p) => p.name))]);
  throw new TensorError("value", mistake!.text, mistake!.hint);
}

/** Arranges arguments: those that the implementation takes by position, then an object of the others, if any. */
function arranged({ parameters, taken, variadic }: Overload, values: readonly unknown[]): unknown[] {
  const out: unknown[] = [];
  for (let i = 0; i < taken; i++) {
    if (i === variadic) out.push(...((values[i] ?? []) as unknown[]));
    else out.push(values[i]);
  }
  let options: Record<string, unknown> | undefined;
  for (let i = taken; i < parameters.length; i++) {
    const { name, ignored } = parameters[i]!;
    if (values[i] !== undefined && !ignored) (options ??= {})[name] = values[i];
  }
  if (options !== undefined) out.push(options);
  else if (variadic < 0) while (out.length > 0 && out[out.length - 1] === undefined) out.pop();
  return out;
}

/** Whether an argument contains user code, which may throw by itself. */
const runsCode = (x: unknown): boolean =>
  typeof x === "function" || (isNamed(x) && Object.values(x).some((one) => typeof one === "function"));

/** Whether only options take such a value: it comes from a misspelt name, or a function that returns nothing. */
const isStrange = (x: unknown): boolean =>
  x === undefined ||
  x === null ||
  typeof x === "string" ||
  typeof x === "boolean" ||
  isNamed(x) ||
  (isList(x) && x.some(isStrange));

const isNumber = (x: unknown): boolean => typeof x === "number" || typeof x === "boolean";

/** Whether an argument may not fit the parameter in its place. Many that take a tensor take a number, too. */
const isDoubtful = (x: unknown, kinds: readonly (Kind | undefined)[]): boolean =>
  isStrange(x) ||
  (typeof x === "number" && !kinds.includes("int")) ||
  (isList(x) && !kinds.some((kind) => kind === "int" || kind === "tensors")) ||
  (x instanceof Tensor && !kinds.includes("tensor"));

/**
 * Returns the error of a call that failed inside: if its arguments are wrong, PyTorch's message about them in place of
 * JavaScript's internal one.
 */
export function blamed(
  error: unknown,
  callee: string,
  overloads: readonly Overload[],
  args: readonly unknown[],
): unknown {
  if (!(error instanceof TypeError || error instanceof RangeError)) return error;
  // Hooks run in `backward`.
  if (callee === "backward" || args.some(runsCode)) return error;
  const kindsAt = (at: number): (Kind | undefined)[] =>
    overloads.map(({ parameters }) => parameters[at]?.kind);
  if (!args.some((x, i) => isDoubtful(x, kindsAt(i)))) return error;
  const names = [...new Set(overloads.flatMap(({ parameters }) => parameters.map(({ name }) => name)))];
  const number = args.findIndex(
    (x, i) => isNumber(x) && overloads.length === 1 && kindsAt(i)[0] === "tensor",
  );
  if (number >= 0) {
    const text = `${placed(callee, names[number]!, number)} must be Tensor, not ${kindOf(args[number])}`;
    return new TensorError("value", text, undefined, { cause: error });
  }
  return new TensorError(
    "value",
    `${callee}() received an invalid combination of arguments - got (${args.map(kindOf).join(", ")})`,
    `its arguments are ${names.join(", ")}`,
    { cause: error },
  );
}
