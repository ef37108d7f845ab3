// The ways in which PyTorch's signatures allow a call to be written.
import { readFileSync } from "node:fs";
import { camelCase as plain } from "../../parity/names.ts";
import { Tensor } from "../../../extension/tensor/core/tensor.ts";

type Signatures = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

const { signatures } = JSON.parse(
  readFileSync(new URL("../../fixtures/signatures/signatures.json", import.meta.url), "utf8"),
) as { signatures: Signatures };

/** A parameter of PyTorch's, under our name. */
export interface Parameter {
  readonly name: string;
  /** Absent for a required one. */
  readonly default?: unknown;
  readonly variadic: boolean;
  readonly byNameOnly: boolean;
}

const camelCase = (name: string): string =>
  name.endsWith("_") ? `${camelCase(name.slice(0, -1))}_` : plain(name);

/** Parameters that change the place or layout of a result, not its numbers. */
export const WITHOUT_EFFECT: ReadonlySet<string> = new Set(
  "out layout device pinMemory memoryFormat nonBlocking foreach fused differentiable capturable".split(" "),
);

/** PyTorch's overloads of everything in a namespace, by our names. */
export function overloads(namespace: string): ReadonlyMap<string, readonly (readonly Parameter[])[]> {
  return new Map(
    Object.entries(signatures[namespace]!).map(([name, texts]) => [camelCase(name), texts.map(parameters)]),
  );
}

function parameters(text: string): Parameter[] {
  let byNameOnly = false;
  return text.split(" ").flatMap((word): Parameter[] => {
    if (word === "*") byNameOnly = true;
    if (word === "*" || word === "" || word.startsWith("**")) return [];
    const at = word.indexOf("=");
    const variadic = word.startsWith("...");
    // A name with a leading underscore is private in PyTorch.
    if (word.startsWith("_")) {
      byNameOnly = true;
      return [];
    }
    const name = camelCase((at < 0 ? word : word.slice(0, at)).replace("...", ""));
    const value = at < 0 ? {} : { default: literal(word.slice(at + 1)) };
    // PyTorch reads what follows a variadic parameter by name.
    const parameter = { name, variadic, byNameOnly, ...value };
    byNameOnly ||= variadic;
    return [parameter];
  });
}

/** A default as Python writes it. */
function literal(text: string): unknown {
  const json = text
    .replaceAll("'", '"')
    .replaceAll("(", "[")
    .replaceAll(")", "]")
    .replaceAll(",]", "]")
    .replaceAll("None", "null")
    .replaceAll("True", "true")
    .replaceAll("False", "false")
    .replace(/^(-?\d+)\.$/, "$1");
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

export interface Call {
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
}

/** Values of an overload's parameters in a call, or undefined where the call is of another one. */
function assigned(overload: readonly Parameter[], call: Call): Map<Parameter, unknown> | undefined {
  const values = new Map<Parameter, unknown>();
  const positional = overload.filter((p) => !p.byNameOnly);
  const at = positional.findIndex((p) => p.variadic);
  let { args } = call;
  if (at >= 0 && args.length > at) {
    const list = args.slice(at);
    values.set(positional[at]!, list.length === 1 && Array.isArray(list[0]) ? list[0] : list);
    args = args.slice(0, at);
  }
  if (args.length > positional.length) return undefined;
  for (const [i, value] of args.entries()) {
    const { name } = positional[i]!;
    const tensor = value instanceof Tensor;
    if (tensor && /^(dim|keepdim|p|n|unbiased|diagonal|dtype|size)$/.test(name)) return undefined;
    if (!tensor && i > 0 && name === "other" && overload.length === 2 && positional.length === 2) {
      // max(x, 1) is max(x, dim=1).
      if (call.kwargs["keepdim"] !== undefined) return undefined;
    }
    if (typeof value === "string" && name === "device") return undefined;
    if (typeof value !== "string" && name === "dtype") return undefined;
    if (typeof value !== "boolean" && name === "unbiased") return undefined;
    if (typeof value === "boolean" && name === "dim") return undefined;
    values.set(positional[i]!, value);
  }
  for (const [name, value] of Object.entries(call.kwargs)) {
    const parameter = overload.find((p) => p.name === name);
    if (parameter === undefined || values.has(parameter)) return undefined;
    values.set(parameter, value);
  }
  const missing = overload.some((p) => !("default" in p) && !p.variadic && !values.has(p));
  return missing ? undefined : values;
}

/** Whether PyTorch's parser limits how many arguments an overload takes by position, and ours as it does. */
export const limited = (overload: readonly Parameter[]): boolean =>
  !overload.some((p) => p.variadic || p.byNameOnly || LISTED.has(p.name));

/** Parameters that take numbers one by one, as a list or by name; others take tensors one by one. */
const LISTED: ReadonlySet<string> = new Set(["size", "dim", "dims", "shape", "repeats"]);

/** Every way to write a call that an overload allows, with the defaults of what it leaves out written too. */
export function forms(overload: readonly Parameter[], call: Call): unknown[][] {
  // PyTorch's parser has names of its own for scalars, and older orders.
  if (overload.some((p) => /^(self|element|testElement)$/.test(p.name))) return [];
  const values = assigned(overload, call);
  if (values === undefined) return [];
  const out: unknown[][] = [];
  const named = (from: readonly Parameter[]): Record<string, unknown> =>
    Object.fromEntries(from.filter((p) => values.has(p)).map((p) => [p.name, values.get(p)]));
  const ending = (list: unknown[], rest: Record<string, unknown>): void =>
    void out.push(Object.keys(rest).length === 0 ? list : [...list, rest]);
  const positional = overload.filter((p) => !p.byNameOnly);
  const front: unknown[] = [];
  for (const [i, parameter] of positional.entries()) {
    const rest = overload.filter((p) => !positional.slice(0, i).includes(p));
    ending([...front], named(rest));
    if (parameter.variadic && LISTED.has(parameter.name)) {
      const list = (values.get(parameter) ?? []) as readonly unknown[];
      ending([...front, ...list], named(rest.filter((p) => p !== parameter)));
      if (list.length > 0 || i > 0) ending([...front, list], named(rest.filter((p) => p !== parameter)));
      return out;
    }
    if (parameter.variadic) {
      out.splice(0, out.length, [...front, ...((values.get(parameter) ?? []) as readonly unknown[])]);
      const named = Object.entries(call.kwargs);
      if (named.length > 0) out[0]!.push(Object.fromEntries(named));
      return out;
    }
    if (!values.has(parameter)) {
      const value = parameter.default;
      if (value === undefined || WITHOUT_EFFECT.has(parameter.name)) break;
      values.set(parameter, value);
      // From here on the defaults are written.
      ending([...front], named(rest));
    }
    front.push(values.get(parameter));
    ending([...front], named(overload.filter((p) => !positional.slice(0, i + 1).includes(p))));
  }
  for (const p of overload) {
    if (p.byNameOnly && !values.has(p) && p.default !== undefined && !WITHOUT_EFFECT.has(p.name)) {
      values.set(p, p.default);
    }
  }
  ending([...front], named(overload.filter((p) => !positional.slice(0, front.length).includes(p))));
  return out;
}
