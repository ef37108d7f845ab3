// Functions of the program's that run before and after an optimizer's steps.
import { Hooks } from "../module/hookList.ts";

/** What an optimizer has that hooks run around. */
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

/** Beside the optimizers, since hardly any has some. */
const known = new WeakMap<Steps, StepHooks>();

/** The hooks of an optimizer, whose `step` runs them from the first time on that they are asked for. */
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
