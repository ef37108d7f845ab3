import { complexChoice } from "../complex/forms.ts";
import { callableMethod } from "../signatures/callable.ts";
import type { MethodForms } from "../signatures/types.ts";
import { Tensor } from "../core/tensor.ts";

/** A function whose first parameter is the tensor, as a method; by its name it is also called as table.ts says. */
export type Method<F, N = unknown> = F extends (input: Tensor, ...rest: infer R) => infer T
  ? [MethodForms<N, R>] extends [never]
    ? (...rest: R) => T
    : ((...rest: R) => T) & ((...args: MethodForms<N, R>) => T)
  : never;

/** Functions of a module as methods. Mapped over the module's own keys, so that every method keeps its docstring. */
export type Methods<M, N extends keyof M> = { -readonly [K in N]: Method<M[K], K> };

/** Makes a function a method of every tensor. */
export function installAs(name: string | symbol, f: unknown): void {
  const given = f as (input: unknown, ...rest: readonly unknown[]) => unknown;
  const call = typeof name === "string" ? callableMethod(name, given) : given;
  define(name, {
    value(this: Tensor, ...rest: unknown[]): unknown {
      return call(this, ...rest);
    },
    writable: true,
  });
}

const NONE: readonly unknown[] = [];

/** Makes a function a property of every tensor, or a pair of functions one that can be assigned. */
export function installProperty(
  name: string,
  get: (input: Tensor) => unknown,
  set?: (input: Tensor, value: Tensor) => void,
): void {
  const read = get as (...args: readonly unknown[]) => unknown;
  const choose = complexChoice(name, read, true);
  define(name, {
    get(this: Tensor): unknown {
      return (choose?.(NONE, this) ?? read)(this);
    },
    ...(set === undefined
      ? {}
      : {
          set(this: Tensor, value: Tensor): void {
            set(this, value);
          },
        }),
  });
}

function define(name: string | symbol, property: PropertyDescriptor): void {
  Object.defineProperty(Tensor.prototype, name, { ...property, configurable: true });
}
