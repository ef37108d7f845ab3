import { apply } from "../../tensor/recording/apply.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { detach } from "../../tensor/functions/creation/conversion.ts";
import { cast, identity, reshape } from "../../tensor/ops/movement/movement.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { formatSize, sameShape } from "../../tensor/core/shape.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";

import { OrderedDict } from "./orderedDict.ts";
import { snakeCase } from "./repr.ts";

/** Tensors by name, as `stateDict()` gives them and checkpoint readers make them. */
export type StateDict = ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>;

/** What `loadStateDict` did not use or did not find. */
export class LoadReport {
  readonly missingKeys: readonly string[];
  readonly unexpectedKeys: readonly string[];

  constructor(missingKeys: readonly string[], unexpectedKeys: readonly string[]) {
    this.missingKeys = missingKeys;
    this.unexpectedKeys = unexpectedKeys;
  }

  toString(): string {
    if (this.missingKeys.length === 0 && this.unexpectedKeys.length === 0)
      return "<All keys matched successfully>";
    const list = (keys: readonly string[]): string => `[${keys.map((key) => `'${key}'`).join(", ")}]`;
    return `_IncompatibleKeys(missing_keys=${list(this.missingKeys)}, unexpected_keys=${list(this.unexpectedKeys)})`;
  }
}

/** What the loader asks of a module. */
export interface StateOwner {
  ownState(): [key: string, tensor: Tensor][];
  replaceMember(key: string, value: Tensor): void;
  ownChildren(): [key: string, module: StateOwner | null][];
  /** Whether a state dict that lacks this entry is complete all the same. */
  mayLack(key: string): boolean;
}

/**
 * Copies a state dict into a module and its children, or nothing at all.
 * @throws TensorError listing every missing, unexpected and misshapen entry
 */
export function loadInto(
  model: StateOwner,
  state: StateDict,
  { strict, assign }: { strict: boolean; assign: boolean },
): LoadReport {
  if (typeof state !== "object" || state === null) {
    throw new TensorError("value", `Expected state_dict to be dict-like, got ${typeof state}.`);
  }
  const entries: ReadonlyMap<string, Tensor> =
    state instanceof Map ? (state as ReadonlyMap<string, Tensor>) : new Map(Object.entries(state));
  const missing: string[] = [];
  const unexpected: string[] = [];
  const misfits: string[] = [];
  const loads: (() => void)[] = [];
  const visit = (module: StateOwner, prefix: string): void => {
    const own = module.ownState();
    for (const [key, tensor] of own) {
      const name = prefix + key;
      const source: unknown = entries.get(name);
      if (source === undefined) {
        if (!module.mayLack(key)) missing.push(name);
      } else if (!(source instanceof Tensor)) misfits.push(notATensor(name, source));
      else if (fits(source, tensor)) {
        loads.push(() => {
          if (assign) module.replaceMember(key, inPlaceOf(tensor, source));
          else tensor.write(snapshot(shaped(source, tensor), tensor));
        });
      } else misfits.push(sizeMismatch(name, source, tensor));
    }
    const children = module.ownChildren();
    for (const name of entries.keys()) {
      if (!name.startsWith(prefix)) continue;
      const [head, ...rest] = name.slice(prefix.length).split(".");
      const known = rest.length > 0 ? children : own;
      if (!known.some(([key]) => key === head)) unexpected.push(name);
    }
    for (const [key, child] of children) if (child !== null) visit(child, `${prefix}${key}.`);
  };
  visit(model, "");
  const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");
  const errors = [...misfits];
  if (strict && unexpected.length > 0)
    errors.unshift(`Unexpected key(s) in state_dict: ${quoted(unexpected)}. `);
  if (strict && missing.length > 0) errors.unshift(`Missing key(s) in state_dict: ${quoted(missing)}. `);
  if (errors.length > 0) {
    throw new TensorError(
      "value",
      `Error(s) in loading state_dict for ${model.constructor.name}:\n\t${errors.join("\n\t")}`,
      missing.some((name) => snakeCase(name) !== name && unexpected.includes(snakeCase(name)))
        ? 'the names differ in their spelling: declare `static stateDictNames = "snake_case"` in the class of the model'
        : undefined,
    );
  }
  noGrad(() => {
    for (const load of loads) load();
  });
  return new LoadReport(missing, unexpected);
}

/**
 * The state dict of a module: its own tensors, then those of its children, each detached.
 * @throws TensorError when two fields have one name
 */
export function stateOf(owner: StateOwner, prefix: string): OrderedDict<Tensor> {
  const out = new OrderedDict<Tensor>();
  for (const [key, tensor] of entries(owner, prefix)) {
    if (out.has(key)) throw new TensorError("value", `two fields have the name "${key}" in the state dict`);
    out.set(key, detach(tensor));
  }
  return out;
}

function* entries(owner: StateOwner, prefix: string): Generator<[key: string, tensor: Tensor]> {
  for (const [key, tensor] of owner.ownState()) yield [prefix + key, tensor];
  for (const [key, child] of owner.ownChildren())
    if (child !== null) yield* entries(child, `${prefix}${key}.`);
}

/** Shapes are equal, or one of them is a number saved by an old version as a list of one. */
function fits(source: Tensor, tensor: Tensor): boolean {
  return sameShape(source.shape, tensor.shape) || (tensor.ndim === 0 && sameShape(source.shape, [1]));
}

const shaped = (source: Tensor, tensor: Tensor): Tensor =>
  sameShape(source.shape, tensor.shape) ? source : apply(reshape, [source], { shape: tensor.shape });

/** What takes the place of a parameter or buffer: the tensor of the state dict itself, as far as it can. */
function inPlaceOf(tensor: Tensor, source: Tensor): Tensor {
  const value = shaped(source, tensor);
  if (!(tensor instanceof Parameter)) return value.persist();
  if (value instanceof Parameter) return value.requiresGrad_(tensor.requiresGrad);
  return new Parameter(value, tensor.requiresGrad);
}

/** The current value of `from`, in the type of `to`: its holder may change later. */
export function snapshot(from: Tensor, to: Tensor): Tensor {
  if (from.dtype !== to.dtype) return apply(cast, [from], { dtype: to.dtype });
  return from.value.producer.kind === "state" ? apply(identity, [from], {}) : from;
}

function sizeMismatch(name: string, source: Tensor, current: Tensor): string {
  return `size mismatch for ${name}: copying a param with shape ${formatSize(source.shape)} from checkpoint, the shape in current model is ${formatSize(current.shape)}.`;
}

function notATensor(name: string, value: unknown): string {
  return `While copying the parameter named "${name}", expected torch.Tensor or Tensor-like object from checkpoint but received ${typeof value}`;
}
