import { TensorError } from "../../tensor/core/errors.ts";

/** Whether less or more of a value is better. */
export type Mode = "min" | "max";

/** Whether a value is better than another, by more than `delta`. */
export function isBetter(mode: Mode, value: number, than: number, delta = 0): boolean {
  return mode === "min" ? value < than - delta : value > than + delta;
}

/** The value that is worse than any. */
export function worst(mode: Mode): number {
  return mode === "min" ? Infinity : -Infinity;
}

/**
 * A metric that an option watches.
 * @throws TensorError naming those that there are
 */
export function monitored(
  option: string,
  metrics: Readonly<Record<string, number>>,
  monitor: string,
): number {
  const value = metrics[monitor];
  if (value !== undefined) return value;
  throw new TensorError(
    "value",
    `experiment(): ${option} watches \`${monitor}\`, which is not available`,
    `available are ${Object.keys(metrics).join(", ")}`,
  );
}

/** Whether it is a metric of the validation set: new after each validation, and not after an epoch without one. */
export function isValidation(monitor: string): boolean {
  return monitor.startsWith("val_");
}

/** @throws TensorError when an option watches a validation that there is none of */
export function checkMonitor(option: string, monitor: string, validated: boolean): void {
  if (validated || !isValidation(monitor)) return;
  throw new TensorError(
    "value",
    `experiment(): ${option} watches \`${monitor}\`, but there is no validation set`,
    "add validation: 0.2, or give data as { train, validation }",
  );
}
