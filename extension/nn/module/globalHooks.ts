// Hooks of every module, which run before those of the module itself.
import type { BackwardHook, BackwardPreHook, ForwardHook, ForwardPreHook } from "./hooks.ts";
import { globalHooks, type RemovableHandle } from "./hookList.ts";

/**
 * Runs `hook` before every call of every module, for debugging and profiling.
 *
 * ```ts
 * const handle = nn.modules.module.registerModuleForwardPreHook((module) => print(module.constructor.name));
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_forward_pre_hook.html
 */
export function registerModuleForwardPreHook(hook: ForwardPreHook): RemovableHandle {
  return globalHooks.beforeForward.add(hook);
}

/** Runs `hook` after every call of every module. */
export function registerModuleForwardHook(hook: ForwardHook): RemovableHandle {
  return globalHooks.afterForward.add(hook);
}

/** Runs `hook` whenever the gradients of a module's results are ready, for every module. */
export function registerModuleFullBackwardPreHook(hook: BackwardPreHook): RemovableHandle {
  return globalHooks.beforeBackward.add(hook);
}

/** Runs `hook` whenever the gradients of a module's arguments are ready, for every module. */
export function registerModuleFullBackwardHook(hook: BackwardHook): RemovableHandle {
  return globalHooks.afterBackward.add(hook);
}
