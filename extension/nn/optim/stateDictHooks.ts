// Functions of the program's that run around the saving and loading of an optimizer's state.
import { Hooks } from "../module/hookList.ts";
import type { OptimizerStateDict } from "./state.ts";

/** The methods of an optimizer that hooks run around. */
interface Saved {
  stateDict(): OptimizerStateDict;
  loadStateDict(dict: OptimizerStateDict): void;
}

// oxlint-disable-next-line typescript/no-explicit-any -- the hook knows its optimizer
type Any = any;

/** Runs before a state is saved, or after one was loaded. */
export type OptimizerStateHook = (optimizer: Any) => void;

/** Runs with a state that was saved, or is to be loaded; one that it returns replaces it. */
export type OptimizerStateDictHook = (
  optimizer: Any,
  stateDict: OptimizerStateDict,
) => OptimizerStateDict | void;

interface StateDictHooks {
  readonly beforeSave: Hooks<OptimizerStateHook>;
  readonly afterSave: Hooks<OptimizerStateDictHook>;
  readonly beforeLoad: Hooks<OptimizerStateDictHook>;
  readonly afterLoad: Hooks<OptimizerStateHook>;
}

/** Kept beside the optimizers, since few have any. */
const known = new WeakMap<Saved, StateDictHooks>();

/** Returns an optimizer's hooks; the first call makes its `stateDict` and `loadStateDict` run them. */
export function stateDictHooks(optimizer: Saved): StateDictHooks {
  const found = known.get(optimizer);
  if (found !== undefined) return found;
  const hooks: StateDictHooks = {
    beforeSave: new Hooks(),
    afterSave: new Hooks(),
    beforeLoad: new Hooks(),
    afterLoad: new Hooks(),
  };
  known.set(optimizer, hooks);
  const save = optimizer.stateDict.bind(optimizer);
  const load = optimizer.loadStateDict.bind(optimizer);
  optimizer.stateDict = () => {
    for (const hook of hooks.beforeSave) hook(optimizer);
    let dict = save();
    for (const hook of hooks.afterSave) dict = hook(optimizer, dict) ?? dict;
    return dict;
  };
  optimizer.loadStateDict = (given) => {
    // As in PyTorch, a hook may change the dict, not the caller's.
    let dict: OptimizerStateDict = { ...given };
    for (const hook of hooks.beforeLoad) dict = hook(optimizer, dict) ?? dict;
    load(dict);
    for (const hook of hooks.afterLoad) hook(optimizer);
  };
  return hooks;
}
