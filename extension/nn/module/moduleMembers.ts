// Walks over a module's members, and paths to them.
import { kindOf, TensorError } from "../../tensor/core/errors.ts";
import { SCALAR_TYPE } from "../../tensor/core/dtype.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";
import { isElement } from "../../tensor/core/tensorLike.ts";
import type { Module } from "./module.ts";
import { join, STATE } from "./moduleCall.ts";
import { snakeCase } from "./repr.ts";

export interface MemberOptions {
  /** Prefix of paths. Default "". */
  prefix?: string;
  /** Whether modules inside are visited. Default true. */
  recurse?: boolean;
  /** Whether a member with several names appears once. Default true. */
  removeDuplicate?: boolean;
}

/** A switch, by position or by its name. */
export type Flag<Name extends string> = boolean | { readonly [K in Name]?: boolean | undefined };

export const flag = <Name extends string>(given: Flag<Name>, name: Name, otherwise = true): boolean =>
  typeof given === "boolean" ? given : (given[name] ?? otherwise);

/**
 * Names of fields in state dicts: see `Module.stateDictNames`. Any text passes: TypeScript widens that of a static field.
 */
export type StateDictNames = string | Readonly<Record<string, string>>;

/**
 * The name of a property in paths and state dicts.
 * @throws TensorError "stateDictNames is 'camelCase': it must be 'snake_case' or an object of names"
 */
export function keyIn(names: StateDictNames | undefined, property: string): string {
  if (names === undefined) return property;
  if (typeof names !== "string") return names[property] ?? property;
  if (names === "snake_case") return snakeCase(property);
  throw new TensorError(
    "value",
    `stateDictNames is '${names}': it must be 'snake_case' or an object of names`,
  );
}

/** The property that a name stands for: its own, or the one that paths and state dicts have, such as "weight_hh_l0". */
export function fieldOf(module: Module, name: string): string {
  if (name in module) return name;
  return Object.getOwnPropertyNames(module).find((property) => module.keyOf(property) === name) ?? name;
}

/** Each module under its first name. */
export function distinct(children: readonly [string, Module | null][]): [string, Module][] {
  const seen = new Set<Module>();
  return children.filter((entry): entry is [string, Module] => {
    const module = entry[1];
    if (module === null || seen.has(module)) return false;
    seen.add(module);
    return true;
  });
}

/**
 * Demands that no module is inside of itself, as one with its parent as a property is.
 * @throws TensorError naming the properties: in PyTorch too, train() and print() would call themselves without an end
 */
export function demandNoCircle(root: Module): void {
  const above = new Set<Module>();
  const seen = new Set<Module>();
  const visit = (path: string, module: Module): void => {
    if (above.has(module))
      throw new TensorError(
        "value",
        `${root.constructor.name}: the module at ${path} is inside of itself`,
        "a property with a module is a child; keep one that isn't in a #private field",
      );
    if (seen.has(module)) return;
    seen.add(module);
    above.add(module);
    for (const [key, child] of module.ownChildren())
      if (child !== null) visit(path === "" ? key : `${path}.${key}`, child);
    above.delete(module);
  };
  visit("", root);
}

/** A module and all inside it, with their paths. */
export function modulesWithin(
  root: Module,
  { prefix = "", removeDuplicate = true }: { prefix?: string; removeDuplicate?: boolean },
): [path: string, module: Module][] {
  const out: [string, Module][] = [];
  const seen = new Set<Module>();
  const visit = (path: string, module: Module): void => {
    if (seen.has(module)) return;
    if (removeDuplicate) seen.add(module);
    out.push([path, module]);
    for (const [key, child] of module.ownChildren()) if (child !== null) visit(join(path, key), child);
  };
  visit(prefix, root);
  return out;
}

/** Members of a module and, unless told otherwise, of all inside it, each once, under its first path. */
export function members<T>(
  module: Module,
  prefix: string | MemberOptions,
  recurses: boolean,
  own: (module: Module) => [string, T][],
): [string, T][] {
  const options: MemberOptions = typeof prefix === "string" ? { prefix } : prefix;
  const { prefix: path = "", recurse = recurses, removeDuplicate = true } = options;
  const out: [string, T][] = [];
  const seen = new Set<T>();
  const walked: [string, Module][] = recurse
    ? module.namedModules({ prefix: path, removeDuplicate })
    : [[path, module]];
  for (const [at, owner] of walked) {
    for (const [key, member] of own(owner)) {
      if (seen.has(member)) continue;
      if (removeDuplicate) seen.add(member);
      out.push([join(at, key), member]);
    }
  }
  return out;
}

/** @throws TensorError "Net has no attribute `fc3`" */
function lacking(module: Module, name: string): never {
  throw new TensorError("value", `${module.constructor.name} has no attribute \`${name}\``);
}

export function submodule(module: Module, target: string): Module {
  let at = module;
  for (const name of target === "" ? [] : target.split(".")) {
    const next = at.ownChildren().find(([key, child]) => key === name && child !== null)?.[1];
    if (!next) {
      if (at.member(name) === undefined) lacking(at, name);
      throw new TensorError("value", `\`${name}\` is not an nn.Module`);
    }
    at = next;
  }
  return at;
}

/** The module that has the last part of a path as a member, and that part. */
function ownerOf(module: Module, target: string): [owner: Module, name: string] {
  const at = target.lastIndexOf(".");
  return [submodule(module, at < 0 ? "" : target.slice(0, at)), target.slice(at + 1)];
}

export function replaceSubmodule(module: Module, target: string, next: Module, strict: boolean): void {
  if (target === "") throw new TensorError("value", "Cannot set the submodule without a target name!");
  const [owner, name] = ownerOf(module, target);
  const present = owner.ownChildren().some(([key]) => key === name);
  if (strict && !present) lacking(owner, name);
  if (!present && owner.member(name) !== undefined) {
    throw new TensorError("value", `\`${name}\` is not an nn.Module`);
  }
  owner.replaceMember(name, next);
}

export function parameterAt(module: Module, target: string): Parameter {
  const [owner, name] = ownerOf(module, target);
  const found = owner.member(name);
  if (found === undefined) lacking(owner, name);
  if (found instanceof Parameter) return found;
  throw new TensorError("value", `\`${name}\` is not an nn.Parameter`);
}

export function bufferAt(module: Module, target: string): Tensor {
  const [owner, name] = ownerOf(module, target);
  if (owner.member(name) === undefined) lacking(owner, name);
  const found = owner.ownBuffers().find(([key]) => key === name);
  if (found !== undefined) return found[1];
  throw new TensorError("value", `\`${name}\` is not a buffer`);
}

/**
 * Makes an entry of a dictionary a property, which the module's own walks skip. A name that is taken, such as a
 * method's, keeps its meaning.
 */
export function exposeEntry<S extends symbol>(
  dict: Module & { readonly [K in S]: ReadonlyMap<string, unknown> } & {
    set(name: string, value: never): unknown;
  },
  name: string,
  entries: S,
): void {
  if (name in dict) return;
  type Dict = typeof dict;
  Object.defineProperty(dict, name, {
    get(this: Dict): unknown {
      return this[entries].get(name);
    },
    set(this: Dict, value: never): void {
      this.set(name, value);
    },
    enumerable: false,
    configurable: true,
  });
}

/** How far from either end a position is a property. */
const REACH = 256;

/**
 * Makes positions properties of a class of containers, as PyTorch's index has them: `layers[-1]`, and `layers[0]` where
 * the names are others. Members whose names are their positions are found without it.
 */
export function exposePositions(
  prototype: Module,
  ordered: (module: Module) => [key: string, member: unknown][],
): void {
  for (let i = -REACH; i < REACH; i++) {
    const found = (module: Module): [string, unknown] | undefined => ordered(module).at(i);
    Object.defineProperty(prototype, String(i), {
      get(this: Module): unknown {
        return found(this)?.[1];
      },
      set(this: Module, value: unknown): void {
        const key = found(this)?.[0];
        if (key === undefined) throw new TensorError("index", `index ${i} is out of range`);
        this.replaceMember(key, value);
      },
      enumerable: false,
      configurable: true,
    });
  }
}

/** Removes the property of an entry. */
export function hideEntry(dict: Module, name: string): void {
  if (Object.getOwnPropertyDescriptor(dict, name)?.get !== undefined) Reflect.deleteProperty(dict, name);
}

/** Own properties in the order of their declaration or registration. */
export function properties(module: Module): [string, unknown][] {
  const values = module as unknown as Record<string, unknown>;
  const entries: [string, unknown][] = [];
  // Less than half the time of `Object.entries`: loops ask for the parameters of all modules in each step.
  for (const name of Object.keys(values)) entries.push([name, values[name]]);
  const { order } = module[STATE];
  if (order === undefined) return entries;
  const known = order.filter((name) => Object.hasOwn(module, name));
  const first = new Set(known);
  return [
    ...known.map((name): [string, unknown] => [name, values[name]]),
    ...entries.filter(([name]) => !first.has(name)),
  ];
}

/** Makes a member a property, after those that are there. */
export function register(module: Module, name: string, value: unknown): void {
  const before = /^\d+$/.test(name) ? properties(module) : undefined;
  setProperty(module, name, value);
  if (before === undefined || Object.keys(module).pop() === name) return;
  module[STATE].order = [...before.map(([key]) => key).filter((key) => key !== name), name];
}

export function setProperty(module: Module, name: string, value: unknown): void {
  Object.defineProperty(module, name, { value, writable: true, enumerable: true, configurable: true });
}

/** @throws TensorError for what is neither a tensor nor null */
export function checkBuffer(name: string, tensor: unknown): void {
  if (tensor === null || tensor === undefined || isElement(tensor)) return;
  throw new TensorError(
    "value",
    `cannot assign '${kindOf(tensor)}' object to buffer '${name}' (torch Tensor or None required)`,
  );
}

const isModule = (value: unknown): boolean =>
  (typeof value === "object" || typeof value === "function") && value !== null && STATE in value;

/** PyTorch's name of a value's type: "torch.FloatTensor". */
export const typeName = (value: unknown): string =>
  value instanceof Tensor ? `torch.${SCALAR_TYPE[value.dtype]}Tensor` : kindOf(value);

type MemberKind = "module" | "parameter" | "buffer";

/** @throws TensorError for a name that a member can't have or that another kind of member has, or what isn't of that kind */
export function checkMember(module: Module, name: string, kind: MemberKind, value: unknown): void {
  checkFree(module, name, kind);
  if (kind === "buffer") return checkBuffer(name, value);
  if (value === null || value === undefined) return;
  if (kind === "module" && !isModule(value)) {
    throw new TensorError("value", `${typeName(value)} is not a Module subclass`);
  }
  if (kind === "parameter" && !(value instanceof Parameter)) {
    throw new TensorError(
      "value",
      `cannot assign '${typeName(value)}' object to parameter '${name}' (torch.nn.Parameter or None required)`,
    );
  }
}

function checkFree(module: Module, name: string, kind: MemberKind): void {
  if (name === "") throw new TensorError("value", `${kind} name can't be empty string ""`);
  if (name.includes(".")) {
    const got = kind === "module" ? `, got: ${name}` : "";
    throw new TensorError("value", `${kind} name can't contain "."${got}`);
  }
  const held = (module as unknown as Record<string, unknown>)[name];
  if (held === undefined || held === null) return;
  const replaced = {
    module: () => isModule(held),
    parameter: () => held instanceof Parameter,
    buffer: () => module[STATE].buffers.has(name),
  };
  if (!replaced[kind]()) throw new TensorError("value", `attribute '${name}' already exists`);
}
