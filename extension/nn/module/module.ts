import { zeroGradients } from "../../tensor/recording/gradientHooks.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";
import { compile, type CompileOptions } from "../compile.ts";
import { Buffer } from "./buffer.ts";
import type { HookOptions, RemovableHandle } from "./hookList.ts";
import * as hooks from "./hooks.ts";
import { call, ModuleState, STATE } from "./moduleCall.ts";
import {
  bufferAt,
  checkMember,
  distinct,
  flag,
  keyIn,
  members,
  modulesWithin,
  parameterAt,
  properties,
  register,
  replaceSubmodule,
  setProperty,
  submodule,
  type Flag,
  type MemberOptions,
  type StateDictNames,
} from "./moduleMembers.ts";
import { Placement } from "./placement.ts";
import { treeText } from "./repr.ts";
import { loadInto, stateOf, type LoadOptions, type StateDict } from "./stateDict.ts";
import type { LoadReport } from "./stateHooks.ts";

const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** Arguments of a module's `forward`; any, where the class isn't known. */
// oxlint-disable-next-line typescript/no-explicit-any -- as PyTorch's modules do
export type Given<M> = M extends { forward: (...input: infer A) => unknown } ? A : any[];
/** Result of a module's `forward`. */
// oxlint-disable-next-line typescript/no-explicit-any -- whatever it takes
export type Result<M> = M extends { forward: (...input: any) => infer R } ? R : any;

/** A module is called like a function: `model(x)` runs `model.forward(x)` with its hooks. */
export interface Module {
  (...args: Given<this>): Result<this>;
}

/**
 * Base class of all networks and layers. Modules and parameters assigned to properties are found automatically, in
 * the order of their declaration:
 *
 * ```ts
 * class Net extends nn.Module {
 *   fc = new nn.Linear(4, 2);
 *   forward(x: Tensor) {
 *     return this.fc(x);
 *   }
 * }
 * ```
 */
export class Module extends Placement {
  /**
   * Names of fields in paths and state dicts, where they differ: `"snake_case"` for PyTorch's spelling of all (`tokEmb` is
   * `tok_emb`), or the names of some. Subclasses inherit them. Everything that names a field uses them: `stateDict()`,
   * `namedParameters()`, `print(model)`, checkpoints.
   *
   * ```ts
   * class Model extends nn.Module {
   *   static override stateDictNames = { tokEmb: "wte", lmHead: "lm_head" };
   * }
   * ```
   */
  static stateDictNames: StateDictNames | undefined;

  /** @internal */
  declare readonly [STATE]: ModuleState;

  constructor() {
    super();
    const self = ((...args: unknown[]) => call(self, args)) as unknown as this;
    // A function's own properties: a field of a model may have these names.
    Reflect.deleteProperty(self, "name");
    Reflect.deleteProperty(self, "length");
    Object.setPrototypeOf(self, new.target.prototype);
    Object.defineProperty(self, STATE, { value: new ModuleState() });
    return self;
  }

  /** Whether layers such as Dropout behave as in training. Set by `train()` and `eval()`. */
  get training(): boolean {
    return this[STATE].training;
  }

  set training(on: boolean) {
    this[STATE].training = on;
  }

  /** Puts this module and all inside it into training mode, or out of it. */
  train(mode: Flag<"mode"> = true): this {
    const on = (this.training = flag(mode, "mode"));
    // Each by its own `train`, which may keep a part frozen.
    for (const child of this.children()) child.train(on);
    return this;
  }

  /** Puts this module and all inside it into evaluation mode. */
  eval(): this {
    return this.train(false);
  }

  /** Registers a child under a new name: it becomes the property of that name. */
  registerModule(name: string, module: Module | null): void {
    checkMember(this, name, "module", module);
    if (module === null) this[STATE].vacant.add(name);
    register(this, name, module);
  }

  /** The same as {@link registerModule}. */
  addModule(name: string, module: Module | null): void {
    this.registerModule(name, module);
  }

  /** Registers a parameter under a new name, or in place of another. */
  registerParameter(name: string, parameter: Parameter | null): void {
    checkMember(this, name, "parameter", parameter);
    register(this, name, parameter);
  }

  /**
   * Registers a tensor that is part of the module's state but not learned, as the property `name`. It is saved in
   * the state dict unless `persistent` is false.
   */
  registerBuffer(name: string, tensor: Tensor | null, persistent: Flag<"persistent"> = true): void {
    checkMember(this, name, "buffer", tensor);
    this[STATE].buffers.set(name, { persistent: flag(persistent, "persistent") });
    register(this, name, tensor?.persist() ?? null);
  }

  /** @internal The name of a property in paths and state dicts. */
  keyOf(property: string): string {
    return keyIn((this.constructor as typeof Module).stateDictNames, property);
  }

  /** @internal Own members that are modules; null for names registered without one. */
  ownChildren(): [key: string, module: Module | null][] {
    const { vacant } = this[STATE];
    const out: [string, Module | null][] = [];
    for (const [property, value] of properties(this)) {
      if (value instanceof Module) out.push([this.keyOf(property), value]);
      else if (value === null && vacant.has(property)) out.push([this.keyOf(property), null]);
    }
    return out;
  }

  /** @internal */
  ownParameters(): [key: string, parameter: Parameter][] {
    const out: [string, Parameter][] = [];
    for (const [property, value] of properties(this))
      if (value instanceof Parameter) out.push([this.keyOf(property), value]);
    return out;
  }

  /** @internal */
  ownBuffers(persistentOnly = false): [key: string, buffer: Tensor][] {
    const { buffers } = this[STATE];
    for (const [property, value] of properties(this))
      if (value instanceof Buffer && !buffers.has(property)) buffers.set(property, value);
    const out: [string, Tensor][] = [];
    for (const [property, { persistent }] of buffers) {
      const value = (this as unknown as Record<string, unknown>)[property];
      if (value instanceof Tensor && (persistent || !persistentOnly)) out.push([this.keyOf(property), value]);
    }
    return out;
  }

  /** Direct children with their names. A module that has two names appears once. */
  namedChildren(): [name: string, module: Module][] {
    return distinct(this.ownChildren());
  }

  children(): Module[] {
    return this.namedChildren().map(([, module]) => module);
  }

  /** This module (named `prefix`, "" by default) and all inside it, each once, with their dotted paths. */
  namedModules(
    prefix: string | { prefix?: string; removeDuplicate?: boolean } = "",
  ): [path: string, module: Module][] {
    return modulesWithin(this, typeof prefix === "string" ? { prefix } : prefix);
  }

  modules(options: { removeDuplicate?: boolean } = {}): Module[] {
    return this.namedModules(options).map(([, module]) => module);
  }

  /** All parameters with their dotted paths; a shared one appears once, under its first name. */
  namedParameters(
    prefix: string | MemberOptions = "",
    recurse = true,
  ): [path: string, parameter: Parameter][] {
    return members(this, prefix, recurse, (module) => module.ownParameters());
  }

  override parameters(recurse: Flag<"recurse"> = true): Parameter[] {
    return this.namedParameters("", flag(recurse, "recurse")).map(([, parameter]) => parameter);
  }

  namedBuffers(prefix: string | MemberOptions = "", recurse = true): [path: string, buffer: Tensor][] {
    return members(this, prefix, recurse, (module) => module.ownBuffers());
  }

  override buffers(recurse: Flag<"recurse"> = true): Tensor[] {
    return this.namedBuffers("", flag(recurse, "recurse")).map(([, buffer]) => buffer);
  }

  /**
   * The module at a dotted path; this one for "".
   * @throws TensorError "Net has no attribute `fc3`"
   */
  getSubmodule(target: string): Module {
    return submodule(this, target);
  }

  /** Replaces the module at a dotted path; with `strict` there must be one. */
  setSubmodule(target: string, module: Module, strict: Flag<"strict"> = false): void {
    replaceSubmodule(this, target, module, flag(strict, "strict", false));
  }

  /**
   * The parameter at a dotted path.
   * @throws TensorError "`weight` is not an nn.Parameter"
   */
  getParameter(target: string): Parameter {
    return parameterAt(this, target);
  }

  /**
   * The buffer at a dotted path.
   * @throws TensorError "`weight` is not a buffer"
   */
  getBuffer(target: string): Tensor {
    return bufferAt(this, target);
  }

  /** @internal The member that a name in paths and state dicts stands for. */
  member(key: string): unknown {
    return properties(this).find(([property]) => this.keyOf(property) === key)?.[1];
  }

  /** @internal Replaces a member. */
  replaceMember(key: string, value: unknown): void {
    const property = properties(this).find(([name]) => this.keyOf(name) === key)?.[0] ?? key;
    setProperty(this, property, value);
  }

  /** Calls `visit` on every child's children first, then on this module. */
  apply(visit: (module: Module) => void): this {
    for (const child of this.children()) child.apply(visit);
    visit(this);
    return this;
  }

  /** Whether `backward()` computes gradients of this module's parameters. */
  requiresGrad_(requiresGrad: boolean | { requiresGrad?: boolean } = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad_(requiresGrad);
    return this;
  }

  /** Clears all gradients; with `setToNone` false, existing ones become zeros, in place. */
  zeroGrad(setToNone: boolean | { setToNone?: boolean } = true): void {
    zeroGradients(this.parameters(), setToNone);
  }

  /**
   * All parameters and persistent buffers by PyTorch's names: own parameters, own buffers, then children. The tensors
   * follow the model; copy them (`t.clone()`) to keep their current values.
   * @throws TensorError when two fields have one name: see {@link stateDictNames}
   */
  stateDict(prefix: string | { prefix?: string } = ""): Map<string, Tensor> {
    return stateOf(this, typeof prefix === "string" ? prefix : (prefix.prefix ?? ""));
  }

  /**
   * Copies the tensors of a state dict into this module; those that fit even if others are an error. With `assign` they
   * replace the module's own; `strict` false allows missing and unexpected entries.
   * @returns the entries that didn't match; prints `<All keys matched successfully>` when all did
   * @throws TensorError "Error(s) in loading state_dict for …", with every missing, unexpected or misshapen entry
   */
  loadStateDict(state: StateDict, strict: LoadOptions | boolean = true, assign = false): LoadReport {
    return loadInto(this, state, typeof strict === "boolean" ? { strict, assign } : strict);
  }

  /** @internal Own state, for the walk of {@link loadStateDict}. */
  ownState(): [key: string, tensor: Tensor][] {
    return [...this.ownParameters(), ...this.ownBuffers(true)];
  }

  /** @internal Whether a state dict that lacks this entry is complete all the same. */
  mayLack(_key: string): boolean {
    return false;
  }

  /** Runs `hook` before every call of this module; `withKwargs`: with the object passed last, and `[args, kwargs]` returned. */
  registerForwardPreHook(hook: hooks.ForwardPreHookWithKwargs, options: hooks.WithKwargs): RemovableHandle;
  registerForwardPreHook(hook: hooks.ForwardPreHook, options?: HookOptions): RemovableHandle;
  registerForwardPreHook(hook: hooks.AnyPreHook, options?: HookOptions): RemovableHandle {
    return this[STATE].beforeForward.add(hooks.preHookOfList(hook, options), options);
  }

  /** Runs `hook` after every call of this module; `withKwargs`: as `(module, args, kwargs, output)`. */
  registerForwardHook(hook: hooks.ForwardHookWithKwargs, options: hooks.WithKwargs): RemovableHandle;
  registerForwardHook(hook: hooks.ForwardHook, options?: HookOptions): RemovableHandle;
  registerForwardHook(hook: hooks.AnyHook, options?: HookOptions): RemovableHandle {
    return this[STATE].afterForward.add(hooks.hookOfList(hook, options), options);
  }

  /** Runs `hook` whenever the gradients of a call's results are ready, before those of its arguments are computed. */
  registerFullBackwardPreHook(hook: hooks.BackwardPreHook, options?: HookOptions): RemovableHandle {
    return this[STATE].beforeBackward.add(hook, options);
  }

  /** Runs `hook`, `(module, gradInput, gradOutput)`, when gradients of a call's arguments are ready; it may replace them. */
  registerFullBackwardHook(hook: hooks.BackwardHook, options?: HookOptions): RemovableHandle {
    return this[STATE].afterBackward.add(hook, options);
  }

  /** Does nothing, as {@link compile}: every step that repeats is compiled anyway. */
  compile(options: CompileOptions = {}): void {
    compile(this, options);
  }

  /** Text between the brackets when the module is printed. */
  extraRepr(): string {
    return "";
  }

  /** Children as `[name, text]`, the way print shows them. */
  protected childTexts(): [name: string, text: string][] {
    return this.ownChildren().map(([key, child]) => [key, child === null ? "None" : child.toString()]);
  }

  /** The text of PyTorch's `print(model)`. */
  override toString(): string {
    return treeText(this.constructor.name, this.extraRepr(), this.childTexts());
  }

  [INSPECT](): string {
    return this.toString();
  }
}

/** A module of one tensor to one tensor: what Sequential chains. */
export interface Layer extends Module {
  forward(input: Tensor): Tensor;
}

/** Base class of PyTorch's own modules, whose names in state dicts are PyTorch's: `weightIhL0` is `weight_ih_l0`. */
export abstract class BuiltIn extends Module {
  static override readonly stateDictNames: StateDictNames = "snake_case";
}
