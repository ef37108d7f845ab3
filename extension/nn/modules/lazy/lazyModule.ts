// Code shared by lazy modules, which learn their input's size in the first call and then become their usual class.
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { noGrad } from "../../../tensor/recording/scope.ts";
import type { Module } from "../../module/module.ts";
import { isLazy } from "../../module/uninitialized.ts";

/** A module that takes a size from its first input. */
export interface LazyModule {
  /** Whether parameters or buffers are still uninitialized. */
  hasUninitializedParams(): boolean;
  /** Infers sizes from an input and initializes parameters and buffers; without effect once they are initialized. */
  initializeParameters(input: Tensor): void;
}

/** @internal Whether parameters or buffers of the module itself are still uninitialized. */
export const waits = (module: Module): boolean =>
  [...module.ownParameters(), ...module.ownBuffers()].some(([, member]) => isLazy(member));

/** @internal Gives a lazy module its parameters, turns it into its usual class and calls it. */
export function firstCall<M extends Module>(
  module: M & LazyModule,
  usual: { readonly prototype: M },
  args: readonly [input: Tensor, ...rest: unknown[]],
): Tensor {
  noGrad(() => module.initializeParameters(args[0]));
  Object.setPrototypeOf(module, usual.prototype);
  return (module as unknown as { forward(...args: readonly unknown[]): Tensor }).forward(...args);
}
