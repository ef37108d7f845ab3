// Dictionaries as users see them: the names that they are made with are properties of their types.
import type { Tensor, Parameter } from "../../../tensor/core/tensor.ts";
import type { Layer, Module } from "../../module/module.ts";
import { ModuleDict as Modules, type NamedModules } from "./moduleDict.ts";
import { ParameterDict as Parameters, type ParameterEntries } from "./parameterContainers.ts";

/** Modules by name: `ModuleDict<nn.Linear>` of one type, `ModuleDict<{ conv: nn.Conv2d; pool: nn.MaxPool2d }>` of several. */
export type ModuleDict<X extends Module | NamedModules = Layer> = Modules<X> &
  (X extends Module ? unknown : Omit<X, keyof Modules>);

interface ModuleDictConstructor {
  readonly prototype: Modules;
  // The second parameter keeps this signature out of `extends nn.ModuleDict<nn.Linear>`.
  new <X extends NamedModules, K extends keyof X>(modules: X & { readonly [N in K]: Module }): ModuleDict<X>;
  new <M extends Module = Layer>(
    modules?: Readonly<Record<string, M>> | ReadonlyMap<string, M>,
  ): ModuleDict<M>;
}

export const ModuleDict = Modules as unknown as ModuleDictConstructor;

/** Parameters by name: `ParameterDict<"left" | "right">`. */
export type ParameterDict<K extends string = never> = Parameters & {
  [N in Exclude<K, keyof Parameters>]: Parameter;
};

interface ParameterDictConstructor {
  readonly prototype: Parameters;
  new <K extends string, V extends Tensor>(values: Readonly<Record<K, V>>): ParameterDict<K>;
  new (values?: ParameterEntries): ParameterDict;
}

export const ParameterDict = Parameters as unknown as ParameterDictConstructor;
