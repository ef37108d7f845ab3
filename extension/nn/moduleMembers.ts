// Walks over a module's members, and paths to them.
import { TensorError } from "../tensor/errors.ts";
import { Parameter, type Tensor } from "../tensor/tensor.ts";
import type { Module } from "./module.ts";
import { join } from "./moduleCall.ts";

export interface MemberOptions {
  /** What paths begin with. Default "". */
  prefix?: string;
  /** Whether modules inside are visited. Default true. */
  recurse?: boolean;
  /** Whether what has several names appears once. Default true. */
  removeDuplicate?: boolean;
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
 * Makes an entry of a dictionary a property, which walks of the module's own don't meet. A name that is taken, such as a
 * method's, stays what it is.
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

/** Removes the property of an entry. */
export function hideEntry(dict: Module, name: string): void {
  if (Object.getOwnPropertyDescriptor(dict, name)?.get !== undefined) Reflect.deleteProperty(dict, name);
}

/** Own properties in the order of their declaration. */
export const properties = (module: Module): [string, unknown][] => Object.entries(module);

export function setProperty(module: Module, name: string, value: unknown): void {
  Object.defineProperty(module, name, { value, writable: true, enumerable: true, configurable: true });
}

/** @throws TensorError for a name that a member can't have */
export function checkName(module: Module, name: string, kind: string): void {
  if (name === "") throw new TensorError("value", `${kind} name can't be empty string ""`);
  if (name.includes(".")) {
    const got = kind === "module" ? `, got: ${name}` : "";
    throw new TensorError("value", `${kind} name can't contain "."${got}`);
  }
  const held = (module as unknown as Record<string, unknown>)[name];
  if (held !== undefined && held !== null)
    throw new TensorError("value", `attribute '${name}' already exists`);
}
