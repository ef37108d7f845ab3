// Functions that run around a module's state dict, and what loading one reports.
import { TensorError } from "../../tensor/core/errors.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { Hooks, type Narrowing, type RemovableHandle } from "./hookList.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- the hook knows its module
type Any = any;

/** Entries that `loadStateDict` did not use or did not find. */
export class LoadReport {
  readonly missingKeys: string[];
  readonly unexpectedKeys: string[];

  constructor(missingKeys: string[], unexpectedKeys: string[]) {
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

/** Called before a state dict is collected; `keepVars` is false, since tensors of a state dict are detached. */
export type StateDictPreHook = Narrowing<[module: Any, prefix: string, keepVars: boolean], void>;
/** Called with the state dict that the module and its children have filled. `localMetadata` is empty. */
export type StateDictPostHook = Narrowing<
  [
    module: Any,
    stateDict: Map<string, Tensor>,
    prefix: string,
    localMetadata: Readonly<Record<string, unknown>>,
  ],
  void
>;
/** Called with the entries of a state dict, those below `prefix`, before the module reads its own. */
export type LoadStateDictPreHook = Narrowing<
  [
    module: Any,
    stateDict: Map<string, Tensor>,
    prefix: string,
    localMetadata: Readonly<Record<string, unknown>>,
    strict: boolean,
    missingKeys: string[],
    unexpectedKeys: string[],
    errorMsgs: string[],
  ],
  void
>;
/** Called with the entries that haven't matched so far, in this module and those before it. */
export type LoadStateDictPostHook = Narrowing<[module: Any, incompatibleKeys: LoadReport], void>;

/** A module's hooks around its state dict. */
class StateHooks {
  readonly beforeSave = new Hooks<StateDictPreHook>();
  readonly afterSave = new Hooks<StateDictPostHook>();
  readonly beforeLoad = new Hooks<LoadStateDictPreHook>();
  readonly afterLoad = new Hooks<LoadStateDictPostHook>();

  /** Those of a copy: the same hooks. */
  copy(): StateHooks {
    const out = new StateHooks();
    for (const hook of this.beforeSave) out.beforeSave.add(hook);
    for (const hook of this.afterSave) out.afterSave.add(hook);
    for (const hook of this.beforeLoad) out.beforeLoad.add(hook);
    for (const hook of this.afterLoad) out.afterLoad.add(hook);
    return out;
  }
}

/** Few modules have them. */
const registered = new WeakMap<object, StateHooks>();

export const stateHooksOf = (module: object): StateHooks | undefined => registered.get(module);

/** Gives a copy of a module the same hooks. */
export function copyStateHooks(from: object, to: object): void {
  const hooks = registered.get(from);
  if (hooks !== undefined) registered.set(to, hooks.copy());
}

function hooksFor(module: object): StateHooks {
  let hooks = registered.get(module);
  if (hooks === undefined) registered.set(module, (hooks = new StateHooks()));
  return hooks;
}

/** Last part of the name of the entry for `getExtraState`. */
export const EXTRA_STATE = "_extra_state";

/** @throws TensorError for a method that a class has to define */
function notOverridden(method: string): never {
  throw new TensorError(
    "value",
    `Reached a code path in Module.${method}() that should never be called: a module with extra state overrides it`,
  );
}

/** Whether a module's class defines a method. */
const overrides = (module: StateDictHooks, method: "getExtraState" | "setExtraState"): boolean =>
  module[method] !== StateDictHooks.prototype[method];

/** Extra state that a module adds to its state dict; undefined if there is none. */
export function extraStateOf(module: StateDictHooks): Tensor | undefined {
  if (!overrides(module, "getExtraState")) return undefined;
  const state: unknown = module.getExtraState();
  if (state instanceof Tensor) return state;
  throw new TensorError(
    "value",
    `${module.constructor.name}.getExtraState() must give a tensor, as all of a state dict is, not ${state === null ? "null" : typeof state}`,
    "make numbers a tensor: torch.tensor([this.steps])",
  );
}

/** Whether a module takes extra state from a state dict. */
export const takesExtraState = (module: StateDictHooks): boolean => overrides(module, "setExtraState");

/** Extra state of every module, and hooks around its state dict. */
export abstract class StateDictHooks {
  /**
   * State of the module beyond parameters and buffers, as a tensor: the entry `_extra_state` of its state dict. To be
   * overridden together with {@link setExtraState}.
   */
  getExtraState(): Tensor {
    return notOverridden("get_extra_state");
  }

  /** Takes the result of {@link getExtraState} from a state dict that is loaded. To be overridden. */
  setExtraState(_state: Tensor): void {
    notOverridden("set_extra_state");
  }

  /** Runs `hook` before `stateDict()` collects this module's tensors. */
  registerStateDictPreHook(hook: StateDictPreHook): RemovableHandle {
    return hooksFor(this).beforeSave.add(hook);
  }

  /** Runs `hook` after `stateDict()` has collected the tensors of this module and its children; it may change the state dict. */
  registerStateDictPostHook(hook: StateDictPostHook): RemovableHandle {
    return hooksFor(this).afterSave.add(hook);
  }

  /**
   * Runs `hook` before `loadStateDict` reads this module's entries. It may change the state dict, a copy, such as to rename
   * entries of an older version: `(module, stateDict, prefix, localMetadata, strict, missingKeys, unexpectedKeys, errorMsgs)`.
   */
  registerLoadStateDictPreHook(hook: LoadStateDictPreHook): RemovableHandle {
    return hooksFor(this).beforeLoad.add(hook);
  }

  /**
   * Runs `hook` after `loadStateDict` has loaded this module and its children. It may change the lists of missing and
   * unexpected entries, which decide whether loading fails. Once it runs, matching entries stay loaded.
   */
  registerLoadStateDictPostHook(hook: LoadStateDictPostHook): RemovableHandle {
    return hooksFor(this).afterLoad.add(hook);
  }
}
