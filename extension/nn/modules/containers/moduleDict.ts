import { TensorError } from "../../../tensor/core/errors.ts";
import { Module, type Layer } from "../../module/module.ts";
import { checkMember, exposeEntry, hideEntry } from "../../module/moduleMembers.ts";
import { describe } from "./containers.ts";

/** What a dictionary is made of: an object, a Map, another dictionary, or pairs, such as those of `namedChildren()`. */
export type ModuleEntries<M extends Module> =
  | Readonly<Record<string, M>>
  | ReadonlyMap<string, M>
  | ModuleDict<M>
  | Iterable<readonly [name: string, module: M]>;

function entriesOf<M extends Module>(modules: ModuleEntries<M>): (readonly [string, M])[] {
  // Its iterator has the names alone.
  if (modules instanceof ModuleDict) return modules.items();
  if (!(Symbol.iterator in modules)) return Object.entries(modules);
  return Array.from(modules as Iterable<readonly [string, M]>, (pair, i) => {
    if (Array.isArray(pair) && pair.length === 2) return pair;
    const got = Array.isArray(pair) ? `has length ${pair.length}` : `is ${describe(pair)}`;
    throw new TensorError(
      "value",
      `ModuleDict update sequence element #${i} ${got}; a pair of a name and a module is required`,
    );
  });
}

const MODULES: unique symbol = Symbol("layerwise.modules");

/**
 * Modules by name, called by your own `forward`. Each is a property too, unless a method has its name.
 *
 * ```ts
 * const heads = new nn.ModuleDict({ label: new nn.Linear(4, 3), value: new nn.Linear(4, 1) });
 * heads.label(torch.randn(2, 4)).shape; // [2, 3]; also heads["label"], heads.get("label")
 * [...heads.keys()]; // ["label", "value"]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleDict.html
 */
export class ModuleDict<M extends Module = Layer> extends Module {
  // A Map: among properties, those with whole numbers as names would come first.
  readonly [MODULES] = new Map<string, M>();

  constructor(modules: ModuleEntries<M> = {}) {
    super();
    this.update(modules);
  }

  get size(): number {
    return this[MODULES].size;
  }

  /** The names, as a loop over a dict gives them in Python. */
  [Symbol.iterator](): IterableIterator<string> {
    return this[MODULES].keys();
  }

  /** @throws TensorError when there is no module of that name */
  get(name: string): M {
    const module = this[MODULES].get(name);
    if (module === undefined) throw new TensorError("index", `no module is named '${name}'`);
    return module;
  }

  set(name: string, module: M): this {
    if (!(module instanceof Module)) {
      throw new TensorError("value", `${describe(module)} is not a Module subclass`);
    }
    if (name === "" || name.includes(".")) {
      throw new TensorError("value", `module name can't be empty or contain ".", got: "${name}"`);
    }
    this[MODULES].set(name, module);
    exposeEntry(this, name, MODULES);
    return this;
  }

  has(name: string): boolean {
    return this[MODULES].has(name);
  }

  delete(name: string): boolean {
    hideEntry(this, name);
    return this[MODULES].delete(name);
  }

  clear(): void {
    for (const name of this.keys()) this.delete(name);
  }

  /**
   * Removes and returns the module of a name.
   * @throws TensorError when there is no module of that name
   */
  pop(name: string): M {
    const module = this.get(name);
    this.delete(name);
    return module;
  }

  /**
   * Adds modules by name, replacing those with the same names.
   * @throws TensorError when a list has anything but pairs of a name and a module
   */
  update(modules: ModuleEntries<M>): this {
    for (const [name, module] of entriesOf(modules)) this.set(name, module);
    return this;
  }

  keys(): string[] {
    return [...this[MODULES].keys()];
  }

  values(): M[] {
    return [...this[MODULES].values()];
  }

  items(): [name: string, module: M][] {
    return [...this[MODULES]];
  }

  /** Adds a module under a new name, as `set` does. */
  override registerModule(name: string, module: Module | null): void {
    if (module === null) return super.registerModule(name, module);
    checkMember(this, name, "module", module);
    this.set(name, module as M);
  }

  /** @internal */
  override ownChildren(): [key: string, module: Module | null][] {
    return [...this.items(), ...super.ownChildren()];
  }

  /** @internal */
  override member(key: string): unknown {
    return this[MODULES].get(key) ?? super.member(key);
  }

  /** @internal */
  override replaceMember(key: string, value: unknown): void {
    if (super.member(key) === undefined) this.set(key, value as M);
    else super.replaceMember(key, value);
  }

  /** @throws TensorError: a dictionary has no order of computation */
  forward(..._input: never[]): unknown {
    throw new TensorError(
      "value",
      `Module [${this.constructor.name}] is missing the required "forward" function`,
    );
  }
}
