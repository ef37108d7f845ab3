// How Python calls of the cases become calls of the library: by rule, not by case.
import { data, F, nn, optim, torch } from "../../extension/nn/index.ts";
import { decode, isTensor, Unsupported, type Json } from "./format.ts";

/** `kernel_size` → `kernelSize`, `kaiming_uniform_` → `kaimingUniform_`, `T_max` → `tMax`. */
export function camelCase(name: string): string {
  const joined = name.replaceAll(/(?<=[A-Za-z0-9])_([A-Za-z0-9])/g, (_, c: string) => c.toUpperCase());
  return /^[A-Z]_/.test(name) ? joined[0]!.toLowerCase() + joined.slice(1) : joined;
}

/** The namespaces of Python programs and ours. */
const NAMESPACES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  nn,
  F,
  torch,
  "torch.linalg": torch.linalg,
  "torch.special": torch.special,
  "torch.fft": torch.fft,
  "torch.signal.windows": torch.signal.windows,
  "nn.init": nn.init,
  "nn.utils": nn.utils,
  "torch.optim": optim,
  "torch.optim.lr_scheduler":
    (optim as { lrScheduler?: Readonly<Record<string, unknown>> }).lrScheduler ?? {},
  "torch.utils.data": data,
};

/**
 * Returns the library's public export for a Python name.
 * @throws Unsupported when nothing of that name is exported
 */
export function lookUp(namespace: string, name: string): (...args: unknown[]) => unknown {
  // Classes keep their names.
  const own = /^[A-Z]/.test(name) ? name : camelCase(name);
  const found = NAMESPACES[namespace]?.[own];
  if (typeof found !== "function") throw new Unsupported(`${namespace}.${name}`);
  return found as (...args: unknown[]) => unknown;
}

/** A Python value: tensors decoded, tuples as arrays. */
export function argument(value: Json): unknown {
  if (isTensor(value)) return decode(value);
  return Array.isArray(value) ? value.map(argument) : value;
}

/** Keyword arguments as an options object, at the end of the positional ones; nothing when there are none. */
export function callArguments(
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
): readonly unknown[] {
  const named = Object.entries(kwargs);
  if (named.length === 0) return args;
  return [...args, Object.fromEntries(named.map(([name, value]) => [camelCase(name), value]))];
}

/** Makes an object of a class by its Python call. */
export function construct(
  namespace: string,
  name: string,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
): unknown {
  const type = lookUp(namespace, name) as unknown as new (...args: readonly unknown[]) => unknown;
  return new type(...callArguments(args, kwargs));
}

/** All values of keyword arguments as Python has them. */
export function keywords(kwargs: Readonly<Record<string, Json>> = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(kwargs).map(([name, value]) => [name, argument(value)]));
}
