import { TensorError } from "../tensor/errors.ts";
import { SITE, scope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import {
  BackwardPass,
  Hooks,
  type BackwardHook,
  type BackwardPreHook,
  type ForwardHook,
  type ForwardPreHook,
} from "./hooks.ts";
import type { Module } from "./module.ts";
import { PackedSequence } from "./packedSequence.ts";

/** Where a module keeps its state: a symbol, so that a walk of its properties doesn't meet it. */
export const STATE: unique symbol = Symbol("layerwise.module");

/** What a module knows of itself besides its own properties. */
export class ModuleState {
  training = true;
  /** Where the user's code made the module, kept while sites are: the preview shows it. */
  readonly site = scope.sites ? new Error(SITE) : undefined;
  /** Names of own properties that are buffers, and whether the state dict has them. */
  readonly buffers = new Map<string, { readonly persistent: boolean }>();
  /** Names registered as modules without one: printed as None. */
  readonly vacant = new Set<string>();
  readonly beforeForward = new Hooks<ForwardPreHook>();
  readonly afterForward = new Hooks<ForwardHook>();
  readonly beforeBackward = new Hooks<BackwardPreHook>();
  readonly afterBackward = new Hooks<BackwardHook>();
  /** Dotted path from `root`, the model whose call was the last to reach this module. */
  path = "";
  root: Module | undefined;

  /** Becomes the state of a copy: the same mode, names and hooks. */
  take(other: ModuleState): void {
    this.training = other.training;
    for (const [name, buffer] of other.buffers) this.buffers.set(name, buffer);
    for (const name of other.vacant) this.vacant.add(name);
    for (const hook of other.beforeForward) this.beforeForward.add(hook);
    for (const hook of other.afterForward) this.afterForward.add(hook);
    for (const hook of other.beforeBackward) this.beforeBackward.add(hook);
    for (const hook of other.afterBackward) this.afterBackward.add(hook);
  }
}

/** The model whose call is running. */
let root: Module | undefined;

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
  } catch (error) {
    // The innermost module is the one whose forward went wrong.
    if (error instanceof TensorError && state.path !== "") error.module ??= state.path;
    throw error;
  } finally {
    scope.depth--;
    scope.path = before;
    if (outermost) root = undefined;
  }
  if (scope.depth === 0) show(output);
  return output;
}

function run(self: Module, state: ModuleState, args: readonly unknown[]): unknown {
  let input = args;
  for (const hook of state.beforeForward) {
    const replaced = hook(self, input);
    if (replaced !== undefined) input = Array.isArray(replaced) ? replaced : [replaced];
  }
  const backward =
    state.beforeBackward.size + state.afterBackward.size > 0
      ? new BackwardPass(self, state.beforeBackward, state.afterBackward)
      : undefined;
  if (backward !== undefined) input = backward.enter(input);
  const callable = self as unknown as { forward?(...input: readonly unknown[]): unknown };
  if (callable.forward === undefined) {
    throw new TensorError(
      "value",
      `Module [${self.constructor.name}] is missing the required "forward" function`,
    );
  }
  let output = callable.forward(...input);
  for (const hook of state.afterForward) {
    const replaced = hook(self, input, output);
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

/** Results of an outermost call are the user's: computed with their step, since they may be read after it. */
function show(output: unknown): void {
  if (output instanceof Tensor) output.value.visible = true;
  else if (Array.isArray(output)) output.forEach(show);
  else if (output instanceof PackedSequence) show(output.data);
  else if (isRecord(output)) Object.values(output).forEach(show);
}

/** A plain object: others may refer to anything, themselves included. */
function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype;
}

/** A dotted path, one step longer. */
export const join = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);
