import { callableMethod } from "../signatures/callable.ts";
import type { MethodForms } from "../signatures/types.ts";
import { Tensor } from "../core/tensor.ts";

/** A function whose first parameter is the tensor, as a method; by its name it is also called as table.ts says. */
export type Method<F, N = unknown> = F extends (input: Tensor, ...rest: infer R) => infer T
  ? [MethodForms<N, R>] extends [never]
    ? (...rest: R) => T
    : ((...rest: R) => T) & ((...args: MethodForms<N, R>) => T)
  : never;

/** Makes functions methods of every tensor. */
export function install<M extends object>(functions: M, names: readonly (keyof M & string)[]): void {
  for (const name of names) installAs(name, functions[name]);
}

/** Makes a function a method under a name of its own. */
export function installAs(name: string | symbol, f: unknown): void {
  const implementation = f as (input: unknown, ...rest: readonly unknown[]) => unknown;
  const call = typeof name === "string" ? callableMethod(name, implementation) : implementation;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]): unknown {
      return call(this, ...rest);
    },
    writable: true,
    configurable: true,
  });
}

/** Makes a function a property of every tensor. */
export function installGetter(name: string, get: (input: Tensor) => unknown): void {
  Object.defineProperty(Tensor.prototype, name, {
    get(this: Tensor): unknown {
      return get(this);
    },
    configurable: true,
  });
}

/** Makes a pair of functions a property that can be assigned. */
export function installAccessor(
  name: string,
  get: (input: Tensor) => unknown,
  set: (input: Tensor, value: Tensor) => void,
): void {
  Object.defineProperty(Tensor.prototype, name, {
    get(this: Tensor): unknown {
      return get(this);
    },
    set(this: Tensor, value: Tensor): void {
      set(this, value);
    },
    configurable: true,
  });
}
