import { kindOf, TensorError } from "../../tensor/core/errors.ts";
import { shown } from "../../tensor/recording/gradientHooks.ts";
import { holdersOf } from "../../tensor/complex/complexTensor.ts";
import { SITE, scope } from "../../tensor/recording/scope.ts";
import { isTensorLike } from "../../tensor/core/tensorLike.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { interrupted } from "../../tensor/planning/barrier.ts";
import { globalHooks, Hooks, merged } from "./hookList.ts";
import {
  BackwardPass,
  type BackwardHook,
  type BackwardPreHook,
  type ForwardHook,
  type ForwardPreHook,
} from "./hooks.ts";
import type { Module } from "./module.ts";
import { PackedSequence } from "../packedSequence.ts";

/** Where a module keeps its state: a symbol, so that a walk of its properties doesn't meet it. */
export const STATE: unique symbol = Symbol("layerwise.module");

/** A module's internal state, beside its own properties. */
export class ModuleState {
  training = true;
  /** Where the user's code made the module, kept while sites are: the preview shows it. */
  readonly site = scope.sites ? new Error(SITE) : undefined;
  /** Names of own properties that are buffers, and whether the state dict has them. */
  readonly buffers = new Map<string, { readonly persistent: boolean }>();
  /** Names registered as modules without one: printed as None. */
  readonly vacant = new Set<string>();
  /** Names in the order of registration, where JavaScript's differs: it has whole numbers first. */
  order: readonly string[] | undefined;
  readonly beforeForward = new Hooks<ForwardPreHook>();
  readonly afterForward = new Hooks<ForwardHook>();
  readonly beforeBackward = new Hooks<BackwardPreHook>();
  readonly afterBackward = new Hooks<BackwardHook>();
  /** Dotted path from `root`, the model whose call was the last to reach this module. */
  path = "";
  root: Module | undefined;
  /** Whether its class may keep values of a call in properties: those of the library don't. */
  stashes: boolean | undefined;

  /** Becomes the state of a copy: the same mode, names and hooks. */
  take(other: ModuleState): void {
    this.training = other.training;
    for (const [name, buffer] of other.buffers) this.buffers.set(name, buffer);
    for (const name of other.vacant) this.vacant.add(name);
    this.order = other.order;
    for (const hook of other.beforeForward) this.beforeForward.add(hook);
    for (const hook of other.afterForward) this.afterForward.add(hook);
    for (const hook of other.beforeBackward) this.beforeBackward.add(hook);
    for (const hook of other.afterBackward) this.afterBackward.add(hook);
  }
}

/** The stack of the call that made a module, where stacks are kept. */
export function siteOf(module: Module): Error | undefined {
  return module[STATE].site;
}

/** The model whose call is running. */
let root: Module | undefined;

/** Prototypes of the library's own modules. */
export const libraryClasses = new WeakSet<object>();

/** Runs a module: its hooks and its `forward`, whose nodes carry the module's path. */
export function call(self: Module, args: unknown[]): unknown {
  const state = self[STATE];
  const outermost = root === undefined;
  const before = scope.path;
  if (outermost) {
    root = self;
    state.root = self;
    state.path = "";
  } else if (state.root !== root) {
    locate(self, root!);
  }
  scope.path = state.path;
  scope.depth++;
  let output: unknown;
  try {
    const ended = scope.onCall?.(self, args);
    output = run(self, state, args);
    ended?.(output);
  } catch (thrown) {
    const error = noTensor(self, args, thrown) ?? thrown;
    // The innermost module is the one whose forward went wrong.
    if (error instanceof TensorError && state.path !== "") error.module ??= state.path;
    if (outermost && scope.depth === 1) interrupted();
    throw error;
  } finally {
    scope.depth--;
    scope.path = before;
    if (outermost) root = undefined;
  }
  if ((state.stashes ??= !libraryClasses.has(Object.getPrototypeOf(self) as object))) stash(self);
  if (scope.depth === 0) {
    show(output);
    // Lists that the caller gave to be filled.
    for (const arg of args) if (!(arg instanceof Tensor)) show(arg);
  }
  return output;
}

/**
 * PyTorch's message for a module of the library that got something other than a tensor: the engine's message would name
 * a property that the caller never wrote.
 */
function noTensor(self: Module, args: readonly unknown[], error: unknown): TensorError | undefined {
  if (!libraryClasses.has(Object.getPrototypeOf(self) as object)) return undefined;
  // `length` counts the parameters before the first with a default.
  const needed = Math.max(1, forwardOf(self)?.length ?? 0);
  const confused = error instanceof TypeError;
  const named = args.findIndex((arg, i) => isRecord(arg) && (confused || i < needed));
  let at = named;
  if (at < 0 && confused) at = Array.from({ length: needed }, (_, i) => args[i] ?? null).indexOf(null);
  // Containers pass on whatever the modules in them take.
  if (at < 0 && !isTensorLike(args[0]) && self.children().length === 0) at = 0;
  if (at < 0) return undefined;
  return new TensorError(
    "value",
    `${self.constructor.name}(): argument ${at + 1} must be Tensor, not ${kindOf(args[at])}`,
    named < 0 ? undefined : "a module takes its inputs by position",
  );
}

const forwardOf = (self: Module): ((...input: readonly unknown[]) => unknown) | undefined =>
  (self as { forward?: (...input: readonly unknown[]) => unknown }).forward;

function run(self: Module, state: ModuleState, args: unknown[]): unknown {
  let input = args;
  for (const hook of merged(globalHooks.beforeForward, state.beforeForward)) {
    const replaced = shown(() => hook(self, input));
    if (replaced !== undefined) input = Array.isArray(replaced) ? replaced : [replaced];
    show(input);
  }
  const beforeBackward = merged(globalHooks.beforeBackward, state.beforeBackward);
  const afterBackward = merged(globalHooks.afterBackward, state.afterBackward);
  const backward =
    beforeBackward.size + afterBackward.size > 0
      ? new BackwardPass(self, beforeBackward, afterBackward)
      : undefined;
  if (backward !== undefined) input = backward.enter(input);
  const forward = forwardOf(self);
  if (forward === undefined) {
    throw new TensorError(
      "value",
      `Module [${self.constructor.name}] is missing the required "forward" function`,
    );
  }
  let output = forward.apply(self, input);
  // A hook may keep the tensors that it sees and makes.
  const afterForward = merged(globalHooks.afterForward, state.afterForward);
  if (afterForward.size > 0) show([input, output]);
  for (const hook of afterForward) {
    const replaced = shown(() => hook(self, input, output));
    if (replaced !== undefined) output = replaced;
  }
  return backward === undefined ? output : backward.leave(output);
}

/** Finds a module's path below the running model; called once for every module, until it moves to another model. */
function locate(self: Module, model: Module): void {
  for (const [path, module] of model.namedModules()) {
    const state = module[STATE];
    state.root = model;
    state.path = path;
  }
  const state = self[STATE];
  if (state.root === model) return;
  // Held where no walk finds it, such as in an array: named by its class.
  state.root = model;
  state.path = join(scope.path, self.constructor.name);
}

/** Maximum number of a list's elements that are searched for tensors, the last ones; larger Maps are skipped. */
const MOST_SHOWN = 64;

/** How deep lists and objects are searched. */
const DEEPEST = 4;
/** The most properties of an object that is searched. */
const MOST_PROPERTIES = 1000;
/** Objects with more, such as vocabularies: listing 50,000 names takes some milliseconds each time. */
const crowded = new WeakSet<object>();

/** The values of an object's properties; none for one with too many. */
function propertiesOf(object: object): readonly unknown[] {
  if (crowded.has(object)) return [];
  const values: unknown[] = Object.values(object);
  if (values.length <= MOST_PROPERTIES) return values;
  crowded.add(object);
  return [];
}

/**
 * Marks tensors that the user may hold, such as an outermost call's results, to be computed with their step. `seen` are
 * objects of classes, which may refer to each other.
 */
function show(output: unknown, depth = 0, seen?: Set<object>): void {
  if (output instanceof Tensor) {
    // Tensors that live from step to step have their own storage.
    for (const one of holdersOf(output)) if (one.storage === undefined) one.value.visible = true;
  } else if (typeof output !== "object" || output === null || depth > DEEPEST) return;
  else if (Array.isArray(output))
    for (let i = Math.max(0, output.length - MOST_SHOWN); i < output.length; i++)
      show(output[i], depth + 1, seen);
  else if (output instanceof PackedSequence) show(output.data);
  else if (output instanceof Map || output instanceof Set) {
    if (output.size <= MOST_SHOWN) for (const one of output.values()) show(one, depth + 1, seen);
  } else if (isRecord(output)) for (const one of propertiesOf(output)) show(one, depth + 1, seen);
  else if (!(STATE in output) && !ArrayBuffer.isView(output)) {
    // Such as a distribution, or a program's own class of results.
    if (seen?.has(output)) return;
    const others = (seen ?? new Set()).add(output);
    for (const one of propertiesOf(output)) show(one, depth + 1, others);
  }
}

/** Shows the tensors that a module's `forward` has left in its own properties. */
function stash(self: Module): void {
  const own = self as unknown as Readonly<Record<string, unknown>>;
  for (const name in own) {
    const value = own[name];
    // A view of something that was written to isn't followed for this.
    if (
      value instanceof Tensor
        ? holdersOf(value).every((one) => one.still !== undefined)
        : typeof value === "object"
    )
      show(value, 1);
  }
}

/** A plain object: others may refer to anything, themselves included. */
function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype;
}

/** A dotted path, one step longer. */
export const join = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);
