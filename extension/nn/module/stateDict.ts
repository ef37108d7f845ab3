import { apply } from "../../tensor/recording/apply.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { detach } from "../../tensor/functions/creation/conversion.ts";
import { cast, identity, reshape } from "../../tensor/ops/movement/movement.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { formatSize, sameShape } from "../../tensor/core/shape.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";

import { OrderedDict } from "./orderedDict.ts";
import { snakeCase } from "./repr.ts";
import {
  EXTRA_STATE,
  extraStateOf,
  LoadReport,
  type StateDictHooks,
  stateHooksOf,
  takesExtraState,
} from "./stateHooks.ts";
import { isLazy } from "./uninitialized.ts";

/** Tensors by name, as `stateDict()` gives them and checkpoint readers make them. */
export type StateDict = ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>;

/** A module as the loader uses it. */
export interface StateOwner extends StateDictHooks {
  ownState(): [key: string, tensor: Tensor][];
  replaceMember(key: string, value: Tensor): void;
  ownChildren(): [key: string, module: StateOwner | null][];
  /** Whether a state dict that lacks this entry is complete all the same. */
  mayLack(key: string): boolean;
}

/** PyTorch's version numbers of a module's entries, which files here don't have. */
const METADATA = {};

/** Options of `loadStateDict`. */
export interface LoadOptions {
  /** Whether missing and unexpected entries are errors; true by default. */
  strict?: boolean;
  /** Whether tensors of the state dict replace the module's own; false by default. */
  assign?: boolean;
}

/**
 * Copies a state dict into a module and its children. As in PyTorch, whatever fits is copied before anything else is an
 * error.
 * @throws TensorError listing every missing, unexpected and misshapen entry
 */
export function loadInto(
  model: StateOwner,
  state: StateDict,
  { strict = true, assign = false }: LoadOptions,
): LoadReport {
  if (typeof state !== "object" || state === null) {
    throw new TensorError("value", `Expected state_dict to be dict-like, got ${typeof state}.`);
  }
  const given: ReadonlyMap<string, Tensor> =
    state instanceof Map ? (state as ReadonlyMap<string, Tensor>) : new Map(Object.entries(state));
  const misfits: string[] = [];
  // Filled while loading: a hook sees what didn't match up to its module.
  const report = new LoadReport([], []);
  const { missingKeys: missing, unexpectedKeys: unexpected } = report;
  const visit = (module: StateOwner, prefix: string, outer: ReadonlyMap<string, Tensor>): void => {
    const hooks = stateHooksOf(module);
    let entries = outer;
    if (hooks !== undefined && hooks.beforeLoad.size > 0) {
      // As in PyTorch, a module sees the entries below it, and its siblings don't see what it changes.
      const below = new Map([...outer].filter(([name]) => name.startsWith(prefix)));
      const [more, less]: [string[], string[]] = [[], []];
      for (const hook of hooks.beforeLoad) hook(module, below, prefix, METADATA, strict, more, less, misfits);
      missing.push(...more);
      unexpected.push(...less);
      entries = below;
    }
    const own = module.ownState();
    for (const [key, tensor] of own) {
      const name = prefix + key;
      const source: unknown = entries.get(name);
      if (source === undefined) {
        if (!module.mayLack(key)) missing.push(name);
      } else if (!(source instanceof Tensor)) misfits.push(notATensor(name, source));
      else if (isLazy(source) && isLazy(tensor)) continue;
      else if (isLazy(tensor)) {
        // As in PyTorch, a lazy module takes its sizes from the entries; its next call finds nothing left to infer.
        tensor.materialize(source.shape);
        tensor.write(snapshot(source, tensor));
      } else if (fits(source, tensor)) {
        if (assign) module.replaceMember(key, inPlaceOf(tensor, source));
        else tensor.write(snapshot(shaped(source, tensor), tensor));
      } else misfits.push(sizeMismatch(name, source, tensor));
    }
    const extra = takesExtraState(module) ? entries.get(prefix + EXTRA_STATE) : undefined;
    if (extra !== undefined) module.setExtraState(extra);
    else if (takesExtraState(module)) missing.push(prefix + EXTRA_STATE);
    const children = module.ownChildren();
    for (const name of entries.keys()) {
      if (!name.startsWith(prefix)) continue;
      if (extra !== undefined && name === prefix + EXTRA_STATE) continue;
      const [head, ...rest] = name.slice(prefix.length).split(".");
      const known = rest.length > 0 ? children : own;
      if (!known.some(([key]) => key === head)) unexpected.push(name);
    }
    for (const [key, child] of children) if (child !== null) visit(child, `${prefix}${key}.`, entries);
    for (const hook of hooks?.afterLoad ?? []) hook(module, report);
  };
  noGrad(() => visit(model, "", given));
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
  return report;
}

/**
 * The state dict of a module: its own tensors, then those of its children, each detached.
 * @throws TensorError when two fields have one name
 */
export function stateOf(owner: StateOwner, prefix: string): OrderedDict<Tensor> {
  const out = new OrderedDict<Tensor>();
  collect(owner, prefix, out);
  return out;
}

function collect(owner: StateOwner, prefix: string, out: OrderedDict<Tensor>): void {
  const hooks = stateHooksOf(owner);
  for (const hook of hooks?.beforeSave ?? []) hook(owner, prefix, false);
  for (const [name, tensor] of owner.ownState()) {
    const key = prefix + name;
    if (out.has(key)) throw new TensorError("value", `two fields have the name "${key}" in the state dict`);
    out.set(key, isLazy(tensor) ? tensor : detach(tensor));
  }
  const extra = extraStateOf(owner);
  if (extra !== undefined) out.set(prefix + EXTRA_STATE, extra);
  for (const [key, child] of owner.ownChildren()) if (child !== null) collect(child, `${prefix}${key}.`, out);
  for (const hook of hooks?.afterSave ?? []) hook(owner, out, prefix, METADATA);
}

/** Shapes are equal, or one of them is a number saved by an old version as a list of one. */
function fits(source: Tensor, tensor: Tensor): boolean {
  return sameShape(source.shape, tensor.shape) || (tensor.ndim === 0 && sameShape(source.shape, [1]));
}

const shaped = (source: Tensor, tensor: Tensor): Tensor =>
  sameShape(source.shape, tensor.shape) ? source : apply(reshape, [source], { shape: tensor.shape });

/** Returns the replacement of a parameter or buffer: the tensor of the state dict itself, where possible. */
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
