import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { formatDims } from "../../../tensor/core/shape.ts";
import { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { Module } from "../../module/module.ts";
import { exposeEntry, exposePositions, hideEntry } from "../../module/moduleMembers.ts";

const asParameter = (x: Tensor): Parameter => (x instanceof Parameter ? x : new Parameter(x));

/** One line for each member, as PyTorch prints them. */
function lines(
  members: Iterable<readonly [name: string, parameter: Parameter]>,
  type: (p: Parameter) => string,
): string {
  return Array.from(
    members,
    ([name, p]) => `  (${name}): Parameter containing: [${type(p)} of size ${formatDims(p.shape)}]`,
  ).join("\n");
}

/**
 * A list of parameters; other tensors become parameters. An ordinary array would hide them from `parameters()`.
 *
 * ```ts
 * const weights = new nn.ParameterList([torch.randn(3, 4), torch.randn(4)]);
 * weights.get(0).shape; // [3, 4]
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterList.html
 */
export class ParameterList extends Module {
  [index: number]: Parameter;

  constructor(values: Iterable<Tensor> = []) {
    super();
    this.extend(values);
  }

  override get length(): number {
    return this.ownParameters().length;
  }

  /**
   * The parameter at a position; negative ones count from the end.
   * @throws TensorError "index 3 is out of range"
   */
  get(index: number): Parameter {
    return this[this.position(index)]!;
  }

  /** {@link get} under the name that arrays have for it. */
  at(index: number): Parameter {
    return this.get(index);
  }

  set(index: number, value: Tensor): this {
    this.replaceMember(String(this.position(index)), asParameter(value));
    return this;
  }

  private position(index: number): number {
    const { length } = this;
    const at = index < 0 ? index + length : index;
    if (Number.isInteger(at) && at >= 0 && at < length) return at;
    throw new TensorError("index", `index ${index} is out of range`);
  }

  append(value: Tensor): this {
    this.registerParameter(String(this.length), asParameter(value));
    return this;
  }

  /** @throws TensorError "ParameterList.extend should be called with an iterable, but got Tensor" */
  extend(values: Iterable<Tensor>): this {
    if (values instanceof Tensor) {
      throw new TensorError(
        "value",
        "ParameterList.extend should be called with an iterable, but got Tensor",
      );
    }
    for (const value of values) this.append(value);
    return this;
  }

  *[Symbol.iterator](): IterableIterator<Parameter> {
    for (const [, parameter] of this.ownParameters()) yield parameter;
  }

  override extraRepr(): string {
    return lines(this.ownParameters(), (p) => `torch.${p.dtype}`);
  }

  /** @throws TensorError: a list computes nothing */
  forward(..._input: never[]): unknown {
    throw new TensorError("value", "ParameterList should not be called.");
  }
}

exposePositions(ParameterList.prototype, (module) => module.ownParameters());

const PARAMETERS: unique symbol = Symbol("layerwise.parameters");

/**
 * Parameters by name; other tensors become parameters. Each is a property too, unless a method has its name. A plain object is ordered by name, a Map and a list of pairs as
 * they are, as PyTorch has it.
 *
 * ```ts
 * const parts = new nn.ParameterDict({ left: torch.randn(5, 10), right: torch.randn(5, 10) });
 * parts.left.shape; // [5, 10], also parts["left"], parts.get("left")
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterDict.html
 */
export class ParameterDict extends Module {
  // Not as properties: those with whole numbers as names would come first.
  readonly [PARAMETERS] = new Map<string, Parameter>();

  constructor(values: ParameterEntries = {}) {
    super();
    this.update(values);
  }

  get size(): number {
    return this[PARAMETERS].size;
  }

  /** @throws TensorError when there is no parameter of that name */
  get(name: string): Parameter {
    const found = this[PARAMETERS].get(name);
    if (found === undefined) throw new TensorError("index", `no parameter is named '${name}'`);
    return found;
  }

  set(name: string, value: Tensor): this {
    if (name === "" || name.includes(".")) {
      throw new TensorError("value", `parameter name can't be empty or contain ".", got: "${name}"`);
    }
    this[PARAMETERS].set(name, asParameter(value));
    exposeEntry(this, name, PARAMETERS);
    return this;
  }

  has(name: string): boolean {
    return this[PARAMETERS].has(name);
  }

  delete(name: string): boolean {
    hideEntry(this, name);
    return this[PARAMETERS].delete(name);
  }

  clear(): void {
    for (const name of this.keys()) this.delete(name);
  }

  /** The parameter of a name, which the dictionary doesn't have any more. */
  pop(name: string): Parameter {
    const found = this.get(name);
    this.delete(name);
    return found;
  }

  /** The newest name and its parameter, which the dictionary doesn't have any more. */
  popitem(): [name: string, parameter: Parameter] {
    const name = this.keys().at(-1);
    if (name === undefined) throw new TensorError("index", "dictionary is empty");
    return [name, this.pop(name)];
  }

  /** The parameter of a name, which becomes `value` where there is none. */
  setdefault(name: string, value: Tensor): Parameter {
    if (!this.has(name)) this.set(name, value);
    return this.get(name);
  }

  /** Another dictionary of the same parameters. */
  copy(): ParameterDict {
    return new ParameterDict(this);
  }

  update(values: ParameterEntries): this {
    for (const [name, value] of entriesOf(values)) this.set(name, value);
    return this;
  }

  keys(): string[] {
    return [...this[PARAMETERS].keys()];
  }

  values(): Parameter[] {
    return [...this[PARAMETERS].values()];
  }

  items(): [name: string, parameter: Parameter][] {
    return [...this[PARAMETERS]];
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this[PARAMETERS].keys();
  }

  /** @internal */
  override ownParameters(): [key: string, parameter: Parameter][] {
    return this.items();
  }

  /** @internal */
  override member(key: string): unknown {
    return this[PARAMETERS].get(key);
  }

  /** @internal */
  override replaceMember(key: string, value: unknown): void {
    this.set(key, value as Tensor);
  }

  override extraRepr(): string {
    return lines(this.items(), (p) => `torch.${SCALAR_TYPE[p.dtype]}Tensor`);
  }

  /** @throws TensorError: a dictionary computes nothing */
  forward(..._input: never[]): unknown {
    throw new TensorError("value", "ParameterDict should not be called.");
  }
}

/** Parameters by name: a plain object, a Map, another dictionary or pairs. */
export type ParameterEntries =
  | Readonly<Record<string, Tensor>>
  | ReadonlyMap<string, Tensor>
  | ParameterDict
  | readonly (readonly [name: string, value: Tensor])[];

function entriesOf(values: ParameterEntries): (readonly [string, Tensor])[] {
  if (values instanceof ParameterDict) return values.items();
  if (Array.isArray(values)) return values as (readonly [string, Tensor])[];
  if (values instanceof Map) return [...(values as ReadonlyMap<string, Tensor>)];
  return Object.entries(values as Readonly<Record<string, Tensor>>).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
