import type { Module } from "./module.ts";

/** Returns what puts each module of `models` back into its present mode: a frozen part of a training model stays frozen. */
export function keepModes(...models: readonly Module[]): () => void {
  const modes = new Map(models.flatMap((model) => model.modules()).map((one) => [one, one.training]));
  return () => {
    for (const [module, training] of modes) module.training = training;
  };
}

/** Runs `body` with a model in one mode, then puts each of its modules back into its own; waits for a promise. */
export function withMode<T>(model: Module, mode: "train" | "eval", body: () => T): T {
  const restore = keepModes(model);
  let pending = false;
  try {
    model.train(mode === "train");
    const result = body();
    if (!(result instanceof Promise)) return result;
    pending = true;
    return result.finally(restore) as T;
  } finally {
    if (!pending) restore();
  }
}

/**
 * Puts a model into training mode. A whole model in evaluation mode, as pretrained ones are made, trains; modules that
 * were put into evaluation mode within a model that trains stay there, as in Lightning.
 * @returns paths of the modules in evaluation mode, without those inside of them
 */
export function beginTraining(model: Module): string[] {
  const kept = model.training ? model.modules().filter(({ training }) => !training) : [];
  // Called in any case: a class of the user's own may freeze parts in its `train`.
  model.train();
  for (const module of kept) module.training = false;
  const frozen: string[] = [];
  for (const [path, { training }] of model.namedModules())
    if (!training && !frozen.some((outer) => path.startsWith(`${outer}.`))) frozen.push(path);
  return frozen;
}
