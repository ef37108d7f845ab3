// Dictionaries as users see them: the names that they are made with are properties of their types.
import type { Tensor, Parameter } from "../../../tensor/core/tensor.ts";
import type { Layer, Module } from "../../module/module.ts";
import { ModuleDict as Modules, type ModuleEntries } from "./moduleDict.ts";
import { ParameterDict as Parameters, type ParameterEntries } from "./parameterContainers.ts";

/** Modules by name. */
type NamedModules = Readonly<Record<string, Module>>;
/** Type of a dictionary's modules; `X` is the type of all of them, or that of each name. */
type Member<X> = X extends Module ? X : X extends NamedModules ? X[keyof X] : never;

/** What a dictionary has of its own where the type of each name is known. */
type Named<X> = Omit<X, keyof Modules> & {
  /** @throws TensorError when there is no module of that name */
  get<K extends keyof X>(name: K): X[K];
};

/**
 * Modules by name: `ModuleDict<nn.Linear>` of one type, `ModuleDict<{ conv: nn.Conv2d; pool: nn.MaxPool2d }>` of several. The
 * class itself knows one type only: with a conditional type in it, `ModuleDict<nn.Linear>` would be no `ModuleDict<nn.Module>`.
 */
export type ModuleDict<X extends Module | NamedModules = Layer> = (X extends Module ? unknown : Named<X>) &
  Modules<Member<X>>;

interface ModuleDictConstructor {
  readonly prototype: Modules;
  // The second parameter keeps this signature, and that of pairs, out of `extends nn.ModuleDict<nn.Linear>`.
  new <X extends NamedModules, K extends keyof X>(modules: X & { readonly [N in K]: Module }): ModuleDict<X>;
  new <M extends Module = Layer>(modules?: ModuleEntries<M>): ModuleDict<M>;
  // Pairs of several classes.
  new <P extends readonly [name: string, module: M], M extends Module>(
    modules: Iterable<P>,
  ): ModuleDict<P[1]>;
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
