import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { Module, type Given, type Layer, type Result } from "../../module/module.ts";
import { exposePositions, properties } from "../../module/moduleMembers.ts";

type Input<L extends readonly Module[]> = L extends readonly [infer F extends Module, ...Module[]]
  ? Given<F>
  : [input: Tensor];
type Output<L extends readonly Module[]> = L extends readonly [...Module[], infer E extends Module]
  ? Result<E>
  : Tensor;

/** Layers of a list whose length and classes are known; others are taken for functions of one tensor. */
type Known<L extends readonly Module[]> = number extends L["length"]
  ? readonly L[number][] & readonly Layer[]
  : L;

/** Positions at which a layer is of the class that was given there. */
type Position = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19;
type Positions<L extends readonly Module[]> = { [I in Position]: L[I] };

/** The class of the last layer, where it is known. */
type Last<L extends readonly Module[]> = L extends readonly [...Module[], infer M] ? M : L[number];

/** Position counted from the front. */
function position(index: number, length: number): number {
  const at = index < 0 ? index + length : index;
  if (!Number.isInteger(index) || at < 0 || at >= length) {
    throw new TensorError(
      "index",
      `index ${index} is out of range`,
      Number.isInteger(index) ? undefined : "write layers.slice(start, end) for a part",
    );
  }
  return at;
}

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only a merged type has the layers at their positions
export interface Sequential<L extends readonly Module[] = readonly Layer[]> extends Positions<L> {}

/** Replaces a container's layers; the new ones are named by their positions. */
function relist(container: Module, layers: readonly Module[]): void {
  for (const [name, member] of properties(container))
    if (member instanceof Module) Reflect.deleteProperty(container, name);
  for (const [i, layer] of layers.entries()) container.registerModule(String(i), layer);
}

/** Puts a layer in front of a position; negative ones count from the end. */
function insertInto(container: Module & Iterable<Module>, index: number, layer: Module): void {
  if (!(layer instanceof Module)) {
    throw new TensorError("value", `module should be of type: ${describe(layer)} is not a Module subclass`);
  }
  const layers = [...container];
  if (!Number.isInteger(index) || Math.abs(index) > layers.length) {
    throw new TensorError("index", `Index out of range: ${index}`);
  }
  relist(container, layers.toSpliced(index, 0, layer));
}

/** Takes a layer out of a container, whose other layers are then named by their positions. */
function popFrom<M extends Module>(container: Module & Iterable<M>, index: number): M {
  const layers = [...container];
  const at = position(index, layers.length);
  relist(container, layers.toSpliced(at, 1));
  return layers[at]!;
}

/** Gives a part of a container the container's class: its `forward` and methods, without a call of a constructor that may want others. */
const ofClass = <M extends Module>(whole: Module, part: M): M =>
  Object.setPrototypeOf(part, Object.getPrototypeOf(whole) as object) as M;

/**
 * Modules called one after the other.
 *
 * ```ts
 * new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 3));
 * new nn.Sequential({ hidden: new nn.Linear(4, 8), out: new nn.Linear(8, 3) });
 * ```
 */
export class Sequential<L extends readonly Module[] = readonly Layer[]> extends Module {
  [index: number]: L[number];

  constructor();
  constructor(...layers: Known<L>);
  constructor(...layers: readonly Module[]);
  constructor(named: Readonly<Record<string, Module>> | ReadonlyMap<string, Module>);
  constructor(...args: readonly unknown[]) {
    super();
    for (const [name, module] of namedModules(args)) this.registerModule(name, module);
  }

  override get length(): number {
    return this.ownChildren().length;
  }

  /** The layer at a position; negative ones count from the end. */
  get(index: -1): Last<L>;
  get(index: number): L[number];
  get(index: number): L[number] {
    const layers = [...this];
    return layers[position(index, layers.length)]!;
  }

  /** The same as {@link get}, under its name in arrays. */
  at(index: -1): Last<L>;
  at(index: number): L[number];
  at(index: number): L[number] {
    return this.get(index);
  }

  /** Positions and layers: Python's `enumerate(layers)`. */
  entries(): IterableIterator<[index: number, layer: L[number]]> {
    return [...this].entries();
  }

  /**
   * The layers from a position up to, not including, another: PyTorch's `layers[start:end]`. They are shared, not copied. The result is
   * of this class, too.
   */
  slice(start?: number, end?: number): Sequential {
    const named = this.namedChildren().slice(start, end);
    return ofClass(this, new Sequential<readonly Layer[]>(new Map(named)));
  }

  /** Adds a layer at the end. */
  append(layer: Module): this {
    this.registerModule(String(this.length), layer);
    return this;
  }

  /** Adds layers at the end. */
  extend(layers: Iterable<Module>): this {
    for (const layer of layers) this.append(layer);
    return this;
  }

  /**
   * Puts a layer in front of a position; all layers are then named by their positions.
   * @throws TensorError "Index out of range: 5"
   */
  insert(index: number, layer: Module): this {
    insertInto(this, index, layer);
    return this;
  }

  /**
   * Removes and returns the layer at a position; the others are then named by their positions.
   * @throws TensorError "index 5 is out of range"
   */
  pop(index = -1): L[number] {
    return popFrom<L[number]>(this, index);
  }

  [Symbol.iterator](): IterableIterator<L[number]> {
    const layers = properties(this).flatMap(([, member]) => (member instanceof Module ? [member] : []));
    return layers[Symbol.iterator]();
  }

  forward(...input: Input<L>): Output<L> {
    let args: readonly unknown[] = input;
    for (const layer of this) args = [(layer as unknown as (...input: unknown[]) => unknown)(...args)];
    return args[0] as Output<L>;
  }
}

exposePositions(Sequential.prototype, (module) => module.ownChildren());

/** The layers of a Sequential by name: their positions, unless names are given. */
function namedModules(args: readonly unknown[]): [string, Module][] {
  const [first] = args;
  if (args.length === 1 && !(first instanceof Module)) {
    return first instanceof Map
      ? [...(first as ReadonlyMap<string, Module>)]
      : Object.entries(first as Readonly<Record<string, Module>>);
  }
  return args.map((module, i) => {
    if (module instanceof Module) return [String(i), module];
    throw new TensorError("value", `${describe(module)} is not a Module subclass`);
  });
}

/** Type of a value, for messages: "null", or its `typeof`. */
export const describe = (value: unknown): string => (value === null ? "null" : typeof value);

/**
 * A list of modules, called by your own `forward`. An ordinary array would hide them from `parameters()`.
 *
 * ```ts
 * class Stack extends nn.Module {
 *   layers = new nn.ModuleList([new nn.Linear(4, 4), new nn.Linear(4, 2)]);
 *   forward(x: Tensor): Tensor {
 *     for (const layer of this.layers) x = layer(x);
 *     return x;
 *   }
 * }
 * new Stack()(torch.randn(3, 4)).shape; // [3, 2]
 * ```
 */
export class ModuleList<M extends Module = Layer> extends Module {
  [index: number]: M;

  constructor(modules: Iterable<M> = []) {
    super();
    this.extend(modules);
  }

  override get length(): number {
    return this.ownChildren().length;
  }

  /** The module at a position; negative ones count from the end. */
  get(index: number): M {
    return this[position(index, this.length)]!;
  }

  /** The same as {@link get}, under its name in arrays. */
  at(index: number): M {
    return this.get(index);
  }

  /**
   * The modules from a position up to, not including, another: PyTorch's `modules[start:end]`. They are shared, not copied. The result is
   * of this class, too.
   */
  slice(start?: number, end?: number): this {
    return ofClass(this, new ModuleList([...this].slice(start, end)) as this);
  }

  append(module: M): this {
    if (!(module instanceof Module)) {
      throw new TensorError("value", `${describe(module)} is not a Module subclass`);
    }
    this.registerModule(String(this.length), module);
    return this;
  }

  extend(modules: Iterable<M>): this {
    for (const module of modules) this.append(module);
    return this;
  }

  /**
   * Puts a module in front of a position.
   * @throws TensorError "Index out of range: 5"
   */
  insert(index: number, module: M): void {
    insertInto(this, index, module);
  }

  /**
   * Removes and returns the module at a position; later ones move up.
   * @throws TensorError "index 5 is out of range"
   */
  pop(index = -1): M {
    return popFrom<M>(this, index);
  }

  *[Symbol.iterator](): IterableIterator<M> {
    for (const [, module] of this.ownChildren()) yield module as M;
  }

  /** Positions and modules: Python's `enumerate(modules)`. */
  entries(): IterableIterator<[index: number, module: M]> {
    return [...this].entries();
  }

  /** @throws TensorError: a list has no order of computation */
  forward(..._input: never[]): unknown {
    throw new TensorError(
      "value",
      `Module [${this.constructor.name}] is missing the required "forward" function`,
    );
  }

  /** Neighbours that print the same are one line: `(0-3): 4 x Linear(…)`. */
  protected override childTexts(): [name: string, text: string][] {
    const texts = super.childTexts();
    const runs: { first: number; last: number; text: string }[] = [];
    texts.forEach(([, text], i) => {
      const run = runs[runs.length - 1];
      if (run?.text === text) run.last = i;
      else runs.push({ first: i, last: i, text });
    });
    return runs.map(({ first, last, text }) =>
      first === last ? [String(first), text] : [`${first}-${last}`, `${last - first + 1} x ${text}`],
    );
  }
}

exposePositions(ModuleList.prototype, (module) => module.ownChildren());
