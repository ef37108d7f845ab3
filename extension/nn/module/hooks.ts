// Functions that run before and after a module's forward and backward.
import { applyAll } from "../../tensor/recording/apply.ts";
import { kindOf, TensorError } from "../../tensor/core/errors.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { hookGradients, shown } from "../../tensor/recording/gradientHooks.ts";
import { identities } from "../../tensor/ops/movement/movement.ts";
import { observe } from "../../tensor/recording/runtime.ts";
import { isNamed } from "../../tensor/signatures/bind.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import type { HookOptions, Hooks, Narrowing } from "./hookList.ts";
import type { Module } from "./module.ts";
import { warnOnce } from "../warnings.ts";

/** An argument or result of a module: its type is up to `forward`. */
// oxlint-disable-next-line typescript/no-explicit-any -- the hook knows its module
type Any = any;

/** Called before `forward`; anything but undefined that it returns replaces the arguments (an array), or the only one. */
export type ForwardPreHook = Narrowing<[module: Module, input: Any[]], unknown>;
/** Called after `forward`; anything but undefined that it returns replaces the result. */
export type ForwardHook = Narrowing<[module: Module, input: Any[], output: Any], unknown>;
/** Called before `forward` with the arguments by name apart: `[args, kwargs]` that it returns replace them. */
export type ForwardPreHookWithKwargs = Narrowing<[module: Module, args: Any[], kwargs: Any], unknown>;
/** Called after `forward` with the arguments by name apart; anything but undefined that it returns replaces the result. */
export type ForwardHookWithKwargs = Narrowing<
  [module: Module, args: Any[], kwargs: Any, output: Any],
  unknown
>;

/** The arguments of a call, and those by name: an object that is passed last. */
function divided(input: readonly Any[]): [args: Any[], kwargs: Record<string, unknown>] {
  const last: unknown = input.at(-1);
  return isNamed(last) ? [input.slice(0, -1), last] : [[...input], {}];
}

/** Options of hooks that take the arguments by name apart. */
export type WithKwargs = HookOptions & { withKwargs: true };
export type AnyPreHook = ForwardPreHook | ForwardPreHookWithKwargs;
export type AnyHook = ForwardHook | ForwardHookWithKwargs;

/** A hook that may take the arguments by name apart, as one that takes all of them in a list. */
export function preHookOfList(hook: AnyPreHook, options: HookOptions = {}): ForwardPreHook {
  if (options.withKwargs !== true) return hook as ForwardPreHook;
  return (module, input) => {
    const result: unknown = (hook as ForwardPreHookWithKwargs)(module, ...divided(input));
    if (result === undefined) return undefined;
    if (!Array.isArray(result) || result.length !== 2 || !Array.isArray(result[0])) {
      throw new TensorError(
        "value",
        `forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got ${kindOf(result)}.`,
      );
    }
    const [args, kwargs] = result as [unknown[], Record<string, unknown>];
    return Object.keys(kwargs).length === 0 ? args : [...args, kwargs];
  };
}

/** A hook that may take the arguments by name apart, as one that takes all of them in a list. */
export function hookOfList(hook: AnyHook, options: HookOptions = {}): ForwardHook {
  if (options.withKwargs !== true) return hook as ForwardHook;
  const apart = hook as ForwardHookWithKwargs;
  return (module, input, output) => apart(module, ...divided(input), output);
}

/** Gradients in the order of arguments or results; null for values without one. */
export type Gradients = readonly (Tensor | null)[];
/** Called when the gradients of a module's results are ready; gradients that it returns replace them. */
export type BackwardPreHook = Narrowing<[module: Module, gradOutput: Gradients], Gradients | Tensor | void>;
/** Called when the gradients of a module's arguments are ready; gradients that it returns replace them. */
export type BackwardHook = Narrowing<
  [module: Module, gradInput: Gradients, gradOutput: Gradients],
  Gradients | Tensor | void
>;

/** The gradients of one call on their way through the module. */
export class BackwardPass {
  private readonly module: Module;
  private readonly before: Hooks<BackwardPreHook>;
  private readonly after: Hooks<BackwardHook>;
  private input: readonly unknown[] = [];
  /** Whether any argument requires a gradient, so that the module's backward has an end. */
  private ends = false;
  private gradOutput: Gradients = [];

  constructor(module: Module, before: Hooks<BackwardPreHook>, after: Hooks<BackwardHook>) {
    this.module = module;
    this.before = before;
    this.after = after;
  }

  /** Arguments that report when their gradients are ready. */
  enter(input: unknown[]): unknown[] {
    this.input = input;
    const wanted = input.flatMap((x, i) => (x instanceof Tensor && x.requiresGrad ? [i] : []));
    if (wanted.length === 0 || this.after.size === 0) return input;
    this.ends = true;
    return watched(input, wanted, (grads) => {
      let current: Gradients = grads;
      for (const hook of this.after) current = replaced(hook(this.module, current, this.gradOutput), current);
      return current;
    });
  }

  /** Results that report when their gradients are ready. */
  leave(output: unknown): unknown {
    if (!(output instanceof Tensor) && !Array.isArray(output)) {
      warnOnce(
        `For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received ${typeof output}`,
      );
      return output;
    }
    const list: readonly unknown[] = output instanceof Tensor ? [output] : output;
    const wanted = list.flatMap((x, i) => (x instanceof Tensor && x.requiresGrad ? [i] : []));
    if (wanted.length === 0) return output;
    const results = watched(list, wanted, (grads) => {
      let current: Gradients = grads;
      for (const hook of this.before) current = replaced(hook(this.module, current), current);
      this.gradOutput = current;
      if (!this.ends) {
        const none = this.input.map(() => null);
        for (const hook of this.after) {
          if (hook(this.module, none, current) === undefined) continue;
          throw new TensorError(
            "autograd",
            "Backward hooks for Modules where no input requires gradient should always return None or None for all gradients.",
          );
        }
      }
      return current;
    });
    return output instanceof Tensor ? results[0] : results;
  }
}

function replaced(answer: Gradients | Tensor | void, current: Gradients): Gradients {
  if (answer === undefined) return current;
  const list = answer instanceof Tensor ? [answer] : answer;
  if (list.length !== current.length) {
    throw new TensorError(
      "autograd",
      `Backward hook returned an invalid number of grad_input, got ${list.length}, but expected ${current.length}`,
    );
  }
  return list;
}

/** The values with the `wanted` tensors behind one node, whose gradients `visit` sees and may replace. */
function watched(
  values: readonly unknown[],
  wanted: readonly number[],
  visit: (grads: Gradients) => Gradients,
): unknown[] {
  const tensors = wanted.map((i) => values[i] as Tensor);
  const through = applyAll(identities, tensors, {});
  const out = [...values];
  wanted.forEach((i, k) => (out[i] = through[k]));
  const node = through[0]!.edge?.node;
  if (node === undefined) return out;
  hookGradients(node, (grads) => {
    const all: (Tensor | null)[] = values.map(() => null);
    wanted.forEach((i, k) => {
      const { shape } = tensors[k]!;
      all[i] = grads[k] ?? new Tensor(fillValue(0, shape, "float32"));
    });
    // A hook may keep the tensors that it sees and makes.
    const next = shown(() => {
      for (const grad of all) if (grad !== null) observe(grad.value);
      return visit(all);
    });
    wanted.forEach((i, k) => (grads[k] = next[i] ?? null));
  });
  return out;
}
