// Functions of the program's that run before and after an optimizer's steps.
import { Hooks } from "../module/hookList.ts";

/** The method of an optimizer that hooks run around. */
interface Steps {
  step: unknown;
}

/** Runs before a step; a pair that it returns replaces the arguments, by position and by name. */
export type StepPreHook = (
  // oxlint-disable-next-line typescript/no-explicit-any -- the hook knows its optimizer
  optimizer: any,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
) => readonly [args: readonly unknown[], kwargs: Readonly<Record<string, unknown>>] | void;

/** Runs after a step. */
export type StepPostHook = (...args: Parameters<StepPreHook>) => void;

interface StepHooks {
  readonly before: Hooks<StepPreHook>;
  readonly after: Hooks<StepPostHook>;
}

/** Kept beside the optimizers, since few have any. */
const known = new WeakMap<Steps, StepHooks>();

/** Returns an optimizer's hooks; the first call makes its `step` run them. */
export function stepHooks(optimizer: Steps): StepHooks {
  const found = known.get(optimizer);
  if (found !== undefined) return found;
  const hooks: StepHooks = { before: new Hooks(), after: new Hooks() };
  known.set(optimizer, hooks);
  const step = (optimizer.step as (...args: readonly unknown[]) => unknown).bind(optimizer);
  optimizer.step = (...args: readonly unknown[]) => {
    let given = args;
    for (const hook of hooks.before) {
      const replaced = hook(optimizer, given, {});
      if (replaced !== undefined) given = replaced[0];
    }
    const loss = step(...given);
    for (const hook of hooks.after) hook(optimizer, given, {});
    return loss;
  };
  return hooks;
}
