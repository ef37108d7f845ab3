// Python's copy module, as far as PyTorch's programs use it: the `copy` that users import.
import { apply } from "../../tensor/recording/apply.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import { identity } from "../../tensor/ops/movement/movement.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";
import { Buffer } from "./buffer.ts";
import { Module } from "./module.ts";
import { STATE } from "./moduleCall.ts";
import { copyStateHooks } from "./stateHooks.ts";
import { UninitializedBuffer, UninitializedParameter } from "./uninitialized.ts";

/** Names the method by which a class copies its instances: it gets a function that copies what is in them. */
export const DEEPCOPY = Symbol("deepcopy");

interface Copyable {
  [DEEPCOPY](deepcopied: <T>(value: T) => T): unknown;
}

/**
 * A copy of a module with everything in it: parameters, buffers, other modules, optimizers, arrays, maps and plain
 * objects. An object that occurs twice is copied once, and the copy occurs twice. Functions and other objects are
 * shared. A tensor's gradient is copied with it, a parameter's is not.
 *
 * Initial weights that were never read are not computed for this: the copies share them.
 *
 * ```ts
 * const teacher = copy.deepcopy(student);
 * ```
 */
export function deepcopy<T>(value: T): T {
  const copies = new Map<unknown, unknown>();
  return noGrad(() => hidden(() => copyOf(value, copies) as T));
}

/**
 * A copy of a module, array, map, set or plain object that shares what is in it. A tensor's copy shares its memory.
 *
 * ```ts
 * const state = copy.copy(settings);
 * ```
 */
export function copy<T>(value: T): T {
  return noGrad(() => copyOf(value, new Map(), false) as T);
}

function copyOf(source: unknown, copies: Map<unknown, unknown>, deep = true): unknown {
  if ((typeof source !== "object" && typeof source !== "function") || source === null) return source;
  const known = copies.get(source);
  if (known !== undefined) return known;
  const copy = (x: unknown): unknown => (deep ? copyOf(x, copies) : x);
  const made = <U>(twin: U): U => {
    copies.set(source, twin);
    return twin;
  };
  if (source instanceof UninitializedParameter) return made(new UninitializedParameter(source.requiresGrad));
  if (source instanceof UninitializedBuffer) return made(new UninitializedBuffer());
  if (source instanceof Tensor) return made(deep ? tensorCopy(source) : aliasOf(source));
  if (source instanceof Module) {
    const twin = made(Reflect.construct(Module, [], source.constructor) as Module);
    twin[STATE].take(source[STATE]);
    copyStateHooks(source, twin);
    for (const key of Reflect.ownKeys(source)) {
      const property = Object.getOwnPropertyDescriptor(source, key)!;
      if (key === STATE) continue;
      Object.defineProperty(
        twin,
        key,
        "value" in property ? { ...property, value: copy(property.value) } : property,
      );
    }
    return twin;
  }
  if (Array.isArray(source)) {
    const twin: unknown[] = made([]);
    for (const x of source) twin.push(copy(x));
    return twin;
  }
  if (source instanceof Map) {
    const twin = made(new Map<unknown, unknown>());
    for (const [key, x] of source) twin.set(copy(key), copy(x));
    return twin;
  }
  if (source instanceof Set) {
    const twin = made(new Set<unknown>());
    for (const x of source) twin.add(copy(x));
    return twin;
  }
  if (Object.getPrototypeOf(source) === Object.prototype) {
    const twin: Record<string, unknown> = made({});
    for (const [key, x] of Object.entries(source)) twin[key] = copy(x);
    return twin;
  }
  if (deep && DEEPCOPY in source)
    return made((source as Copyable)[DEEPCOPY]((x) => copyOf(x, copies) as typeof x));
  return source;
}

function tensorCopy(source: Tensor): Tensor {
  const value = new Tensor(initialOf(source) ?? apply(identity, [source], {}).value);
  const wantsGrad = source.isLeaf && source.requiresGrad;
  if (source instanceof Parameter) return new Parameter(value, wantsGrad);
  if (source instanceof Buffer) return new Buffer(value, source);
  // An entry of a state dict shares a parameter's storage, which the next step writes over.
  if (source.undetached.storage !== undefined) value.persist();
  else value.value.visible = true;
  if (source.ownGrad !== null) value.grad = tensorCopy(source.ownGrad);
  return wantsGrad ? value.requiresGrad_() : value;
}

function aliasOf(source: Tensor): Tensor {
  if (source instanceof Parameter) return new Parameter(source.detach(), source.requiresGrad);
  const alias = source.detach();
  return source.isLeaf && source.requiresGrad ? alias.requiresGrad_() : alias;
}

/** The value that a parameter or buffer began with, while it still has it; copies share it. */
function initialOf(source: Tensor): Value | undefined {
  const { producer } = source.value;
  if (producer.kind !== "state" || producer.storage.version !== producer.version) return undefined;
  const { initial } = producer;
  if (initial?.producer.kind === "random") initial.producer.draw.share();
  return initial;
}
