import { isInherited } from "../../protocol/data/own.ts";
import { TensorError } from "../../tensor/core/errors.ts";

/** Names of curves that a training has of its own: validation, learning rates, and what `watch` measures. */
const TAKEN = /^(?:val_.*|lr|lr_.*|grad_norm|update_ratio)$/s;

/**
 * Demands that a value has a name of its own among a run's curves.
 * @param whose where the name stands, such as "metrics"
 * @throws TensorError for a name that a training uses, or that every object has
 */
export function demandFreeName(name: string, whose: string): void {
  const inherited = isInherited(name);
  if (!TAKEN.test(name) && !inherited) return;
  const reason = inherited
    ? "every object has a property of that name"
    : "a training has a curve of that name";
  throw new TensorError(
    "value",
    `experiment(): ${whose} can't be named "${name}": ${reason}`,
    "choose another name",
  );
}
